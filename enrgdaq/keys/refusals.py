"""Attempts to come in that were refused: all counted, few logged.

Whoever knocks a thousand times a second must not fill the log, nor the memory.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

_LOG = logging.getLogger(__name__)
_WINDOW_SECONDS: Final = 10.0
_LINES: Final = 5  # in a window


class Refusals:
    """Counts refused attempts; the first few in ten seconds are logged one by one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.counts: Counter[str] = Counter()
        """By domain."""
        self._clock = clock
        self._began = clock()
        self._in_window = 0

    def note(self, domain: str, address: str, reason: str) -> None:
        """Somebody was refused."""
        self.flush()
        self.counts[domain] += 1
        self._in_window += 1
        if self._in_window <= _LINES:
            _LOG.warning("%s: refused %s: %s", domain, address or "an address not known", reason)

    def flush(self) -> None:
        """Say how many were not logged, once their window is over."""
        if self._clock() - self._began < _WINDOW_SECONDS:
            return
        if self._in_window > _LINES:
            silent = self._in_window - _LINES
            _LOG.warning("%d more attempts to come in were refused meanwhile", silent)
        self._began, self._in_window = self._clock(), 0
