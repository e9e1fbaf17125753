"""When it is believed that a stream does not have a message that it should have.

A leader that was just elected may not have caught up, and knows neither the message nor where the
stream really begins. So the answer counts only when it stays the same for a while, on one
connection and of one stream, and was asked for all the time.
"""

from typing import Final

import msgspec

ASK_AGAIN_SECONDS: Final = 5.0
_DOUBT_SECONDS: Final = 30.0
_LONGEST_GAP_SECONDS: Final = 2 * ASK_AGAIN_SECONDS
"""After a longer silence nothing is known of the time between."""


class _Doubt(msgspec.Struct):
    """A message that a stream says it does not have. ``first``: where it said that it begins."""

    line: object
    created: str
    number: int
    since: float
    asked_at: float
    first: int


class Doubts:
    """What streams say that they do not have, by the stream's name."""

    def __init__(self) -> None:
        self._doubts: dict[str, _Doubt] = {}

    def may_ask(self, stream: str, number: int, now: float) -> bool:
        """Whether a stream is to be asked now: not at once again for the same message."""
        doubt = self._doubts.get(stream)
        return doubt is None or doubt.number != number or now >= doubt.asked_at + ASK_AGAIN_SECONDS

    def forget(self, stream: str) -> None:
        """Nothing is known of a stream any more, or it has answered."""
        self._doubts.pop(stream, None)

    def hear(
        self, stream: str, line: object, created: str, number: int, *, first: int, now: float
    ) -> int | None:
        """A stream has said that it does not have a message, and that it begins at ``first``.

        The lowest beginning that it has said, once this is to be believed; else ``None``.
        """
        doubt = self._doubts.get(stream)
        if (
            doubt is None
            or doubt.line is not line
            or (doubt.created, doubt.number) != (created, number)
            or now - doubt.asked_at > _LONGEST_GAP_SECONDS
        ):
            doubt = self._doubts[stream] = _Doubt(line, created, number, now, now, first)
        doubt.asked_at = now
        doubt.first = min(doubt.first, first)
        return doubt.first if now - doubt.since >= _DOUBT_SECONDS else None
