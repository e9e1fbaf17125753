"""Looks after gates and doors in a thread, as a supervisor's loop does."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import zmq

from enrgdaq.keys import Door, Gate, KeyFolder, Peer, Role, SecretKey, secure_client
from enrgdaq.keys.files import PublicKey


class Server:
    """A door that answers every message with the peer's name and role, and what it read."""

    def __init__(self, folder: KeyFolder, *, roles: tuple[Role, ...] = ("observer", "operator")):
        self.folder = folder
        self.read: list[bytes] = []
        self.as_node: list[Peer | None] = []
        self.port = 0
        self.refused = 0
        self.connections = 0
        self._roles = roles
        self._ready = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def endpoint(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def __enter__(self) -> "Server":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(10)

    def _run(self) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        gate = Gate(context, self.folder)
        door = Door(
            context,
            gate,
            zmq.ROUTER,
            host="127.0.0.1",
            port=0,
            own=self.folder.secret("hub"),
            domain="test",
            roles=self._roles,
            largest_bytes=1 << 16,
        )
        self.port = door.port
        poller = zmq.Poller()
        for socket in (gate.socket, door.monitor, door.socket):
            poller.register(socket, zmq.POLLIN)
        self._ready.set()
        while not self._over.is_set():
            poller.poll(50)
            gate.look()
            door.look()
            self.connections = door.connections
            self.refused = door.refused
            while door.socket.poll(0):
                frames = door.socket.recv_multipart(copy=False)
                peer = door.peer(frames[-1])
                self.as_node.append(gate.peer(frames[-1], ("node",)))
                self.read.append(frames[-1].bytes if peer else b"dropped")
                if peer:
                    answer = f"{peer.name} {peer.role} {peer.address}".encode()
                    door.socket.send_multipart([frames[0].bytes, answer], zmq.NOBLOCK)
        door.close()
        gate.close()
        context.destroy(linger=0)


@contextmanager
def client(
    endpoint: str, own: SecretKey | None = None, server: PublicKey | None = None
) -> Iterator["zmq.Socket[bytes]"]:
    """A socket with a key, or without one."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.DEALER)
    if own is not None and server is not None:
        secure_client(socket, own=own, server=server, largest_bytes=1 << 16)
    socket.connect(endpoint)
    try:
        yield socket
    finally:
        context.destroy(linger=0)


def ask(socket: "zmq.Socket[bytes]", text: bytes = b"hello", *, seconds: float = 5.0) -> str:
    """The answer; empty when there is none in time."""
    try:
        socket.send(text, zmq.NOBLOCK)
    except zmq.Again:
        # Turned out for good: libzmq takes nothing for such a peer.
        return ""
    return socket.recv().decode() if socket.poll(int(1000 * seconds)) else ""


def hub_with(path: Path, **roles: Role) -> KeyFolder:
    """A server's folder that lets these names in; their own folders lie beside it."""
    hub = KeyFolder(path / "hub")
    hub.new("hub")
    for name, role in roles.items():
        hub.allow(KeyFolder(path / name).new(name), role)
    return hub
