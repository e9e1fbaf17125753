"""What the hub does with what its spokes say: sessions, order, nothing twice."""

import datetime as dt
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Literal

import msgspec

from enrgdaq.daq.models import LinkFigures
from enrgdaq.daq.outbox import PassedOn
from enrgdaq.errors import TransportError
from enrgdaq.federation import wire
from enrgdaq.federation.positions import Positions
from enrgdaq.federation.unpacking import unpack
from enrgdaq.models import SupervisorInfo

AWAY_SECONDS: Final = 5.0
"""A spoke that has not said anything for so long is away; it asks every second."""

_MOST_SPOKES: Final = 1_000


class Spoke(msgspec.Struct):
    """A node that has opened a session."""

    name: str
    address: bytes
    session: str
    heard_at: float
    figures: LinkFigures
    wanted: list[str]
    next_number: int = 0


class _Taken(msgspec.Struct):
    """A batch on its way into the mirror ring."""

    spoke: Spoke
    session: str
    number: int
    places: list[tuple[str, str, int]]
    records: list[PassedOn]
    done: int = 0


PassOn = Callable[[Sequence[PassedOn]], int]
Send = Callable[[bytes, wire.FromReceiver], None]


class Receiver:
    """Takes batches in their order, and acknowledges what is in the mirror ring.

    ``way_back_to`` names this node's link to where a record comes from: it is not owed the record.
    """

    def __init__(
        self,
        node: SupervisorInfo,
        positions: Positions,
        pass_on: PassOn,
        send: Send,
        *,
        largest_bytes: int,
        may_bring: Callable[[str, str], bool],
        way_back_to: Callable[[str], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.spokes: dict[str, Spoke] = {}
        self._node = node
        self._may_bring = may_bring
        self._way_back_to = way_back_to
        self._positions = positions
        self._pass_on = pass_on
        self._send = send
        self._largest = largest_bytes
        self._clock = clock
        self._topics_from: Callable[[str], list[str]] = lambda _: []
        self._taken: deque[_Taken] = deque()
        self._figures = {
            node: _no_figures(node) for node in positions.nodes if may_bring(node, node)
        }

    @property
    def is_full(self) -> bool:
        """Whether the mirror ring has no room for what was taken."""
        return bool(self._taken)

    def want(self, topics_from: Callable[[str], list[str]]) -> None:
        """Tell each sender what is taken of it, if that is news."""
        self._topics_from = topics_from
        for spoke in self.spokes.values():
            topics = topics_from(spoke.name)
            if topics != spoke.wanted:
                spoke.wanted = topics
                self._send(spoke.address, wire.Wanted(topics=topics))

    def take(
        self, address: bytes, name: str | None, message: wire.FromSender, body: "bytes | memoryview"
    ) -> None:
        """Take what a peer says; ``name``: that of its key, ``None`` where none is asked for.

        Raises :class:`TransportError` for what no spoke of ours would say.
        """
        if isinstance(message, wire.Open):
            self._open(address, name, message)
            return
        spoke = self._spoke_of(address, message.session)
        if spoke is None:
            self._send(address, wire.Again(session=message.session))
            return
        spoke.heard_at = self._clock()
        _show(spoke.figures, "up")
        if isinstance(message, wire.Close):
            del self.spokes[spoke.name]
            _show(spoke.figures, "left")
        elif isinstance(message, wire.Ping):
            self._send(address, wire.Pong(session=message.session, number=message.number))
        elif message.number != spoke.next_number:
            # Something was lost on the way, as when the endpoint was closed and opened again.
            self._end(spoke)
        elif sum(taken.spoke is spoke for taken in self._taken) >= wire.WINDOW:
            self._end(spoke)
            raise TransportError("sends more than it may before that is acknowledged")
        else:
            self._taken.append(self._unpack(spoke, message, body))
            spoke.next_number += 1

    def work(self) -> None:
        """Write what was taken into the mirror ring, as far as there is room; acknowledge it.

        Raises ``OSError`` when positions cannot be written: then nothing is acknowledged.
        """
        finished = []
        while self._taken:
            taken = self._taken[0]
            written = self._pass_on(taken.records[taken.done :])
            for home, ring_uuid, end in taken.places[taken.done : taken.done + written]:
                self._positions.note(home, ring_uuid, end)
            taken.done += written
            if taken.done < len(taken.records):
                break
            finished.append(self._taken.popleft())
        self._positions.save()
        for taken in finished:
            ack = wire.Ack(session=taken.session, number=taken.number)
            self._send(taken.spoke.address, ack)

    def say_busy(self) -> None:
        """Tell senders that what they have sent waits for room, and is not lost."""
        waiting = {taken.spoke.name for taken in self._taken}
        for spoke in self.spokes.values():
            if spoke.name in waiting:
                # It waits for this node, and does not speak meanwhile.
                spoke.heard_at = self._clock()
            self._send(spoke.address, wire.Busy(session=spoke.session))

    def figures(self) -> list[LinkFigures]:
        """The links, also those to nodes that are away."""
        now = self._clock()
        for spoke in self.spokes.values():
            if now - spoke.heard_at >= AWAY_SECONDS:
                _show(spoke.figures, "away")
        return list(self._figures.values())

    def _open(self, address: bytes, name: str | None, message: wire.Open) -> None:
        node = message.node.supervisor_id
        if message.version != wire.LINK_VERSION:
            reason = f"speaks version {wire.LINK_VERSION} of the link, not {message.version}"
            self._send(address, wire.Refused(reason=reason))
            return
        if name is not None and name != node:
            reason = f"the key {name!r} is not that of a node called {node!r}"
            self._send(address, wire.Refused(reason=reason))
            raise TransportError(reason)
        if node == self._node.supervisor_id:
            reason = f"this node is called {node!r} itself; give the other one another name"
            self._send(address, wire.Refused(reason=reason))
            return
        if node not in self._figures and len(self._figures) >= _MOST_SPOKES:
            self._send(address, wire.Refused(reason=f"{_MOST_SPOKES} nodes are linked already"))
            return
        # What of an earlier session is not in the mirror ring yet comes again in this one.
        self._taken = deque(taken for taken in self._taken if taken.spoke.name != node)
        figures = self._figures.setdefault(node, _no_figures(node))
        _show(figures, "up")
        wanted = self._topics_from(node)
        self.spokes[node] = Spoke(node, address, message.session, self._clock(), figures, wanted)
        for home in self._positions.nodes:
            if self._may_bring(node, home):
                self._positions.forget_rings(home, set(message.rings))
        opened = wire.Opened(
            session=message.session,
            node=self._node,
            topics=wanted,
            largest_bytes=self._largest,
        )
        self._send(address, opened)

    def _end(self, spoke: Spoke) -> None:
        """The session is over; whoever sends begins a new one."""
        del self.spokes[spoke.name]
        _show(spoke.figures, "away")
        self._send(spoke.address, wire.Again(session=spoke.session))

    def _spoke_of(self, address: bytes, session: str) -> Spoke | None:
        for spoke in self.spokes.values():
            if spoke.address == address and spoke.session == session:
                return spoke
        return None

    def _unpack(self, spoke: Spoke, batch: wire.Batch, body: "bytes | memoryview") -> _Taken:
        found = unpack(
            batch,
            body,
            self._positions,
            largest_bytes=self._largest,
            may_bring=lambda home: self._may_bring(spoke.name, home),
            way_back_to=self._way_back_to,
        )
        spoke.figures.repeated += found.repeated
        spoke.figures.messages += found.messages
        spoke.figures.bytes += found.bytes
        return _Taken(spoke, spoke.session, batch.number, found.places, found.records)


def _no_figures(node: str) -> LinkFigures:
    return LinkFigures(peer=node, is_sender=False, state="away", since=dt.datetime.now(dt.UTC))


def _show(figures: LinkFigures, state: Literal["up", "away", "left"]) -> None:
    if figures.state != state:
        figures.state = state
        figures.since = dt.datetime.now(dt.UTC)
