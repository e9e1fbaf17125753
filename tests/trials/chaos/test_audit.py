"""The audit notices whatever is wrong with an output."""

import numpy as np
import pytest

from enrgdaq.daq.numbered_rows import Life, Rows, make_rows
from enrgdaq.trials.chaos.audit import Counted, count, count_latest

# The second life was killed within a publish of 5 rows, the third before its first.
LIVES = [Life(1, 20, 20), Life(2, 15, 10), Life(3, 4, 0)]


def rows_of(*parts: tuple[int, int, int]) -> Rows:
    """Rows of (life, first, count), one part behind the other."""
    return np.concatenate([make_rows(7, life, first, n) for life, first, n in parts])


def wrongs(counted: Counted) -> tuple[int, int, int, int]:
    return counted.lost, counted.duplicated, counted.out_of_order, counted.torn


@pytest.mark.parametrize("extra", [(), ((2, 10, 3),), ((2, 10, 5), (3, 0, 4))])
def test_acknowledged_rows_and_whatever_of_interrupted_publishes(
    extra: tuple[tuple[int, int, int], ...],
) -> None:
    counted = count("s", "p", rows_of((1, 0, 20), (2, 0, 10), *extra), 0, LIVES)
    assert counted.is_right
    assert counted.acknowledged == 30
    assert counted.found == 30 + sum(n for _, _, n in extra)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(1, 0, 19), (2, 0, 10)], (1, 0, 0, 0)),
        ([(1, 0, 5), (1, 6, 14), (2, 0, 10)], (1, 0, 0, 0)),
        ([(1, 0, 20)], (10, 0, 0, 0)),
        ([(1, 0, 20), (2, 0, 10), (2, 12, 3)], (2, 0, 0, 0)),
        ([(1, 0, 20), (1, 15, 5), (2, 0, 10)], (0, 5, 0, 0)),
        ([(1, 0, 20), (2, 5, 5), (2, 0, 5)], (0, 0, 1, 0)),
        ([(2, 0, 10), (1, 0, 20)], (0, 0, 1, 0)),
        ([(1, 0, 22), (2, 0, 10)], (0, 0, 0, 2)),
        ([(1, 0, 20), (2, 0, 10), (9, 0, 1)], (0, 0, 0, 1)),
        ([(1, 0, 0)], (30, 0, 0, 0)),
    ],
)
def test_what_is_wrong(
    parts: list[tuple[int, int, int]], expected: tuple[int, int, int, int]
) -> None:
    assert wrongs(count("s", "p", rows_of(*parts), 0, LIVES)) == expected


def test_changed_content_is_torn_and_lost() -> None:
    rows = rows_of((1, 0, 20), (2, 0, 10))
    rows["mark"][3] += 1
    rows["value"][25] = -1.0
    assert wrongs(count("s", "p", rows, 1, LIVES)) == (2, 0, 0, 3)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(2, 5, 5)], (0, 0, 0, 0)),
        ([(2, 10, 5)], (0, 0, 0, 0)),
        ([(3, 0, 4)], (0, 0, 0, 0)),
        ([(2, 0, 5)], (1, 0, 0, 0)),
        ([(1, 15, 5)], (1, 0, 0, 0)),
        ([(2, 5, 2), (2, 8, 2)], (0, 0, 0, 1)),
        ([(1, 15, 5), (2, 5, 5)], (0, 0, 0, 1)),
        ([(1, 0, 0)], (1, 0, 0, 0)),
    ],
)
def test_output_that_keeps_the_latest_message(
    parts: list[tuple[int, int, int]], expected: tuple[int, int, int, int]
) -> None:
    assert wrongs(count_latest("s", "p", rows_of(*parts), 0, LIVES)) == expected
