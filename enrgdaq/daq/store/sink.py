"""Where rows and bytes are written, straight into the file."""

import io
import os
from collections.abc import Callable, Sequence
from typing import Any, Final

from enrgdaq.transport import faults

_MOST_PIECES: Final = 1_000  # in one call; Linux takes 1024


class FileSink(io.RawIOBase):
    """Takes what is written to a file from some offset on. Needs no close."""

    def __init__(self, descriptor: int, end: int) -> None:
        super().__init__()
        self.end = end
        """Where the next byte goes."""
        self._descriptor = descriptor
        self._is_first = True

    def writable(self) -> bool:
        """See :class:`io.RawIOBase`."""
        return True

    def write(self, data: Any) -> int:
        """Write all of it."""
        return self.write_all([data])

    def write_all(self, pieces: Sequence[Any]) -> int:
        """Write pieces one behind the other, without putting them together first."""
        views = [memoryview(piece).cast("B") for piece in pieces]
        if self._is_first and views:
            self._is_first = False
            faults.hit("store.torn", lambda: self._tear(views))
        begin = self.end
        for first in range(0, len(views), _MOST_PIECES):
            self._write_some(views[first : first + _MOST_PIECES])
        return self.end - begin

    def _write_some(self, views: list[memoryview]) -> None:
        while views:
            written = os.pwritev(self._descriptor, views, self.end)
            self.end += written
            while views and written >= len(views[0]):
                written -= len(views.pop(0))
            if views:
                views[0] = views[0][written:]

    def _tear(self, views: list[memoryview]) -> None:
        half = len(views) // 2
        piece = views[half]
        os.pwritev(
            self._descriptor, [*views[:half][:_MOST_PIECES], piece[: len(piece) // 2 | 1]], self.end
        )

    def last_byte(self) -> bytes:
        """What the next byte comes after; empty at the beginning of the file."""
        return os.pread(self._descriptor, 1, self.end - 1) if self.end else b""


Write = Callable[[FileSink], object]
"""Writes rows or bytes. Called again when a flush is tried again, and does the same again."""
