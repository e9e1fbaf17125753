"""Log records of a job on their way to the supervisor."""

import logging
from collections import deque
from collections.abc import Iterator
from typing import Final

import msgspec

_A_BATCH: Final = 250
_LONGEST: Final = 20_000  # characters of one record; lines are shown up to 4 000


def sendable(text: str, at_most: int = _LONGEST) -> str:
    """The text as UTF-8 can carry it, cut.

    Names of files that are not UTF-8 hold lone surrogates, and people put them into messages.
    """
    return text[:at_most].encode("utf-8", "backslashreplace").decode()


class LogEntry(msgspec.Struct, array_like=True):
    """One record. ``time``: seconds since 1970, UTC."""

    time: float
    level: str
    text: str


class LogBatch(msgspec.Struct, array_like=True):
    """Records of one job. ``dropped`` counts since its process started."""

    unique_id: str
    dropped: int
    entries: list[LogEntry]


class LogQueue:
    """Bounded: when a job logs faster than can be sent, the oldest go, counted."""

    KEPT: Final = 20_000

    def __init__(self, unique_id: str) -> None:
        self.dropped = 0
        self._unique_id = unique_id
        self._entries: deque[LogEntry] = deque()

    def add(self, record: logging.LogRecord, text: str) -> None:
        """Queue a record; from any thread."""
        if len(self._entries) >= self.KEPT:
            self._entries.popleft()
            self.dropped += 1
        self._entries.append(LogEntry(record.created, record.levelname, sendable(text)))

    def take(self, at_most: int) -> Iterator[LogBatch]:
        """Take the oldest records out, at most so many."""
        while self._entries and at_most > 0:
            count = min(len(self._entries), _A_BATCH, at_most)
            at_most -= count
            entries = [self._entries.popleft() for _ in range(count)]
            yield LogBatch(self._unique_id, self.dropped, entries)
