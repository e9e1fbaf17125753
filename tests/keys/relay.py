"""A TCP relay that keeps what the client sends."""

import contextlib
import selectors
import socket
import threading


class Relay:
    """Passes bytes between whoever connects and one port, in a thread."""

    def __init__(self, port: int) -> None:
        self.sent = b""
        self._target = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._over = threading.Event()
        self._cut = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Relay":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(5)
        self._listening.close()

    def cut(self) -> None:
        """End the connections that there are now."""
        self._cut.set()

    def _run(self) -> None:
        pairs: dict[socket.socket, socket.socket] = {}
        clients: set[socket.socket] = set()
        with selectors.DefaultSelector() as selector:
            selector.register(self._listening, selectors.EVENT_READ)
            while not self._over.is_set():
                if self._cut.is_set():
                    self._cut.clear()
                    for end in pairs:
                        selector.unregister(end)
                        end.close()
                    pairs.clear()
                    clients.clear()
                for key, _ in selector.select(0.05):
                    near = key.fileobj
                    assert isinstance(near, socket.socket)
                    if near is self._listening:
                        client, _ = near.accept()
                        far = socket.create_connection(("127.0.0.1", self._target))
                        pairs |= {client: far, far: client}
                        clients.add(client)
                        for end in (client, far):
                            selector.register(end, selectors.EVENT_READ)
                        continue
                    if near not in pairs:
                        continue
                    data = b""
                    with contextlib.suppress(OSError):
                        data = near.recv(65_536)
                        pairs[near].sendall(data)
                    if near in clients:
                        self.sent += data
                    if not data:
                        for end in (near, pairs.pop(near)):
                            pairs.pop(end, None)
                            selector.unregister(end)
                            end.close()
        for end in pairs:
            end.close()
