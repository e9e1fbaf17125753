"""A TCP line to a server, which can be cut, refuse, stall, or rob its client of an answer."""

import contextlib
import socket
import threading
import time
from pathlib import Path
from typing import Final

_PIECE_BYTES: Final = 1 << 16
_END_SECONDS: Final = 20.0

Target = tuple[str, int] | Path
"""A host and port, or a Unix socket."""


class HeldPort:
    """A port of the loopback that nobody else is given, while somebody listens there or not."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        # Bound and not listening: who listens there besides says the same.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.number = int(self._socket.getsockname()[1])

    def close(self) -> None:
        """Let go of it; idempotent."""
        self._socket.close()


class Line:
    """Listens on a port of the loopback, and carries what comes to the server and back."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._held = HeldPort()
        self.port = self._held.number
        self._is_refusing = True
        self._flows = threading.Event()
        self._stalled_for_good: list[threading.Event] = []
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._changed = threading.Condition()
        self._is_cut = False
        self._is_closed = False
        self._swallow: bytes | None = None
        self._late_seconds = 0.0
        self.swallowed = threading.Event()
        self.times_swallowed = 0
        self.mend()

    def cut(self) -> None:
        """End all connections and every new one at once, until :meth:`mend`."""
        self._is_cut = True
        self._drop_all()

    def refuse(self) -> None:
        """End all connections and listen no more, until :meth:`mend`."""
        self._is_refusing = True
        self._stop_listening()
        self._drop_all()

    def stall(self) -> None:
        """Keep connections, take new ones, and carry nothing, until :meth:`mend`."""
        self._flows.clear()

    def forget(self) -> None:
        """As :meth:`stall`; the connections there are carry nothing even after :meth:`mend`."""
        self._stalled_for_good.append(self._flows)
        self._flows.clear()
        self._flows = threading.Event()

    def mend(self) -> None:
        """Carry everything again; idempotent."""
        self._is_cut = False
        self._flows.set()
        if self._is_refusing:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self._is_refusing = False
            threading.Thread(
                target=self._accept, args=(self._listener,), name="line", daemon=True
            ).start()

    def swallow_answer_to(self, ending: bytes, *, late_seconds: float = 0.0) -> None:
        """End the line at the next request that ends so, and hand it to the server all the same.

        ``late_seconds``: only so much later, when the client may be back on a new line.
        """
        self.swallowed.clear()
        self._late_seconds = late_seconds
        self._swallow = ending

    def swallow_nothing(self) -> None:
        """Take :meth:`swallow_answer_to` back, if it has not come yet."""
        self._swallow = None

    def close(self) -> None:
        """End everything; idempotent."""
        self._is_closed = True
        self._stop_listening()
        self._drop_all()
        for flows in (self._flows, *self._stalled_for_good):
            flows.set()
        with self._changed:
            self._changed.wait_for(lambda: not self._pairs, _END_SECONDS)
        self._held.close()

    def _stop_listening(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _drop_all(self) -> None:
        with self._changed:
            for pair in self._pairs:
                _shut_down(*pair)

    @property
    def _takes_none(self) -> bool:
        return self._is_cut or self._is_refusing or self._is_closed

    def _accept(self, listener: socket.socket) -> None:
        while not self._is_closed:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            flows = self._flows
            if self._takes_none:
                client.close()
                continue
            try:
                server = _connect(self._target)
            except OSError:
                client.close()
                continue
            with self._changed:
                self._pairs.append((client, server))
            if self._takes_none:
                self._drop_all()
            threading.Thread(
                target=self._carry_both, args=(client, server, flows), daemon=True
            ).start()

    def _carry_both(
        self, client: socket.socket, server: socket.socket, flows: threading.Event
    ) -> None:
        answers = threading.Thread(target=_carry_answers, args=(server, client, flows), daemon=True)
        answers.start()
        self._carry_requests(client, server, flows)
        answers.join()
        with self._changed:
            self._pairs.remove((client, server))
            self._changed.notify_all()
        client.close()
        server.close()

    def _carry_requests(
        self, client: socket.socket, server: socket.socket, flows: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(_PIECE_BYTES):
                flows.wait()
                if self._swallow and data.endswith(self._swallow):
                    self._swallow = None
                    # The client's end goes first, so that no answer can reach it.
                    client.shutdown(socket.SHUT_RDWR)
                    time.sleep(self._late_seconds)
                    server.sendall(data)
                    server.shutdown(socket.SHUT_WR)
                    self.times_swallowed += 1
                    self.swallowed.set()
                    return
                server.sendall(data)
        _shut_down(client, server)


def _carry_answers(server: socket.socket, client: socket.socket, flows: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while data := server.recv(_PIECE_BYTES):
            flows.wait()
            # A client that is gone ends nothing here: the last piece of its request, whose
            # first ones are being answered, may be on its way.
            with contextlib.suppress(OSError):
                client.sendall(data)
    _shut_down(client, server)


def _connect(target: Target) -> socket.socket:
    if isinstance(target, Path):
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(5)
        try:
            made.connect(str(target))
        except OSError:
            made.close()
            raise
    else:
        made = socket.create_connection(target, timeout=5)
    made.settimeout(None)
    return made


def _shut_down(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
