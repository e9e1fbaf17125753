"""Those who do not belong, at a hub that takes data: refused, logged, and not felt."""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import zmq

from enrgdaq.federation import wire
from enrgdaq.keys import KeyFolder, SecretKey, secure_client
from enrgdaq.models import SupervisorInfo
from tests.keys.relay import Relay
from tests.system import links, remote
from tests.system.node import Node, wait_until
from tests.system.test_links import file_of, rows_in, stop, wait_rows
from tests.system.test_strangers import GREETING


@dataclass
class Linked:
    """A hub, and a spoke that sends to it; ``port`` is that of the links."""

    hub: Node
    spoke: Node
    port: int

    def rows(self) -> int:
        return len(rows_in(file_of(self.hub, self.spoke)))

    def other_key(self) -> SecretKey:
        """A key that may link, and of which the link knows."""
        found = remote.make_key(self.hub, "other", "node")
        known = "mirror: enrgdaq.keys.current: the key 'other' may come in"
        self.hub.wait(lambda: known in self.hub.log(), what="the key to be known")
        return found

    def wait_more(self) -> None:
        """Data goes on."""
        before = self.rows()
        self.spoke.wait(lambda: self.rows() > before, what="more rows")


@pytest.fixture
def linked(nodes: Callable[[str], Node]) -> Iterator[Linked]:
    hub, spoke = nodes("hub"), nodes("spoke")
    port = links.make_hub(hub)
    hub.add("csv", links.CSV)
    links.link(spoke, hub, port)
    links.add_numbers(spoke, per_second=100)
    hub.start()
    spoke.start()
    made = Linked(hub, spoke, port)
    made.wait_more()
    yield made
    stop(spoke, hub)


@contextlib.contextmanager
def peer(linked: Linked, own: SecretKey) -> "Iterator[zmq.Socket[bytes]]":
    """A connection to the port of the links."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as found:
        found.linger = 0
        server = remote.keys_of(linked.hub).server(linked.hub.id)
        secure_client(found, own=own, server=server, largest_bytes=1 << 20)
        found.connect(f"tcp://127.0.0.1:{linked.port}")
        yield found


def opened(name: str) -> bytes:
    """What a spoke says first."""
    node = SupervisorInfo(supervisor_id=name)
    return wire.encode(
        wire.Open(version=wire.LINK_VERSION, session=os.urandom(16).hex(), node=node, rings=[])
    )


def test_a_crowd_at_both_ports_is_not_felt(linked: Linked) -> None:
    ports = (linked.port, links.nodes_port_of(linked.hub))
    crowd = [socket.create_connection(("127.0.0.1", port)) for port in ports for _ in range(60)]
    try:
        for connection in crowd[::3]:
            # A frame of a gigabyte, announced and never sent.
            connection.sendall(GREETING + b"\x06" + (1 << 30).to_bytes(8, "big"))
        for connection in crowd[1::3]:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        linked.wait_more()
        for domain in ("link", "nodes"):
            linked.hub.wait(lambda: f"{domain}: refused 127.0.0.1" in linked.hub.log(), what=domain)  # noqa: B023
    finally:
        for connection in crowd:
            connection.close()
    linked.wait_more()
    assert linked.hub.job("mirror").restarts == 0


def test_a_strange_key_is_refused(linked: Linked) -> None:
    stranger = KeyFolder(linked.hub.folder / "stranger")
    stranger.new(linked.spoke.id)
    with peer(linked, stranger.secret(None)) as socket_:
        socket_.send(opened(linked.spoke.id))
        linked.hub.wait(lambda: "link: refused 127.0.0.1" in linked.hub.log(), what="the refusal")
        assert not socket_.poll(100)
    linked.wait_more()


def test_a_key_opens_nothing_under_another_name(linked: Linked) -> None:
    other = linked.other_key()
    with peer(linked, other) as socket_:
        socket_.send(opened(linked.spoke.id))
        assert socket_.poll(10_000)
        answer = wire.decode(wire.RECEIVER_DECODER, socket_.recv())
        assert isinstance(answer, wire.Refused)
        assert "is not that of a node called" in answer.reason
    linked.wait_more()


def test_nonsense_of_a_node_harms_only_itself(linked: Linked) -> None:
    other = linked.other_key()
    with peer(linked, other) as socket_:
        for frames in ([b""], [b"\x93" * 1000], [opened("other"), b"x", b"y"], [os.urandom(500)]):
            socket_.send_multipart(frames)
        linked.hub.wait(lambda: "message of other dropped" in linked.hub.log(), what="the warning")
        socket_.send(opened("other"))
        assert socket_.poll(10_000)
        assert isinstance(wire.decode(wire.RECEIVER_DECODER, socket_.recv()), wire.Opened)
    linked.wait_more()
    assert linked.hub.job("mirror").restarts == 0


def test_replayed_bytes_bring_nothing(nodes: Callable[[str], Node]) -> None:
    hub, spoke = nodes("hub"), nodes("spoke")
    port = links.make_hub(hub)
    hub.add("csv", links.CSV)
    with Relay(port) as relay:
        links.link(spoke, hub, relay.port)
        links.add_numbers(spoke, 20)
        hub.start()
        spoke.start(wait_running=False)
        wait_rows(hub, spoke, 2_000)
        sent = relay.sent
        assert spoke.stop() == 0
    with socket.create_connection(("127.0.0.1", port)) as replay:
        replay.settimeout(10.0)
        with contextlib.suppress(ConnectionError):
            replay.sendall(sent)
            wait_until(lambda: not replay.recv(4096), what="the end of it")
    began = time.monotonic()
    hub.wait(lambda: time.monotonic() > began + 1.0, what="a flush of the store")
    assert len(rows_in(file_of(hub, spoke))) == 2_000
    assert hub.stop() == 0
