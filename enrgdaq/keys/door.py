"""A TCP endpoint where keys are asked for, and the other end of one.

libzmq asks for a key once, when a connection is made, and cannot end a single one. So when a key
loses its role two things happen: what it has sent is refused message by message
(:meth:`Door.peer`), and the endpoint is closed and opened again, which ends all connections;
those that still may come in are back after a moment. The first alone would leave a peer that can
still be sent to, the second alone would carry out what waits to be read.

The listening socket is ours and libzmq accepts on a duplicate: a port in use is found at once,
the backlog is ours to choose, and opening again cannot lose the port.
"""

import logging
import os
import resource
import socket as sockets
import time
import uuid
from collections.abc import Callable
from typing import Final

import zmq

from enrgdaq.errors import ConfigurationError
from enrgdaq.keys.connections import EVENTS, Connections
from enrgdaq.keys.files import PublicKey, Role, SecretKey
from enrgdaq.keys.gate import Gate, Peer, peer_address

_LOG = logging.getLogger(__name__)
HANDSHAKE_MS: Final = 3_000
"""A connection that has not proved its key by then is closed."""
_MOST_CONNECTIONS: Final = 1_024
_BACKLOG: Final = 64
_SHUT_SECONDS: Final = 3.0
_IDLE_SECONDS: Final = 5
_PROBES: Final = 3
_SILENT_MS: Final = 20_000


class Door:
    """A bound socket of any kind. ``own``: the server's key; ``None`` lets everybody in.

    ``largest_bytes`` bounds a frame, ``most_waiting`` the messages of each peer that wait to be
    read or sent. Peers are of one of ``roles``; the last one is what everybody is where no keys
    are asked for.
    Raises :class:`ConfigurationError` when the address cannot be had.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        gate: Gate,
        kind: int,
        *,
        host: str,
        port: int,
        own: SecretKey | None,
        domain: str,
        roles: tuple[Role, ...],
        largest_bytes: int,
        most_waiting: int = 1000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.roles = roles
        self.is_insecure = own is None
        self._gate = gate
        self._domain = domain
        self._clock = clock
        self._turned_out = gate.turned_out(roles)
        self._shut_until: float | None = None
        self._connections = Connections()
        gate.admit(domain, roles)
        self._listening = _listen(host, port)
        self.endpoint = _endpoint(self._listening)
        self.socket = context.socket(kind)
        limit_socket(self.socket, largest_bytes)
        self.socket.set_hwm(most_waiting)
        if own is not None:
            self.socket.curve_server = True
            self.socket.curve_secretkey = own.secret.encode()
            self.socket.setsockopt(zmq.ZAP_DOMAIN, domain.encode())
        watched = f"inproc://door-{uuid.uuid4().hex}"
        self.socket.monitor(watched, EVENTS)
        self.monitor = context.socket(zmq.PAIR)
        self.monitor.linger = 0
        # libzmq's own thread waits for room here, and would take all connections with it.
        self.monitor.rcvhwm = 0
        self.monitor.connect(watched)
        self._open()

    @property
    def port(self) -> int:
        """The port, also where 0 was asked for."""
        return int(self._listening.getsockname()[1])

    @property
    def connections(self) -> int:
        """How many there are now, those included that have not proved a key yet."""
        return len(self._connections)

    @property
    def refused(self) -> int:
        """Attempts to come in here that were refused so far."""
        return self._gate.refusals.counts[self._domain]

    def look(self) -> None:
        """See to connections and revoked keys; never waits. Call it a few times a second, and
        when :attr:`monitor` can be read."""
        for address, reason in self._connections.take(self.monitor):
            self._gate.refusals.note(self._domain, address, reason)
        turned_out, before = self._gate.turned_out(self.roles), self._turned_out
        self._turned_out = turned_out
        if self._shut_until is not None:
            if self._clock() >= self._shut_until:
                self._shut_until = None
                self._open()
        elif self.connections > _most_connections():
            # Whoever has all descriptors of a process has its supervision; links and consoles
            # come back by themselves.
            self._shut(f"{self.connections} connections are too many; all are ended")
        elif turned_out != before and not self.is_insecure:
            self.socket.unbind(self.endpoint)
            self._open()

    def admits(self, name: str) -> bool:
        """Whether a peer of this name may come in: whose key was revoked may not."""
        return self.is_insecure or self._gate.may_come(name, self.roles)

    def peer(self, frame: zmq.Frame) -> Peer | None:
        """Who sent a frame; ``None``: not, or no longer, allowed, so drop the message.

        To be asked for every message.
        """
        if self.is_insecure:
            return Peer(name="", role=self.roles[-1], address=peer_address(frame))
        peer = self._gate.peer(frame, self.roles)
        if peer is None:
            reason = "its key lost the role; what it had sent was dropped"
            self._gate.refusals.note(self._domain, peer_address(frame), reason)
        return peer

    def close(self) -> None:
        """End all connections; idempotent."""
        if not self.socket.closed:
            self.socket.disable_monitor()
            self.monitor.close()
            self.socket.close()
            self._listening.close()

    def _open(self) -> None:
        try:
            self.socket.setsockopt(zmq.USE_FD, os.dup(self._listening.fileno()))
            self.socket.bind(self.endpoint)
        except (OSError, zmq.ZMQError) as error:
            # Of descriptors there may be none at this moment.
            self._later(f"cannot be opened: {error.strerror}")

    def _shut(self, reason: str) -> None:
        self.socket.unbind(self.endpoint)
        self._later(reason)

    def _later(self, reason: str) -> None:
        _LOG.error("%s: %s; closed for %g s", self.endpoint, reason, _SHUT_SECONDS)
        self._shut_until = self._clock() + _SHUT_SECONDS


def secure_client(
    socket: "zmq.Socket[bytes]", *, own: SecretKey, server: PublicKey, largest_bytes: int
) -> None:
    """Prove ``own`` to a server and accept no other than ``server``; before ``connect``."""
    limit_socket(socket, largest_bytes)
    socket.curve_publickey = own.public.encode()
    socket.curve_secretkey = own.secret.encode()
    socket.curve_serverkey = server.public.encode()


def limit_socket(socket: "zmq.Socket[bytes]", largest_bytes: int) -> None:
    """Bound what a stranger can cost: the size of a frame before it is read, and time.

    A larger frame ends its connection. libzmq bounds the size of a frame, not the number of
    frames of a message: that is left to those who have a key.
    """
    socket.setsockopt(zmq.MAXMSGSIZE, largest_bytes)
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    # The kernel looks for peers that are gone without a word. Not libzmq's own heartbeats: with
    # them 4.3.5 ends the process by an assertion (!_io_error) when a connection breaks whose
    # queue of messages to be read is full.
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, _IDLE_SECONDS)
    socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, _IDLE_SECONDS)
    socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, _PROBES)
    socket.setsockopt(zmq.TCP_MAXRT, _SILENT_MS)
    socket.setsockopt(zmq.IPV6, 1)


def _listen(host: str, port: int) -> sockets.socket:
    try:
        family, _, _, _, address = sockets.getaddrinfo(
            host, port, type=sockets.SOCK_STREAM, flags=sockets.AI_PASSIVE
        )[0]
        found = sockets.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigurationError(
            f"nobody can be listened to on {host}:{port}: {error.strerror}; choose another port,"
            " or an address of this host"
        ) from error
    # A connection that is gone before libzmq accepts it must not stop libzmq's thread.
    found.setblocking(False)
    return found


def _endpoint(listening: sockets.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


def _most_connections() -> int:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(_MOST_CONNECTIONS, files // 4)
