"""Counts rows that were read back against what their producers noted."""

from typing import Any

import msgspec
import numpy as np

from enrgdaq.daq.numbered_rows import Life, Rows, are_whole

_LIFE_BITS = 40  # rows of one life, at most 2**40


class Counted(msgspec.Struct, kw_only=True):
    """One producer's rows in one store's output.

    ``acknowledged``: publish had returned, so each must be there once; ``found``: rows that
    are there, the unacknowledged ones of interrupted publishes among them.
    """

    store: str
    producer: str
    acknowledged: int
    found: int
    lost: int
    duplicated: int
    out_of_order: int
    torn: int

    @property
    def is_right(self) -> bool:
        """Whether every promise was kept."""
        return not (self.lost or self.duplicated or self.out_of_order or self.torn)


def count(store: str, producer: str, rows: Rows, scraps: int, lives: list[Life]) -> Counted:
    """Count an output that holds all rows. ``scraps``: pieces of it that are no rows.

    A row is torn when its content is not what its numbers say, or when its producer never
    had it in hand; lost when it was acknowledged and is not there, or when it is missing
    before a row of the same life that is there.
    """
    attempted = {life.life: life.attempted for life in lives}
    limits = np.array([attempted.get(n, 0) for n in range(max(attempted, default=0) + 1)])
    known = (rows["life"] >= 0) & (rows["life"] < len(limits)) & (rows["number"] >= 0)
    whole = known & are_whole(rows)
    whole[whole] = rows["number"][whole] < limits[rows["life"][whole]]
    places = rows["life"][whole] << _LIFE_BITS | rows["number"][whole]
    unique, first_seen = np.unique(places, return_index=True)
    in_file_order = unique[np.argsort(first_seen, kind="stable")]
    return Counted(
        store=store,
        producer=producer,
        acknowledged=sum(life.acknowledged for life in lives),
        found=len(rows),
        lost=sum(_lost(unique, life) for life in lives),
        duplicated=len(places) - len(unique),
        out_of_order=_count(in_file_order[1:] < in_file_order[:-1]),
        torn=scraps + _count(~whole),
    )


def count_latest(store: str, producer: str, rows: Rows, scraps: int, lives: list[Life]) -> Counted:
    """Count an output that holds the latest message alone, all of its rows, once."""
    counted = count(store, producer, rows, scraps, lives)
    counted.acknowledged = counted.lost = 0
    last = next((life for life in reversed(lives) if life.acknowledged), None)
    if last is not None:
        counted.acknowledged = 1
        ends = int(rows["number"].max()) + 1 if len(rows) else 0
        newest = (int(rows["life"].max()) if len(rows) else 0, ends)
        counted.lost = int(newest < (last.life, last.acknowledged))
    if len(rows):
        # A hole in it, or rows of two messages, is half a message.
        span = int(rows["number"].max()) - int(rows["number"].min()) + 1
        counted.torn += int(span != len(rows) or len(set(rows["life"].tolist())) > 1)
    return counted


def _lost(places: "np.ndarray[Any, np.dtype[Any]]", life: Life) -> int:
    begin, end = np.searchsorted(
        places, [life.life << _LIFE_BITS, (life.life + 1) << _LIFE_BITS]
    ).tolist()
    there = places[begin:end]
    highest = int(there[-1] & ((1 << _LIFE_BITS) - 1)) + 1 if len(there) else 0
    return max(life.acknowledged, highest) - len(there)


def _count(which: "np.ndarray[Any, np.dtype[Any]]") -> int:
    return int(np.count_nonzero(which))
