"""What stores keep between two flushes, file by file.

Nothing is opened before the first flush: a disk that is full or away is waited for there,
and one file that cannot be written holds up no other.
"""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from enrgdaq.daq.store.journal import AppendFile, Position, SnapshotFile
from enrgdaq.errors import StoreError

Encode = Callable[[bytes, bool], bytes]
"""Rows, and whether they are the first of the file, to the bytes that are written."""

_MOST_OPEN: Final = 64  # more than a day and a tag per producer; the longest unused is closed


class StoreFile(Protocol):
    """A file that takes messages and makes them durable in flushes."""

    columns: list[str] | None

    def put(self, body: bytes, position: Position) -> None:
        """Keep one message's bytes."""

    def flush(self, known_rings: set[str]) -> None:
        """Make what was kept durable. Raises ``OSError`` or :class:`StoreError`."""

    def close(self) -> None:
        """Let go of the file; idempotent."""


class AppendTarget:
    """A file that grows."""

    def __init__(self, path: Path, encode: Encode, columns: list[str] | None = None) -> None:
        self.columns = columns
        self._path = path
        self._encode = encode
        self._waiting: list[tuple[bytes, Position]] = []
        self._file: AppendFile | None = None

    def put(self, body: bytes, position: Position) -> None:
        """See :class:`StoreFile`."""
        self._waiting.append((body, position))

    def flush(self, known_rings: set[str]) -> None:
        """See :class:`StoreFile`. What a replay brings a second time is dropped."""
        if self._file is None:
            if not self._waiting:
                return
            self._file = AppendFile(self._path, self.columns)
        file = self._file
        fresh = [(body, position) for body, position in self._waiting if not file.has(position)]
        if fresh:
            rows = b"".join(body for body, _ in fresh)
            file.add(self._encode(rows, file.is_empty), None)
        for _, position in fresh:
            file.add(b"", position)
        # What the file has taken must not be handed to it again when its flush is retried.
        self._waiting.clear()
        file.flush(known_rings)

    def close(self) -> None:
        """See :class:`StoreFile`."""
        if self._file is not None:
            self._file.close()


class SnapshotTarget:
    """A file that holds the latest message only."""

    def __init__(self, path: Path, encode: Encode) -> None:
        self.columns: list[str] | None = None
        self._path = path
        self._encode = encode
        self._latest: dict[str, tuple[bytes, Position]] = {}
        self._file: SnapshotFile | None = None

    def put(self, body: bytes, position: Position) -> None:
        """See :class:`StoreFile`. Of each ring only the newest is ever written."""
        self._latest.pop(position.ring_uuid, None)
        self._latest[position.ring_uuid] = (body, position)

    def flush(self, known_rings: set[str]) -> None:
        """See :class:`StoreFile`."""
        if self._file is None:
            if not self._latest:
                return
            self._file = SnapshotFile(self._path)
        for body, position in self._latest.values():
            self._file.put(self._encode(body, True), position)
        self._latest.clear()
        self._file.flush(known_rings)

    def close(self) -> None:
        """See :class:`StoreFile`."""


class OpenFiles:
    """The files of a store, by path."""

    def __init__(self) -> None:
        self._files: OrderedDict[Path, StoreFile] = OrderedDict()

    def get(self, path: Path) -> StoreFile | None:
        """The file at a path, if it is open."""
        return self._files.get(path)

    def open(self, path: Path, make: Callable[[], StoreFile]) -> StoreFile:
        """The file at a path, made where it is not open yet."""
        file = self._files.get(path)
        if file is None:
            file = self._files[path] = make()
        self._files.move_to_end(path)
        return file

    def flush(self, known_rings: set[str]) -> list[Path]:
        """Flush all files; returns the paths of those closed for want of use.

        Those behind a broken one are flushed too; then the first error is raised.
        """
        first: OSError | StoreError | None = None
        for file in self._files.values():
            try:
                file.flush(known_rings)
            except (OSError, StoreError) as error:
                first = first or error
        if first is not None:
            raise first
        closed = []
        while len(self._files) > _MOST_OPEN:
            path, file = self._files.popitem(last=False)
            file.close()
            closed.append(path)
        return closed

    def close(self) -> None:
        """Close all; idempotent."""
        while self._files:
            self._files.popitem()[1].close()
