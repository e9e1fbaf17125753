"""Numbered rows, and what their producer noted of them: what a trial counts by.

Each life of a producer counts from zero and notes two numbers in a file of its own: how many
rows it was about to have handed over, before each publish, and how many it had, after. The
file outlives the process, so that afterwards it can be told for each row whether it must be
there, may be there (the publish was interrupted), or cannot be there.
"""

import os
import struct
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

COLUMNS: Final = ("producer", "life", "number", "value", "mark")
ROW: Final = np.dtype([(name, "<f8" if name == "value" else "<i8") for name in COLUMNS])
"""A row as raw bytes; tables have the same columns."""
FINISH: Final = "finish"
"""A file of this name in the folder of notes ends all numbered producers."""

_COUNT: Final = struct.Struct("<Q")

Rows = np.ndarray[Any, np.dtype[Any]]


class Life(NamedTuple):
    """What one life of a producer noted, in rows."""

    life: int
    attempted: int
    acknowledged: int


class Notes:
    """The file of one life: two counts of eight bytes, each overwritten in place.

    In the page cache after ``pwrite``, so that a SIGKILL right after it loses nothing.
    """

    def __init__(self, descriptor: int, life: int) -> None:
        self.life = life
        self._descriptor = descriptor

    @classmethod
    def begin(cls, folder: Path, name: str) -> "Notes":
        """Open the notes of a new life of a job. One process at a time has the job's name."""
        life = sum(1 for _ in folder.glob(f"{name}.*")) + 1
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return cls(os.open(folder / f"{name}.{life}", flags, 0o600), life)

    def attempted(self, rows: int) -> None:
        """So many rows will have been handed over when the next publish returns."""
        os.pwrite(self._descriptor, _COUNT.pack(rows), 0)

    def acknowledged(self, rows: int) -> None:
        """So many rows have been handed over."""
        os.pwrite(self._descriptor, _COUNT.pack(rows), _COUNT.size)


def read_notes(folder: Path, name: str) -> list[Life]:
    """What all lives of a job noted, in their order."""
    lives = []
    for path in folder.glob(f"{name}.*"):
        # A life that was killed at once may have noted nothing, or only what it attempted.
        counts = path.read_bytes().ljust(2 * _COUNT.size, b"\0")
        attempted, acknowledged = (value for (value,) in _COUNT.iter_unpack(counts))
        lives.append(Life(int(path.suffix[1:]), attempted, acknowledged))
    return sorted(lives)


def make_rows(producer: int, life: int, first: int, count: int) -> Rows:
    """Rows ``first`` to ``first + count - 1`` of a life."""
    rows = np.empty(count, ROW)
    rows["producer"] = producer
    rows["life"] = life
    rows["number"] = np.arange(first, first + count)
    _fill_content(rows)
    return rows


def are_whole(rows: Rows) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Per row, whether its content is what its numbers say."""
    expected = rows.copy()
    _fill_content(expected)
    whole: np.ndarray[Any, np.dtype[np.bool_]] = expected == rows
    return whole


def _fill_content(rows: Rows) -> None:
    rows["value"] = rows["number"] * 0.5 + rows["life"]
    words = [rows[name].astype(np.uint64) for name in ("producer", "life", "number")]
    mix = words[0] * np.uint64(0xD6E8FEB86659FD93) ^ words[1] * np.uint64(0xA0761D6478BD642F)
    mix ^= words[2] * np.uint64(0x9E3779B97F4A7C15)
    # 63 bits: what signed columns of every store can hold.
    rows["mark"] = (mix >> np.uint64(1)).astype(np.int64)
