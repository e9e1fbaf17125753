"""The control protocol on TCP: who asks is known by the key, what he may by its role."""

from collections.abc import Callable
from typing import Final

import msgspec
import zmq

from enrgdaq.control import protocol
from enrgdaq.control.server import Handler, RequestDesk
from enrgdaq.control.status import RemoteStatus
from enrgdaq.keys import Door, Gate, Role, SecretKey

_DOMAIN: Final = "control"
_ROLES: Final[tuple[Role, ...]] = ("observer", "operator")
_WAITING: Final = 20  # requests or answers of one peer; the queues of ZeroMQ count messages
_AT_MOST: Final = 10
_SECONDS: Final = 0.02


class RemoteControl:
    """The TCP endpoint of a supervisor. ``own``: its key; ``None`` asks nobody for one.

    Raises :class:`ConfigurationError` when the address cannot be had.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        gate: Gate,
        *,
        host: str,
        port: int,
        own: SecretKey | None,
    ) -> None:
        self._door = Door(
            context,
            gate,
            zmq.ROUTER,
            host=host,
            port=port,
            own=own,
            domain=_DOMAIN,
            roles=_ROLES,
            largest_bytes=protocol.LARGEST_REQUEST,
            most_waiting=_WAITING,
        )
        self._desk = RequestDesk(self._door.socket, self._asker)

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return self._door.endpoint

    def watch(
        self,
        watch: Callable[["zmq.Socket[bytes]", Callable[[], None]], None],
        handler: Handler,
    ) -> None:
        """Be part of a loop, which looks after the gate and calls :meth:`look` a few times a
        second."""
        watch(self._door.monitor, self._door.look)
        # At most so much a turn: supervision goes first, whatever is asked.
        watch(
            self._door.socket,
            lambda: self._desk.answer(handler, at_most=_AT_MOST, seconds=_SECONDS),
        )

    def look(self) -> None:
        """Turn out whose key was revoked; never waits."""
        self._door.look()

    def status(self) -> RemoteStatus:
        """What displays show of it."""
        return RemoteStatus(
            endpoint=self.endpoint,
            is_insecure=self._door.is_insecure,
            connections=self._door.connections,
            refused=self._door.refused,
            rejected=self._desk.rejected,
        )

    def close(self) -> None:
        """End all connections; idempotent."""
        self._door.close()

    def _asker(
        self, frame: zmq.Frame, caller: protocol.Caller
    ) -> tuple[protocol.Caller, Role] | None:
        peer = self._door.peer(frame)
        if peer is None:
            return None
        user = protocol.remote_user(peer.name)
        found = msgspec.structs.replace(caller, user=user, address=peer.address)
        return found, peer.role
