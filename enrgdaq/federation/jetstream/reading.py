"""What a node does with the messages of one stream: in order, whole, nothing twice.

A redelivered message may come behind newer ones. Records are dropped by watermark, so a newer one
must never be taken first: it waits until the stream's next number is here. A number that the
stream does not have any more was lost, and that is said. What a message's own place shows to be
missing before it is sent again by its node, and until then nothing more of that ring is taken.
"""

import datetime as dt
import logging
import time
from collections.abc import Callable
from typing import Final

import msgspec

from enrgdaq.daq.models import LinkFigures
from enrgdaq.daq.outbox import PassedOn
from enrgdaq.errors import TransportError
from enrgdaq.federation.endpoints import UPLINK
from enrgdaq.federation.jetstream.arrival import Arrived
from enrgdaq.federation.jetstream.messages import join
from enrgdaq.federation.jetstream.ring_ends import RingEnds
from enrgdaq.federation.positions import Positions
from enrgdaq.federation.unpacking import HEADER_ROOM, unpack
from enrgdaq.transport.ring.layout import record_size

_GAP_SECONDS: Final = 10.0
"""Longer than redelivery takes: then the stream itself is asked."""
_MOST_WAITING: Final = 32
_BATCH_ROOM: Final = 8 << 20
"""What a batch of one large record has besides it, at most."""


class Taken(msgspec.Struct):
    """A batch on its way into the mirror ring."""

    reading: "StreamReading"
    life: int
    """How often the stream had begun anew when it was taken."""
    sequence: int
    """The number of its last message."""
    places: list[tuple[str, str, int]] = []
    records: list[PassedOn] = []
    done: int = 0
    passed: tuple[str, str, int] | None = None
    """The place of what is given up with it."""


class StreamReading:
    """Where this node is in the stream of another one."""

    def __init__(
        self,
        node: str,
        stream: str,
        positions: Positions,
        *,
        largest_bytes: int,
        log: logging.Logger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.node = node
        self.stream = stream
        self.next = 1
        """The stream's number that is to come next."""
        self.figures = LinkFigures(
            peer=node, is_sender=False, state="away", since=dt.datetime.now(dt.UTC), stream=stream
        )
        self.ready: list[Taken] = []
        """What can go into the mirror ring now, in order."""
        self.created = ""
        """Of the stream."""
        self.ends = RingEnds(node, positions, log)
        self._key = ""
        self._life = 0
        self._positions = positions
        self._largest = largest_bytes
        self._log = log
        self._clock = clock
        self._waiting: dict[int, Arrived] = {}
        self._parts: list[Arrived] = []
        self._replies: dict[int, str] = {}
        self._last = 0
        self._delivered = 0
        self._moved_at = clock()
        self._began_at = 0

    def begin(
        self, created: str, *, acknowledged: int, delivered: int, first: int, last: int
    ) -> None:
        """Go on where this node was in the stream, which may be a new one of the same name.

        ``created``: of the stream; ``acknowledged``, ``delivered``: up to which number the server
        thinks that this node has taken and received it; ``first``, ``last``: what the stream has.
        """
        key = f"{self.stream} of {created}"
        if key != self._key:
            if self._key:
                # What it has is compared by place, so nothing comes twice.
                self._log.warning("stream %s has begun anew", self.stream)
            self._key = key
            self._start_over(self.committed)
            self._began_at = 0 if self.committed > 0 or first <= 1 else last
        self._positions.forget_rings(self.node, {key})
        self.created = created
        self._delivered = max(delivered, acknowledged)
        self.look_at(last)

    def look_at(self, last: int) -> None:
        """The last number that the stream has now; also shows how far behind this node is."""
        if self.next > self._last:
            # There was nothing to come.
            self._moved_at = self._clock()
        self._last = last
        # What began before this node came has no beginning for it.
        self.ends.knows_beginnings = self.committed >= self._began_at
        self.figures.lag = max(0, last - self.committed)

    def counts_anew(self, arrived: Arrived) -> bool:
        """Whether the stream gives a number again that this node has read: then start over.

        A server that lost the end of a stream does that. What it had delivered before must not
        be acknowledged any more: its number may be that of something new.
        """
        number, place = arrived.sequence, arrived.place
        if (
            number > self.committed
            or place.part < place.parts
            or self._positions.has(self.node, arrived.ring_uuid, place.end)
            or self.ends.has_gap(arrived.ring_uuid, place.before)
        ):
            return False
        self._log.warning("stream %s counts anew from %d", self.stream, number)
        self._start_over(number - 1)
        return True

    def take(self, arrived: Arrived) -> None:
        """Take one message, and all that have waited for it.

        Raises :class:`TransportError` where this node has no room for what comes.
        """
        number = arrived.sequence
        if arrived.is_again:
            self.figures.redelivered += 1
        if arrived.reply:
            self._replies[number] = arrived.reply
        if number >= self.next:
            self._waiting[number] = arrived
        before = self.next
        while (following := self._waiting.get(self.next)) is not None:
            taken = self._take_next(following)
            del self._waiting[self.next]
            self.next += 1
            if taken is not None:
                self.ready.append(taken)
        if self.next > before:
            self._moved_at = self._clock()

    def replies(self) -> list[str]:
        """Where to acknowledge what is in the mirror ring; each once."""
        done = [number for number in self._replies if number <= self.committed]
        return [self._replies.pop(number) for number in done]

    @property
    def is_full(self) -> bool:
        """Whether so much waits here that no more is to be asked for."""
        return len(self._waiting) > _MOST_WAITING

    @property
    def missing(self) -> int | None:
        """The number that the stream is to be asked for: it does not come by itself.

        Either the server has delivered it already, to a process that was killed; or others have
        waited for it for too long.
        """
        if self.next in self._waiting or (self.next > self._last and not self._waiting):
            return None
        return self.next if self.is_late or self.next <= self._delivered else None

    @property
    def is_late(self) -> bool:
        """Whether what comes next has not come for longer than redelivery takes."""
        return self._clock() - self._moved_at >= _GAP_SECONDS

    def hurry(self) -> None:
        """What was missing was there: what follows it, up to what waits, does not come either."""
        self._delivered = min(self._waiting) - 1 if self._waiting else self._last

    def pass_by(self) -> None:
        """The missing message is none of ours: go on behind it."""
        if self.committed + 1 == self.next:
            self._positions.note(self.node, self._key, self.next)
        self._skip_to(self.next + 1)
        self._moved_at = self._clock()

    def give_up(self, first: int) -> None:
        """The missing message is not in the stream, nor what is before ``first``: say so.

        Nothing is said of what was gone when this node read the stream for the first time.
        """
        if self._waiting:
            first = min(first, *self._waiting)
        first = max(first, self.next + 1)
        if self.next > 1:
            self._log.error(
                "stream %s: messages %d to %d were never read here and are gone (%d): by its"
                " limits, by hand, by its servers, or read by another node with this one's name;"
                " what a sender still keeps of them it is asked for",
                *(self.stream, self.next, first - 1, first - self.next),
            )
        self._skip_to(first - 1)
        self.pass_by()
        following = self._waiting.get(self.next)
        if following is not None:
            self.take(following._replace(is_again=False))

    def note(self, taken: Taken, written: int) -> None:
        """So many more records of a batch are in the mirror ring."""
        for place in taken.places[taken.done : taken.done + written]:
            self.ends.note_written(place)
        taken.done += written
        if taken.passed is not None:
            self.ends.note_written(taken.passed)
        # What was taken before the stream began anew counts for its old numbers only.
        if taken.done == len(taken.records) and taken.life == self._life:
            self._positions.note(self.node, self._key, taken.sequence)

    def _take_next(self, arrived: Arrived) -> Taken | None:
        place = arrived.place
        # A first part: the sender was killed in the middle, and began with this batch anew.
        pieces = self._parts if place.part > 1 else []
        if not _follows(pieces, arrived):
            self._parts = []
            self._log.error(
                "stream %s: message %d is the rest of a batch whose beginning is gone",
                *(self.stream, arrived.sequence),
            )
            return Taken(self, self._life, arrived.sequence)
        if place.size > self._largest + _BATCH_ROOM:
            raise self._no_room(place.size)
        pieces = [*pieces, arrived]
        if place.part < place.parts:
            self._parts = pieces
            return None
        if self.ends.find_gap(arrived.ring_uuid, place.before):
            taken = Taken(self, self._life, arrived.sequence)
        else:
            taken = self._unpack(arrived, [piece.data for piece in pieces])
        self._parts = []
        return taken

    def _unpack(self, last: Arrived, data: list[bytes]) -> Taken:
        taken = Taken(self, self._life, last.sequence)
        try:
            batch, body = join(data)
            if {home.ring_uuid for home in batch.homes} != {last.ring_uuid}:
                raise TransportError("is of another ring than its subject says")
            found = unpack(
                batch,
                body,
                self._positions,
                largest_bytes=len(body),
                may_bring=lambda home: home == self.node,
                way_back_to=lambda _: UPLINK,
            )
        except TransportError as error:
            # Nobody who sends by our rules writes this; sent again it may be whole.
            self._log.error("stream %s: message %d dropped: %s", self.stream, last.sequence, error)
            if self.ends.pass_if_spoiled_again(last.ring_uuid, last.place.end):
                taken.passed = self.node, last.ring_uuid, last.place.end
            return taken
        sizes = [record_size(len(one.header), len(one.payload)) for one in found.records]
        # As the mirror ring itself looks at it: a record may fill half of it.
        if max(sizes, default=0) > self._largest + HEADER_ROOM:
            raise self._no_room(max(sizes))
        self.ends.leave_out_unpacked(found, last.ring_uuid)
        self.figures.repeated += found.repeated
        self.figures.messages += found.messages
        self.figures.bytes += found.bytes
        taken.places, taken.records = found.places, found.records
        return taken

    @property
    def committed(self) -> int:
        """The number up to which all is in the mirror ring."""
        return self._positions.end_of(self.node, self._key)

    def _no_room(self, size: int) -> TransportError:
        return TransportError(
            f"a message of {size / 1e6:.1f} MB of {self.node} does not fit; set"
            f" mirror_size_mb = {2 * size // (1 << 20) + 1} or more in [federation]"
        )

    def _start_over(self, known: int) -> None:
        self._life += 1
        self.next = known + 1
        self._waiting.clear()
        self._parts = []
        self._replies.clear()
        self.ready.clear()
        self.ends.start_over()
        self._positions.note(self.node, self._key, known)

    def _skip_to(self, number: int) -> None:
        self.next = number
        self._parts = []
        for waiting in [one for one in self._waiting if one < number]:
            del self._waiting[waiting]


def _follows(pieces: list[Arrived], arrived: Arrived) -> bool:
    """Whether a part is the next one of the batch whose first parts these are."""
    place = arrived.place
    size = len(arrived.data) + sum(len(piece.data) for piece in pieces)
    if place.part != len(pieces) + 1 or size > place.size:
        return False
    return not pieces or (
        pieces[0].ring_uuid == arrived.ring_uuid
        and pieces[0].place._replace(part=place.part) == place
    )
