"""The last two minutes of every topic's rate, and how they become columns of a graph."""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

KEPT_SECONDS = 120.0
GAP_SECONDS = 3.0
"""A figure stands for this long; after it the rate is unknown."""


@dataclass(frozen=True)
class Sample:
    """Rates per second at a time (seconds since 1970)."""

    time: float
    messages: float
    bytes: float


class History:
    """Samples per topic, bounded in time. Topics that are no longer reported are dropped."""

    def __init__(self) -> None:
        self._samples: dict[str, deque[Sample]] = {}

    def add(self, time: float, rates: Iterable[tuple[str, float, float]]) -> None:
        """Note (topic, messages per second, bytes per second) of one snapshot."""
        reported = set()
        for topic, messages, size in rates:
            reported.add(topic)
            samples = self._samples.setdefault(topic, deque())
            if samples and time <= samples[-1].time:
                # The same snapshot again, or a clock that was set back: the newest counts.
                while samples and samples[-1].time >= time:
                    samples.pop()
            samples.append(Sample(time, messages, size))
            while samples[0].time < time - KEPT_SECONDS - GAP_SECONDS:
                samples.popleft()
        for topic in self._samples.keys() - reported:
            del self._samples[topic]

    def samples(self, topic: str) -> list[Sample]:
        """What is known of a topic, oldest first."""
        return list(self._samples.get(topic, ()))


def columns(
    points: list[tuple[float, float]], now: float, count: int, seconds: float = KEPT_SECONDS
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
    # Columns may be narrower than the time between two samples.
    reach = math.ceil(GAP_SECONDS / width)
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
