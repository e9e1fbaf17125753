"""How the last hour of a rate becomes columns of a graph."""

import math

from enrgdaq.control.history import COARSE_SECONDS, FINE_SECONDS, SLOTS

GAP_SECONDS = 3.0
"""A figure stands for this long; after it the rate is unknown."""


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
