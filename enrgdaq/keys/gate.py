"""Decides who comes in: answers libzmq's questions (ZAP) and names who sent a message.

pyzmq's authenticator reads a folder once, has no roles and counts nothing; what is left of it for
one mechanism is the few lines below. They run in the owner's loop: no thread, no lock. A gate that
is not looked after lets nobody in.
"""

import time
from collections.abc import Callable, Collection
from typing import Final

import zmq
from msgspec import Struct
from zmq.utils import z85

from enrgdaq.keys.current import CurrentKeys
from enrgdaq.keys.files import Role
from enrgdaq.keys.folder import KeyFolder
from enrgdaq.keys.refusals import Refusals

_ENDPOINT: Final = "inproc://zeromq.zap.01"  # fixed by ZeroMQ RFC 27
_AT_MOST: Final = 100  # questions a turn: the owner has other work


class Peer(Struct, frozen=True, kw_only=True):
    """Who sent a message."""

    name: str
    role: Role
    address: str


class Gate:
    """The ZAP handler of a context, with the keys that may come in as they are now.

    Make it before the context's first :class:`~enrgdaq.keys.door.Door` and close it after the
    last. Raises :class:`ConfigurationError` when the folder is not to be trusted.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        folder: KeyFolder,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.refusals = Refusals(clock)
        self._keys = CurrentKeys(folder, clock)
        self._roles: dict[str, tuple[Role, ...]] = {}
        self.socket = context.socket(zmq.ROUTER)
        self.socket.linger = 0
        self.socket.bind(_ENDPOINT)

    def admit(self, domain: str, roles: tuple[Role, ...]) -> None:
        """Keys of these roles may come in at the doors of this domain."""
        self._roles[domain] = roles

    def may_come(self, name: str, roles: Collection[Role]) -> bool:
        """Whether a key of this name may come in as one of these roles."""
        return self._keys.may_come(name, roles)

    def look(self) -> None:
        """Answer the questions that are here, and see to changed files; never waits."""
        self._keys.look()
        self.refusals.flush()
        for _ in range(_AT_MOST):
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            # ROUTER: the asking session, an empty frame, then the question.
            self.socket.send_multipart([*frames[:2], *self._answer(frames[2:])])

    def peer(self, frame: zmq.Frame, roles: Collection[Role]) -> Peer | None:
        """Who sent this frame, or ``None`` for a key that may not, or may no longer.

        To be asked for each message: libzmq asks once, when a connection is made, and what a
        peer sent before its key was revoked may still be waiting to be read.
        """
        try:
            public = str(frame.get("User-Id"))
        except zmq.ZMQError:
            return None
        key = self._keys.find(public)
        if key is None or key.role not in roles:
            return None
        return Peer(name=key.name, role=key.role, address=peer_address(frame))

    def turned_out(self, roles: Collection[Role]) -> int:
        """How often a key of one of these roles has lost it so far."""
        return self._keys.turned_out(roles)

    def close(self) -> None:
        """Let nobody in any more; idempotent."""
        self.socket.close()

    def _answer(self, question: list[bytes]) -> list[bytes]:
        if len(question) != 7 or question[5] != b"CURVE" or len(question[6]) != 32:
            return [b"1.0", *question[1:2], b"400", b"not CURVE", b"", b""]
        _, request, domain, address, _, _, raw = question
        public = z85.encode(raw).decode()
        key = self._keys.find(public)
        where = domain.decode(errors="replace")
        if key is not None and key.role in self._roles.get(where, ()):
            return [b"1.0", request, b"200", b"OK", public.encode(), b""]
        if key is not None:
            reason = f"the key {key.name!r} is for the role {key.role}"
        elif (was := self._keys.revoked_name(public)) is not None:
            reason = f"the key {was!r} was revoked"
        else:
            reason = f"the public key {public} is not allowed"
        self.refusals.note(where, address.decode(errors="replace"), reason)
        return [b"1.0", request, b"400", b"not allowed", b"", b""]


def peer_address(frame: zmq.Frame) -> str:
    """Where a frame came from, without the port."""
    try:
        return str(frame.get("Peer-Address"))
    except zmq.ZMQError:
        return ""
