"""Who watches: consoles are known by their questions, and have gone when these stop.

A console need not say goodbye, so one whose link was cut is noticed like any other.
"""

import time
from collections.abc import Callable
from typing import Final

from enrgdaq.control.protocol import CONSOLE, Caller

SILENT_SECONDS: Final = 70.0
"""A console may be told to ask as seldom as once a minute."""


class Presence:
    """The consoles that have asked lately. ``clock``: monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[tuple[str, ...], tuple[Caller, float]] = {}

    def note(self, caller: Caller) -> bool:
        """Somebody asks; whether it is a console that was not there before."""
        if caller.program != CONSOLE:
            return False
        key = _key(caller)
        is_new = key not in self._seen
        self._seen[key] = (caller, self._clock())
        return is_new

    def leave(self, caller: Caller) -> bool:
        """A console says that it goes; whether it was there."""
        return self._seen.pop(_key(caller), None) is not None

    def take_gone(self) -> list[Caller]:
        """Consoles that have been silent for too long; each once."""
        now = self._clock()
        gone = [c for c, at in self._seen.values() if now - at > SILENT_SECONDS]
        for caller in gone:
            self.leave(caller)
        return gone

    def names(self) -> list[str]:
        """``account on terminal`` of each, and from where."""
        return sorted(
            f"{caller.user or 'somebody'} on {caller.terminal or 'no terminal'}"
            + (f" at {caller.address}" if caller.address else "")
            for caller, _ in self._seen.values()
        )


def _key(caller: Caller) -> tuple[str, ...]:
    return caller.user, caller.terminal, caller.address
