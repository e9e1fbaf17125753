"""Who gets in over TCP, and who does not."""

import logging
import re
import socket
from pathlib import Path

import pytest
import zmq

from enrgdaq.errors import ConfigurationError
from enrgdaq.keys import KeyFolder, door
from tests.keys.looking import Server, ask, client, hub_with
from tests.system.node import wait_until


def test_a_peer_is_known_by_name_and_role(tmp_path: Path) -> None:
    hub = hub_with(tmp_path, alice="operator", wall="observer")
    with Server(hub) as server:
        for name, role in (("alice", "operator"), ("wall", "observer")):
            own = KeyFolder(tmp_path / name).secret(None)
            with client(server.endpoint, own, hub.server("hub")) as peer:
                assert ask(peer) == f"{name} {role} 127.0.0.1"
        assert server.refused == 0
        assert server.as_node == [None, None]


@pytest.mark.parametrize(
    "reason",
    [
        "is not allowed",
        "for the role node",
        "takes this server for another",
        # Which end breaks off first is chance.
        "has no key|it left",
    ],
)
def test_strangers_stay_out(tmp_path: Path, caplog: pytest.LogCaptureFixture, reason: str) -> None:
    hub = hub_with(tmp_path, alice="operator", spoke="node")
    key = hub.server("hub")
    stranger = KeyFolder(tmp_path / "stranger")
    stranger.new("alice")  # the name is not what counts
    alice, spoke = (KeyFolder(tmp_path / name).secret(None) for name in ("alice", "spoke"))
    own, known = {
        "is not allowed": (stranger.secret(None), key),
        "for the role node": (spoke, key),
        "takes this server for another": (alice, stranger.server(None)),
        "has no key|it left": (None, None),
    }[reason]
    with (
        caplog.at_level(logging.WARNING),
        Server(hub) as server,
        client(server.endpoint, own, known) as peer,
    ):
        peer.send(b"hello")
        wait_until(lambda: re.search(reason, caplog.text), what=reason)
        if known is key:
            # One that does not come so far may be gone before its address is read.
            assert any(reason in m and "127.0.0.1" in m for m in caplog.messages)
        wait_until(lambda: server.refused, what="the count")
        assert not peer.poll(50)
        assert server.read == []


def test_a_revoked_key_is_out_within_a_second(tmp_path: Path) -> None:
    hub = hub_with(tmp_path, alice="operator", bob="observer")
    keys = [KeyFolder(tmp_path / name).secret(None) for name in ("alice", "bob")]
    with (
        Server(hub) as server,
        client(server.endpoint, keys[0], hub.server("hub")) as alice,
        client(server.endpoint, keys[1], hub.server("hub")) as bob,
    ):
        assert ask(alice) and ask(bob)
        hub.revoke("alice")
        wait_until(lambda: server.refused, seconds=1.0, what="alice at the gate again")
        assert not ask(alice, b"still there", seconds=0.3)
        assert b"still there" not in server.read
        # What bob sent while the door was shut may be gone, like with any cut.
        wait_until(lambda: ask(bob, seconds=0.2), what="bob to be back")
        wait_until(lambda: server.connections <= 2, what="the old connections to be forgotten")


def test_a_role_can_be_changed(tmp_path: Path) -> None:
    hub = hub_with(tmp_path, alice="observer")
    own = KeyFolder(tmp_path / "alice")
    key = hub.server("hub")
    with Server(hub) as server, client(server.endpoint, own.secret(None), key) as alice:
        assert "observer" in ask(alice)
        hub.allow(own.public_file("alice"), "operator")
        wait_until(lambda: "operator" in ask(alice, seconds=0.2), what="the new role")


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    from enrgdaq.keys.door import _listen

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}"):
            _listen("127.0.0.1", port)


def test_a_flood_cannot_take_all_descriptors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(door, "_MOST_CONNECTIONS", 20)
    monkeypatch.setattr(door, "_SHUT_SECONDS", 0.1)
    hub = hub_with(tmp_path, alice="operator")
    own = KeyFolder(tmp_path / "alice").secret(None)
    with caplog.at_level(logging.ERROR), Server(hub) as server:
        flood = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(40)]
        try:
            wait_until(lambda: "too many" in caplog.text, what="the door to close")
            with client(server.endpoint, own, hub.server("hub")) as alice:
                wait_until(lambda: ask(alice, seconds=0.2), what="alice to be let in")
            wait_until(lambda: server.connections <= 20, what="the flood to have gone")
        finally:
            for connection in flood:
                connection.close()


def test_a_frame_too_large_ends_its_connection(tmp_path: Path) -> None:
    hub = hub_with(tmp_path, alice="operator")
    own = KeyFolder(tmp_path / "alice").secret(None)
    with Server(hub) as server, client(server.endpoint, own, hub.server("hub")) as alice:
        assert not ask(alice, bytes(1 << 17), seconds=0.3)
        assert server.read == []
        wait_until(lambda: ask(alice, seconds=0.2), what="alice to be back")


def test_libzmq_sends_no_heartbeats() -> None:
    # Its 4.3.5 ends the process when one is due on a broken connection whose queue is full.
    with zmq.Context() as context, context.socket(zmq.ROUTER) as found:
        door.limit_socket(found, 1_000)
        assert found.getsockopt(zmq.HEARTBEAT_IVL) == 0
        assert found.getsockopt(zmq.TCP_KEEPALIVE) == 1
