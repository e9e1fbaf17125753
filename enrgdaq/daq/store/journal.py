"""Files that a crash can cut anywhere and that still hold every durable row once.

Beside each data file lies a journal: how long the file is, and up to which ring positions
its rows go. A flush appends rows, then replaces the journal; only then is the ring released.
On start the file is cut back to the journal's length, and records at or below its
watermarks are dropped.
"""

import contextlib
import os
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from enrgdaq.errors import StoreError
from enrgdaq.transport import faults

JOURNAL_VERSION: Final = 1
_FOREIGN_WATERMARKS_KEPT: Final = 32


class Position(NamedTuple):
    """Where a record comes from: its ring, and where it ends there."""

    ring_uuid: str
    end: int


class Journal(msgspec.Struct, kw_only=True):
    """What is durable in one data file."""

    version: int = JOURNAL_VERSION
    length: int = 0
    inode: int = 0
    is_closed: bool = False
    """Closed in order: what is in the file now is right, whoever wrote to it since."""
    columns: list[str] | None = None
    watermarks: dict[str, int] = {}

    def has(self, position: Position) -> bool:
        """Whether a record is in the file already."""
        return position.end <= self.watermarks.get(position.ring_uuid, 0)

    def note(self, position: Position) -> None:
        """A record is in the file now."""
        # The newest ring last, so that the oldest foreign ones are forgotten first.
        self.watermarks.pop(position.ring_uuid, None)
        self.watermarks[position.ring_uuid] = position.end

    def forget_rings(self, known: set[str]) -> None:
        """Drop watermarks of rings that are gone, all but the newest."""
        foreign = [uuid for uuid in self.watermarks if uuid not in known]
        for uuid in foreign[: max(0, len(foreign) - _FOREIGN_WATERMARKS_KEPT)]:
            del self.watermarks[uuid]


def journal_path(path: Path) -> Path:
    """``.name.journal`` beside the data file."""
    return path.with_name(f".{path.name}.journal")


def read_journal(path: Path) -> Journal | None:
    """The journal of a data file; ``None`` when there is none.

    Raises :class:`StoreError` for one that cannot be read: it is never guessed at.
    """
    where = journal_path(path)
    try:
        journal = msgspec.json.decode(where.read_bytes(), type=Journal)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise StoreError(f"{where}: cannot be read ({error}); restore or remove it") from error
    if journal.version != JOURNAL_VERSION:
        raise StoreError(
            f"{where}: journal version {journal.version}, this program reads {JOURNAL_VERSION}"
        )
    return journal


def write_journal(path: Path, journal: Journal) -> None:
    """Replace the journal of a data file atomically."""
    replace_file(journal_path(path), msgspec.json.encode(journal))


def replace_file(path: Path, data: bytes | memoryview) -> None:
    """Put ``data`` where ``path`` is, so that a reader sees the old or the new, never half."""
    unfinished = path.with_name(f".{path.name}.new")
    with unfinished.open("wb") as file:
        file.write(data)
    faults.hit("store.replace")
    unfinished.replace(path)


class AppendFile:
    """A data file that grows by whole flushes.

    :meth:`add` keeps bytes, :meth:`flush` makes them durable; a flush that fails (full disk)
    can be tried again and leaves no partial rows behind.
    """

    def __init__(self, path: Path, columns: list[str] | None = None) -> None:
        """Open or make the file, and cut it back to what its journal vouches for."""
        self.path = path
        self.cut_bytes = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self.journal = self._recover(columns)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._pending: list[bytes | memoryview] = []
        self._noted: dict[str, int] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever made durable or added."""
        return self.journal.length == 0 and not self._pending

    @property
    def is_dirty(self) -> bool:
        """Whether a flush has something to do."""
        return bool(self._pending or self._noted)

    def has(self, position: Position) -> bool:
        """Whether a record is durable here already: a replay drops it."""
        return self.journal.has(position)

    def add(self, data: bytes | memoryview, position: Position | None) -> None:
        """Keep bytes for the next flush; ``None`` for bytes of no record, such as a header."""
        if data:
            self._pending.append(data)
        if position is not None:
            self._noted[position.ring_uuid] = position.end

    def flush(self, known_rings: set[str]) -> None:
        """Rows, then journal. Raises ``OSError``; what was added stays for the next try."""
        if not self.is_dirty:
            return
        end = self.journal.length
        if self._pending:
            end = _write_at(self._descriptor, b"".join(self._pending), end)
        faults.hit("store.journal")
        done = msgspec.structs.replace(
            self.journal, length=end, is_closed=False, watermarks=dict(self.journal.watermarks)
        )
        for ring_uuid, position in self._noted.items():
            done.note(Position(ring_uuid, position))
        done.forget_rings(known_rings)
        write_journal(self.path, done)
        self.journal = done
        self._pending.clear()
        self._noted.clear()

    def close(self) -> None:
        """Close; idempotent. After a clean close nothing is ever cut from the file."""
        if self._descriptor < 0:
            return
        if not self.is_dirty:
            self.journal.is_closed = True
            with contextlib.suppress(OSError):
                write_journal(self.path, self.journal)
        os.close(self._descriptor)
        self._descriptor = -1

    def _recover(self, columns: list[str] | None) -> Journal:
        found = os.fstat(self._descriptor)
        journal = read_journal(self.path)
        if journal is None:
            journal = Journal(columns=columns, length=found.st_size)
        elif journal.is_closed or journal.inode != found.st_ino or found.st_size < journal.length:
            # Closed in order, replaced or cut by somebody: theirs to decide, nothing is cut.
            journal.length = found.st_size
        elif found.st_size > journal.length:
            self.cut_bytes = found.st_size - journal.length
            os.ftruncate(self._descriptor, journal.length)
        journal.inode = found.st_ino
        journal.is_closed = False
        if columns is not None:
            journal.columns = columns
        faults.hit("store.recover")
        # Before the first append, so that a file of the user's is never cut.
        write_journal(self.path, journal)
        return journal


class SnapshotFile:
    """A file that always holds just the latest message, replaced as a whole.

    Replayed records at or below the watermark are skipped, so that a replay never brings
    back an older snapshot.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.journal = read_journal(path) or Journal()
        self._latest: bytes | None = None
        self._noted: dict[str, int] = {}

    @property
    def is_dirty(self) -> bool:
        """Whether a flush has something to do."""
        return self._latest is not None

    def put(self, data: bytes, position: Position) -> None:
        """The newest content, unless the file has it or something newer from that ring."""
        if self.journal.has(position):
            return
        self._latest = data
        self._noted[position.ring_uuid] = position.end

    def flush(self, known_rings: set[str]) -> None:
        """Replace the file, then the journal. Raises ``OSError``; can be tried again."""
        if self._latest is None:
            return
        faults.hit("store.rows")
        replace_file(self.path, self._latest)
        faults.hit("store.snapshot")
        for ring_uuid, position in self._noted.items():
            self.journal.note(Position(ring_uuid, position))
        self.journal.forget_rings(known_rings)
        write_journal(self.path, self.journal)
        self._latest = None
        self._noted.clear()

    def close(self) -> None:
        """Nothing is held open."""


def _write_at(descriptor: int, data: bytes, offset: int) -> int:
    """Write all of ``data`` at ``offset``; returns where it ends."""
    view = memoryview(data)
    faults.hit("store.rows")
    faults.hit("store.torn", lambda: os.pwrite(descriptor, view[: len(view) // 2 | 1], offset))
    while view:
        written = os.pwrite(descriptor, view, offset)
        offset += written
        view = view[written:]
    return offset
