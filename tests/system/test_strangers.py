"""Those who do not belong, at a node that takes data: refused, and not felt."""

import contextlib
import re
import socket
import time
from collections.abc import Iterator

import psutil
import pytest

from enrgdaq.control.address import RemoteAddress
from enrgdaq.control.client import ControlClient
from enrgdaq.errors import ControlError
from enrgdaq.keys import KeyFolder
from tests.keys.relay import Relay
from tests.system import remote
from tests.system.node import Node, wait_until

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"CURVE".ljust(20, b"\0") + b"\0" + bytes(31)
"""ZMTP 3.0: signature, version, mechanism, no server, filler."""


@pytest.fixture
def hub(node: Node) -> Iterator[tuple[Node, int]]:
    """A node that listens and takes data."""
    port = remote.listen(node)
    remote.keys_of(node).new(node.id)
    remote.make_key(node, "alice", "operator")
    remote.add_jobs(node)
    node.start()
    yield node, port
    assert node.stop() == 0


def alice_of(node: Node, port: int, *, seconds: float = 5.0) -> ControlClient:
    key = KeyFolder(node.folder / "home/alice").secret(None)
    return remote.client(node, port, key, seconds=seconds)


def rows(node: Node) -> int:
    return node.job("csv").messages_in


def rate(node: Node, seconds: float) -> float:
    """Rows stored a second, by the node's own clock."""
    first, began = rows(node), node.snapshot().supervisor.now
    wait_until(lambda: node.snapshot().supervisor.now - began > seconds, what="time to pass")
    return (rows(node) - first) / (node.snapshot().supervisor.now - began)


def test_a_crowd_at_the_door_is_not_felt(hub: tuple[Node, int]) -> None:
    node, port = hub
    node.wait(lambda: rows(node) > 100, what="data")
    assert node.process is not None
    supervisor = psutil.Process(node.process.pid)
    quiet, memory = rate(node, 1.5), supervisor.memory_info().rss
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(300)]
    slow = silent[:100]
    huge = silent[100:110]
    garbage = silent[110:130]
    try:
        for connection in huge:
            # A command frame of a gigabyte, announced and never sent.
            connection.sendall(GREETING + b"\x06" + (1 << 30).to_bytes(8, "big"))
        for connection in garbage:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        for place in range(10):
            for connection in slow:
                # On a busy machine their time may be over already.
                with contextlib.suppress(ConnectionError):
                    connection.sendall(GREETING[place : place + 1])
        busy = rate(node, 1.5)
        with alice_of(node, port) as alice:
            began = time.monotonic()
            assert alice.snapshot().supervisor.id == node.id
            assert time.monotonic() - began < 2.0
        for connection in silent:
            connection.settimeout(10.0)
            assert _is_closed(connection)
    finally:
        for connection in silent:
            connection.close()
    assert busy > 0.7 * quiet
    assert supervisor.memory_info().rss - memory < 50e6
    assert node.job("csv").lost == 0
    status = node.wait(
        lambda: (r := node.snapshot().supervisor.remote) and r.connections == 0 and r,
        what="all to have gone",
    )
    assert status.refused >= 300
    # Few lines, whatever happens.
    lines = re.findall(r"control: refused .*", node.log())
    assert 0 < len(lines) <= 20
    assert any("127.0.0.1" in line for line in lines)
    node.wait(
        lambda: re.search(r"\d+ more attempts to come in were refused", node.log()),
        what="the rest to be told in one line",
        seconds=15.0,
    )


def _is_closed(connection: socket.socket) -> bool:
    try:
        while connection.recv(4096):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def test_replayed_bytes_do_nothing(hub: tuple[Node, int]) -> None:
    node, port = hub
    with Relay(port) as relay:
        with alice_of(node, relay.port) as alice:
            alice.restart("source")
            node.wait_job("source", lambda job: job.restarts == 1)
        sent = relay.sent
    assert b"RestartJob" not in sent
    before = node.snapshot().supervisor.remote
    assert before is not None
    with socket.create_connection(("127.0.0.1", port)) as replay:
        replay.sendall(sent)
        replay.settimeout(10.0)
        assert _is_closed(replay)
    node.wait(
        lambda: (r := node.snapshot().supervisor.remote) and r.refused > before.refused,
        what="the replay to be counted",
    )
    assert node.job("source").restarts == 1
    assert [e.what for e in node.client.events().events].count("restart") == 1


def test_a_message_too_large_ends_its_connection(hub: tuple[Node, int]) -> None:
    node, port = hub
    with alice_of(node, port, seconds=1.0) as alice:
        assert alice.snapshot()
        with pytest.raises(ControlError):
            alice.restart_all(["x" * 100] * 20_000)
        wait_until(alice.snapshot, what="alice to be back")
    assert node.job("source").restarts == 0


def test_many_wrong_keys_in_a_row(hub: tuple[Node, int]) -> None:
    node, port = hub
    stranger = KeyFolder(node.folder / "stranger")
    stranger.new("alice")
    address = RemoteAddress(
        endpoint=f"tcp://127.0.0.1:{port}",
        own=stranger.secret(None),
        server=remote.keys_of(node).server(node.id),
    )
    for _ in range(20):
        with (
            ControlClient(address, program="test") as client,
            pytest.raises(ControlError, match="does not let the key 'alice' in"),
        ):
            client.snapshot()
    status = node.snapshot().supervisor.remote
    assert status is not None
    assert status.refused >= 20
    assert "control: refused 127.0.0.1: the public key" in node.log()
    assert node.log().count("refused 127.0.0.1") <= 5
