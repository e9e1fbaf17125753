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
    """``have``, ``sent``: where a ring ends for a reader, and for its sender.

    ``until``: the stream's number that a reader must have come to before it counts.
    """

    have: int
    sent: int
    until: int
    since: float
    wait: float = _STANDSTILL_SECONDS


class Missing:
    """What the readers of one line lack; to be asked again and again."""

    def __init__(self, last: int = 0) -> None:
        """``last``: the stream's number now; what was sent again before may be on its way."""
        self._opened_at = last
        self._lacks: dict[tuple[str, str], _Lack] = {}
        self._sent_until: dict[str, int] = {}

    def rings(
        self,
        words: Iterable[HasRead],
        sent: Mapping[str, int],
        *,
        created: str,
        last: int,
        published: int,
        now: float,
    ) -> dict[str, int]:
        """Rings of which all behind a place is to be sent again.

        ``sent``: where the rings end that readers are not known to have; ``created``, ``last``: of
        the stream, and the number that it has come to; ``published``: that it is to come to.
        """
        found: dict[str, int] = {}
        lacks = {}
        for word in words:
            for ring_uuid in sent.keys() | word.lacks:
                have, end = word.rings.get(ring_uuid, 0), sent.get(ring_uuid, 0)
                if ring_uuid not in word.lacks and have >= end:
                    continue
                lack = self._lack_of(word, ring_uuid, have, end, published, now)
                lacks[word.node, ring_uuid] = lack
                if word.created != created or word.number < min(lack.until, last):
                    lack.since = now
                elif self._is_due(word, ring_uuid, now - lack.since, lack.wait):
                    found[ring_uuid] = min(have, found.get(ring_uuid, have))
        self._lacks = lacks
        return found

    def note_sent(self, ring_uuid: str, until: int, now: float) -> None:
        """A ring was sent again; ``until``: the number of its last message in the stream."""
        is_again = ring_uuid in self._sent_until
        self._sent_until[ring_uuid] = until
        for (_, ring), lack in self._lacks.items():
            if ring == ring_uuid:
                lack.wait = min(2 * lack.wait, _LONGEST_SECONDS) if is_again else lack.wait
                lack.until, lack.since = until, now

    def _lack_of(
        self, word: HasRead, ring_uuid: str, have: int, end: int, published: int, now: float
    ) -> _Lack:
        """What is known of it, or a new one when it is not the same any more."""
        known = self._lacks.get((word.node, ring_uuid))
        if ring_uuid in word.lacks:
            until = self._sent_until.get(ring_uuid, self._opened_at)
            is_same = known is not None and known.have == have
        else:
            # Not what the stream has later: other rings may go on for ever.
            until = published
            is_same = known is not None and (known.have, known.sent) == (have, end)
        return known if known is not None and is_same else _Lack(have, end, until, now)

    def _is_due(self, word: HasRead, ring_uuid: str, seconds: float, wait: float) -> bool:
        is_new = ring_uuid in word.lacks and ring_uuid not in self._sent_until
        return is_new or seconds >= wait
