"""Which rings readers lack something of, though their stream had acknowledged it.

A reader says how far it has each ring, and of which ones it has seen something whose beginning it
does not have. What was lost at the end of a stream nobody sees: there a reader has read all that
is stored, and does not get on.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from enrgdaq.federation.jetstream.wants import HasRead

_STANDSTILL_SECONDS: Final = 10.0
"""Longer than it takes a reader to say how far it is, after it has read all that is stored."""
_LONGEST_SECONDS: Final = 600.0
"""Between attempts that do not help."""


class _Lack(msgspec.Struct):
    """``have``: where a ring ends for a reader; ``until``: the number up to which it was sent."""

    have: int
    since: float
    until: int = 0
    wait: float = _STANDSTILL_SECONDS


class Missing:
    """To be asked again and again; remembers what it has found."""

    def __init__(self) -> None:
        self._lacks: dict[tuple[str, str], _Lack] = {}

    def rings(
        self,
        words: Iterable[HasRead],
        sent: Mapping[str, int],
        *,
        created: str,
        last: int,
        now: float,
    ) -> dict[str, int]:
        """Rings of which all behind a place is to be sent again.

        ``sent``: where the rings end that readers are not known to have; ``created``, ``last``: of
        the stream, and its last message's number.
        """
        found: dict[str, int] = {}
        for word in words:
            for ring_uuid in sent.keys() | word.lacks:
                have = word.rings.get(ring_uuid, 0)
                sees_gap = ring_uuid in word.lacks
                if not sees_gap and have >= sent[ring_uuid]:
                    self._lacks.pop((word.node, ring_uuid), None)
                    continue
                lack = self._lacks.get((word.node, ring_uuid))
                if lack is None or lack.have != have:
                    lack = self._lacks[word.node, ring_uuid] = _Lack(have, now)
                behind = min(lack.until, last) if sees_gap else last
                if word.created != created or word.number < behind:
                    lack.since = now
                    continue
                is_new = sees_gap and not lack.until
                if is_new or now - lack.since >= lack.wait:
                    found[ring_uuid] = min(have, found.get(ring_uuid, have))
        return found

    def note_sent(self, ring_uuid: str, until: int, now: float) -> None:
        """A ring was sent again; ``until``: the number of its last message in the stream."""
        for (_, ring), lack in self._lacks.items():
            if ring == ring_uuid:
                lack.wait = min(2 * lack.wait, _LONGEST_SECONDS) if lack.until else lack.wait
                lack.until, lack.since = until, now
