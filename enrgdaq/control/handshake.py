"""Why a TCP connection to a supervisor does not come about: libzmq tries again in silence."""

import socket as sockets
import uuid
from urllib.parse import urlsplit

import zmq
from zmq.utils.monitor import parse_monitor_message

from enrgdaq.control.address import RemoteAddress
from enrgdaq.errors import ControlError, NotRunningError
from enrgdaq.keys import secure_client
from enrgdaq.keys.door import limit_socket

_LARGEST_ANSWER = 64 << 20  # bytes
_EVENTS = (
    zmq.EVENT_CLOSED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)


class Handshake:
    """Connects a socket with its keys and watches how it goes."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        socket: "zmq.Socket[bytes]",
        address: RemoteAddress,
    ) -> None:
        self._socket = socket
        self._address = address
        if address.own is not None and address.server is not None:
            secure_client(
                socket, own=address.own, server=address.server, largest_bytes=_LARGEST_ANSWER
            )
        else:
            limit_socket(socket, _LARGEST_ANSWER)
        # Not by id(self): the name of one that was just closed is free a moment later only.
        watched = f"inproc://handshake-{uuid.uuid4().hex}"
        socket.monitor(watched, _EVENTS)
        self.monitor = context.socket(zmq.PAIR)
        self.monitor.linger = 0
        self.monitor.rcvhwm = 0
        self.monitor.connect(watched)

    def connect(self) -> None:
        """Begin. Raises :class:`NotRunningError` for a host that is not known."""
        parts = urlsplit(self._address.endpoint)
        try:
            # libzmq would go on asking for it in silence.
            sockets.getaddrinfo(parts.hostname, parts.port)
        except OSError as error:
            raise NotRunningError(f"{self._address}: {error.strerror}") from error
        self._socket.connect(self._address.endpoint)

    def forget(self) -> None:
        """What happened before a question explains nothing of its answer."""
        while self.monitor.poll(0):
            self.monitor.recv_multipart()

    def look(self) -> None:
        """Raise the error that explains what has happened, if it failed."""
        event = parse_monitor_message(self.monitor.recv_multipart())["event"]
        server, own = self._address.server, self._address.own
        if event == zmq.EVENT_CLOSED:
            raise NotRunningError(
                f"nobody listens at {self._address}: is the supervisor running there, and"
                " is_server = true in its [cnc]?"
            )
        if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH and own is not None:
            raise ControlError(
                f"{self._address} does not let the key {own.name!r} in; there, run: enrgdaq keys"
                f" allow {own.name}.public.toml --role operator"
            )
        if server is None:
            raise ControlError(f"{self._address} asks for a key; leave --insecure out")
        raise ControlError(
            f"{self._address} is not the server that has the key {server.name!r}, or asks for no"
            " key at all; name its public key by --server-key"
        )

    def close(self) -> None:
        """Stop watching; idempotent."""
        if not self._socket.closed:
            self._socket.disable_monitor()
        self.monitor.close()
