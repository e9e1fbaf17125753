"""The last hour of every topic's rate, and how it becomes columns of a graph."""

import math
from array import array
from collections.abc import Iterable

FINE_SECONDS, COARSE_SECONDS = 1.0, 10.0
SLOTS = 361
GAP_SECONDS = 3.0
"""A figure stands for this long; after it the rate is unknown."""

_UNKNOWN = math.nan


class Track:
    """The highest value in each of the last ``SLOTS`` spans of ``slot`` seconds: 1.4 kB."""

    def __init__(self, slot: float) -> None:
        self._slot = slot
        self._values = array("f", [_UNKNOWN]) * SLOTS
        self._newest = 0

    def add(self, time: float, value: float) -> None:
        """Note a value. A clock that was set back takes away what is later than it."""
        number = int(time // self._slot)
        passed = number - self._newest
        if passed:
            first = min(number, self._newest) + 1
            for skipped in range(first, first + min(abs(passed), SLOTS)):
                self._values[skipped % SLOTS] = _UNKNOWN
            self._newest = number
        before = self._values[number % SLOTS]
        if not before >= value:
            self._values[number % SLOTS] = value

    def points(self, since: float, until: float) -> list[tuple[float, float]]:
        """(time, value) of the slots in this time that are known, oldest first."""
        first = max(int(since // self._slot), self._newest - SLOTS + 1)
        last = min(int(until // self._slot), self._newest)
        return [
            (number * self._slot, value)
            for number in range(first, last + 1)
            if not math.isnan(value := self._values[number % SLOTS])
        ]


class History:
    """Rates per topic, bounded in time and size. Topics that are not reported are dropped."""

    def __init__(self) -> None:
        self._tracks: dict[str, tuple[Track, Track, Track, Track]] = {}

    def add(self, time: float, rates: Iterable[tuple[str, float, float]]) -> None:
        """Note (topic, messages per second, bytes per second) of one snapshot."""
        reported = set()
        for topic, messages, size in rates:
            reported.add(topic)
            if topic not in self._tracks:
                self._tracks[topic] = (
                    *(Track(FINE_SECONDS), Track(FINE_SECONDS)),
                    *(Track(COARSE_SECONDS), Track(COARSE_SECONDS)),
                )
            fine_messages, fine_size, coarse_messages, coarse_size = self._tracks[topic]
            fine_messages.add(time, messages)
            fine_size.add(time, size)
            coarse_messages.add(time, messages)
            coarse_size.add(time, size)
        for topic in self._tracks.keys() - reported:
            del self._tracks[topic]

    def points(
        self, topic: str, now: float, seconds: float, *, is_bytes: bool
    ) -> list[tuple[float, float]]:
        """(time, rate) of the last ``seconds`` before ``now``, oldest first."""
        tracks = self._tracks.get(topic)
        if tracks is None:
            return []
        is_coarse = seconds > FINE_SECONDS * (SLOTS - 1)
        track = tracks[2 * is_coarse + is_bytes]
        return track.points(now - seconds, now)


def hold_seconds(seconds: float) -> float:
    """How long a point of a graph of this length stands for."""
    return GAP_SECONDS if seconds <= FINE_SECONDS * (SLOTS - 1) else 1.5 * COARSE_SECONDS


def columns(
    points: list[tuple[float, float]], now: float, count: int, seconds: float
) -> list[float | None]:
    """The highest value in each of ``count`` equal spans that end about now; None is unknown.

    Spans are cut at multiples of their length: a graph moves one column at a time and stands
    still in between, which is what makes it cheap to draw over a slow line.
    """
    width = seconds / count
    last = math.floor(now / width)
    result: list[float | None] = [None] * count
    for time, value in points:
        index = math.floor(time / width) - last + count - 1
        if 0 <= index < count:
            known = result[index]
            result[index] = value if known is None else max(known, value)
    # Columns may be narrower than the time between two points.
    reach = math.ceil(hold_seconds(seconds) / width)
    since, value_before = reach + 1, 0.0
    for index, known in enumerate(result):
        if known is not None:
            since, value_before = 0, known
        else:
            since += 1
            if since <= reach:
                result[index] = value_before
    return result


def ceiling(value: float) -> float:
    """The next of 1, 2, 5, 10, 20 ... at or above a value: a scale that seldom changes."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    for step in (1, 2, 5, 10):
        if value <= step * power * 1.0000001:
            return step * power
    return 10 * power
