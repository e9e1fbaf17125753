"""When the next thing is due: periods without drift, and timelines that survive a stall.

Nothing here reads a clock or sleeps; callers pass the time in and do the waiting.
"""

import math


class Ticker:
    """Periods on a fixed grid; interval *n* is ``[start + n * period, start + (n + 1) * period)``.

    All times are integers in ns, on whatever clock the caller uses, so the grid does not
    drift by rounding. After a stall at most one interval is made up for; the others are
    skipped and counted, so that a consumer that was slow is not hit by a burst. When the
    clock was set back, the grid begins anew at the present.
    """

    def __init__(self, period_ns: int, start_ns: int) -> None:
        if period_ns <= 0:
            raise ValueError(f"a period must be positive, not {period_ns} ns")
        self.period_ns = period_ns
        self._start_ns = start_ns
        self._n = 0

    @property
    def begin_ns(self) -> int:
        """Begin of the present interval."""
        return self._start_ns + self._n * self.period_ns

    @property
    def end_ns(self) -> int:
        """End of the present interval, which is when it is due."""
        return self.begin_ns + self.period_ns

    def remaining_seconds(self, now_ns: int) -> float:
        """Time until the present interval is due, s; 0 when it is due already."""
        return min(max(0, self.end_ns - now_ns), 2 * self.period_ns) / 1e9

    def is_due(self, now_ns: int) -> bool:
        """Whether the present interval is over."""
        return now_ns >= self.end_ns

    def was_set_back(self, now_ns: int) -> bool:
        """Whether the clock stands before the present interval by more than a period."""
        return now_ns < self.begin_ns - self.period_ns

    def restart(self, now_ns: int) -> None:
        """Begin a new grid at ``now_ns``."""
        self._start_ns = now_ns
        self._n = 0

    def advance(self, now_ns: int) -> int:
        """Go on to the next interval; returns how many were skipped to catch up."""
        running = (now_ns - self._start_ns) // self.period_ns
        following = self._n + 1
        self._n = max(following, running - 1)
        return self._n - following


class Timeline:
    """Maps positions in a recording, s, to a clock, s, at the recording's own pace.

    When the caller falls behind by more than ``slack_seconds`` the rest of the recording is
    moved back by as much: it goes on at its pace instead of rushing to catch up.
    """

    def __init__(self, start: float, slack_seconds: float = 1.0) -> None:
        self._start = start
        self._slack = slack_seconds
        self.shifted_seconds = 0.0
        """How much later than planned the recording runs, s."""

    def position(self, now: float) -> float:
        """Position that is due now, s."""
        return now - self._start

    def wait_seconds(self, position: float, now: float) -> float:
        """Time until ``position`` is due, s; 0 when it is due already."""
        return max(0.0, self._start + position - now)

    def resume(self, position: float, now: float) -> None:
        """Say that ``position`` is only reached now; shifts the timeline after a stall."""
        late = now - (self._start + position)
        if late > self._slack:
            self._start += late
            self.shifted_seconds += late


class Backoff:
    """Waits between attempts, s: doubling from ``first`` to ``longest``."""

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = max(first, longest)
        self._next = first

    def next_seconds(self) -> float:
        """Wait before the coming attempt."""
        wait = self._next
        self._next = min(self._longest, self._next * 2)
        return wait

    def reset(self) -> None:
        """The attempt succeeded: begin with the shortest wait again."""
        self._next = self._first


def percent(done: int, total: int | None) -> str:
    """Progress for people: ``" (12.5 %)"``, or nothing when the total is unknown."""
    if not total:
        return ""
    # Rounded down, so that 100 % is only ever shown when all is done.
    return f" ({math.floor(1000 * done / total) / 10:.1f} %)"
