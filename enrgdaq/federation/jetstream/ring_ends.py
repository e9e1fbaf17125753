"""Where the rings of one node end here, and of which of them something is missing."""

import logging

from enrgdaq.federation.jetstream.wants import MOST_RINGS
from enrgdaq.federation.positions import Positions
from enrgdaq.federation.unpacking import Unpacked


class RingEnds:
    """What is in the mirror ring, by its positions, and what is on its way into it.

    A message says where the one before it of its ring ended. Where that is behind the end here
    something was lost; then nothing more of the ring is taken until it is sent again from there.
    """

    def __init__(self, node: str, positions: Positions, log: logging.Logger) -> None:
        self.knows_beginnings = False
        """Whether it was there when rings began that it has never heard of."""
        self.lacks: dict[str, None] = {}
        """Rings of which something is missing, the latest last."""
        self._node = node
        self._positions = positions
        self._log = log
        # By ring, up to where records are unpacked; only of rings that have more to be written.
        self._unpacked: dict[str, int] = {}
        self._spoiled: dict[str, int] = {}

    def newest(self) -> dict[str, int]:
        """Where rings end in the mirror ring, those that moved last."""
        return self._positions.newest_rings(self._node, MOST_RINGS)

    def has_gap(self, ring_uuid: str, before: int) -> bool:
        """Whether something is missing before a message; ``before``: what it says of that."""
        end = max(self._positions.end_of(self._node, ring_uuid), self._unpacked.get(ring_uuid, 0))
        return before > end and (end > 0 or self.knows_beginnings)

    def find_gap(self, ring_uuid: str, before: int) -> bool:
        """The same, and say so when it was not so before."""
        if not self.has_gap(ring_uuid, before):
            if ring_uuid in self.lacks:
                self._log.warning(
                    "%s has sent again what of ring %s was lost", self._node, ring_uuid
                )
            self.lacks.pop(ring_uuid, None)
            return False
        if ring_uuid not in self.lacks:
            self._log.warning(
                "something of %s was lost before %d of ring %s; it is asked to send it again",
                *(self._node, before, ring_uuid),
            )
        self.lacks[ring_uuid] = None
        return True

    def pass_if_spoiled_again(self, ring_uuid: str, end: int) -> bool:
        """Pass a batch that is nonsense for a second time: its sender has it no better.

        ``end``: of its last record.
        """
        if self._spoiled.get(ring_uuid) != end:
            self._spoiled[ring_uuid] = end
            return False
        self._unpacked[ring_uuid] = end
        return True

    def leave_out_unpacked(self, found: Unpacked, ring_uuid: str) -> None:
        """Drop what an earlier message has brought that is not in the mirror ring yet."""
        unpacked = self._unpacked.get(ring_uuid, 0)
        new = []
        for place, record in zip(found.places, found.records, strict=True):
            if place[2] > unpacked:
                unpacked = place[2]
                new.append((place, record))
        found.repeated += len(found.records) - len(new)
        found.places = [place for place, _ in new]
        found.records = [record for _, record in new]
        found.messages = sum(record.messages for record in found.records)
        found.bytes = sum(len(record.payload) for record in found.records)
        if new:
            self._unpacked[ring_uuid] = unpacked
        elif end := self._positions.end_of(self._node, ring_uuid):
            # Its sender does not know yet that this node has it: it is said again.
            self._positions.note(self._node, ring_uuid, end)

    def note_written(self, place: tuple[str, str, int]) -> None:
        """A record is in the mirror ring; ``place``: node, ring and end."""
        self._positions.note(*place)
        if self._unpacked.get(place[1], 0) <= place[2]:
            self._unpacked.pop(place[1], None)

    def start_over(self) -> None:
        """What is on its way comes again."""
        self._unpacked.clear()
