"""A watchdog for the job's own loop."""

import time
from collections.abc import Callable


class Watchdog:
    """Triggers when :meth:`reset` was not called for ``timeout_seconds``; 0 turns it off.

    The job calls :meth:`reset` in its loop; waiting for room in the ring, for the disk or for
    a server does it too. The job's service thread asks :meth:`is_triggered`.
    """

    def __init__(self, timeout_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.timeout_seconds = timeout_seconds
        self._clock = clock
        self._last = clock()
        self._is_on = timeout_seconds > 0

    def reset(self) -> None:
        """The loop is alive."""
        self._last = self._clock()

    def is_triggered(self) -> bool:
        """Whether the loop was silent for longer than the timeout."""
        return self._is_on and self._clock() - self._last > self.timeout_seconds

    def stop(self) -> None:
        """Turn the watchdog off."""
        self._is_on = False
