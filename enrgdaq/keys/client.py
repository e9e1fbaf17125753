"""The other end of a door, for a client that stays for years."""

import time
import uuid
from collections.abc import Callable
from typing import Final

import zmq

from enrgdaq.keys.door import limit_socket, secure_client
from enrgdaq.keys.files import PublicKey, SecretKey

_RETRY_SECONDS: Final = 2.0
_REFUSALS: Final = (
    zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)


class LastingClient:
    """A DEALER socket that comes back from everything.

    libzmq connects again after a cut, but not to a server that has refused its key; so a client
    that came a moment before its key was allowed would stay outside for ever. Without keys where
    the server asks for none.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        endpoint: str,
        *,
        own: SecretKey | None,
        server: PublicKey | None,
        largest_bytes: int,
        most_waiting: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.endpoint = endpoint
        self._context = context
        self._keys = own, server
        self._largest = largest_bytes
        self._most_waiting = most_waiting
        self._clock = clock
        self._again_at: float | None = None
        self._open()

    def look(self) -> bool:
        """See whether the key was refused; whether :attr:`socket` is a new one. Never waits."""
        while self._monitor.poll(0):
            self._monitor.recv_multipart()
            self._again_at = self._again_at or self._clock() + _RETRY_SECONDS
        if self._again_at is None or self._clock() < self._again_at:
            return False
        self.close()
        self._open()
        return True

    def close(self) -> None:
        """End the connection; idempotent."""
        if not self.socket.closed:
            self.socket.disable_monitor()
            self._monitor.close()
            self.socket.close()

    def _open(self) -> None:
        self._again_at = None
        self.socket = self._context.socket(zmq.DEALER)
        """For the owner's poll set; another one after :meth:`look` has said so."""
        self.socket.linger = 200
        self.socket.set_hwm(self._most_waiting)
        # What was said while the server was away must not come as news when it is back.
        self.socket.setsockopt(zmq.IMMEDIATE, 1)
        self.socket.setsockopt(zmq.RECONNECT_IVL_MAX, 5_000)
        own, server = self._keys
        if own is not None and server is not None:
            secure_client(self.socket, own=own, server=server, largest_bytes=self._largest)
        else:
            limit_socket(self.socket, self._largest)
        watched = f"inproc://client-{uuid.uuid4().hex}"
        self.socket.monitor(watched, _REFUSALS)
        self._monitor = self._context.socket(zmq.PAIR)
        self._monitor.linger = 0
        self._monitor.connect(watched)
        self.socket.connect(self.endpoint)
