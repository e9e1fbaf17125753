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

from enrgdaq.daq.store.sink import FileSink, Write
from enrgdaq.daq.store.syncing import make_folder, sync_path
from enrgdaq.errors import StoreError
from enrgdaq.transport import faults

JOURNAL_VERSION: Final = 1
_FOREIGN_WATERMARKS_KEPT: Final = 32


class Position(NamedTuple):
    """Where a record comes from: its ring, and where it ends there."""

    ring_uuid: str
    end: int


class Contents(NamedTuple):
    """What a file's bytes mean, for who goes on with it."""

    columns: list[str] | None = None
    schema: bytes | None = None
    """Columns with their types, as a serialized Arrow schema."""
    framing: str = "none"


_UNKNOWN: Final = Contents()


class Journal(msgspec.Struct, kw_only=True):
    """What is durable in one data file."""

    version: int = JOURNAL_VERSION
    length: int = 0
    inode: int = 0
    is_closed: bool = False
    """Closed in order: what is in the file now is right, whoever wrote to it since."""
    columns: list[str] | None = None
    schema: bytes | None = None
    framing: str = "none"
    watermarks: dict[str, int] = {}

    def describe(self, contents: Contents) -> None:
        """What the file's bytes mean."""
        self.columns, self.schema, self.framing = contents

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


def marks_in(path: Path) -> dict[str, dict[str, int]]:
    """What is in a file that is closed, which is of one unit, without a name."""
    journal = read_journal(path)
    return {} if journal is None else {"": journal.watermarks}


def write_journal(path: Path, journal: Journal, *, syncs: bool = False) -> None:
    """Replace the journal of a data file atomically."""
    replace_file(journal_path(path), msgspec.json.encode(journal), syncs=syncs)


def is_begun(path: Path) -> bool:
    """Whether a data file holds anything: what a kill left before the first flush is nothing.

    Raises ``OSError``, and :class:`StoreError` for a broken journal.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    journal = read_journal(path)
    is_cut_at_start = journal is not None and not journal.length and is_as_left(journal, found)
    return found.st_size > 0 and not is_cut_at_start


def remove_journal(path: Path) -> None:
    """The data file needs none any more; also one that a kill left half made goes."""
    where = journal_path(path)
    _unfinished(where).unlink(missing_ok=True)
    where.unlink(missing_ok=True)


def replace_file(path: Path, data: bytes | memoryview, *, syncs: bool = False) -> None:
    """Put ``data`` where ``path`` is, so that a reader sees the old or the new, never half.

    With ``syncs`` the new one is there also after a power cut.
    """
    unfinished = _unfinished(path)
    with unfinished.open("wb") as file:
        file.write(data)
        if syncs:
            file.flush()
            os.fdatasync(file.fileno())
    faults.hit("store.replace")
    unfinished.replace(path)
    if syncs:
        sync_path(path.parent)


class AppendFile:
    """A data file that grows by whole flushes.

    :meth:`add` keeps what writes, :meth:`flush` makes it durable; a flush that fails (full
    disk) can be tried again and leaves no partial rows behind.
    """

    def __init__(self, path: Path, contents: Contents = _UNKNOWN, *, syncs: bool = False) -> None:
        """Open or make the file, and cut it back to what its journal vouches for.

        ``syncs``: what was flushed survives a power cut.
        """
        self.path = path
        self.cut_bytes = 0
        self._syncs = syncs
        make_folder(path.parent, syncs=syncs)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self.journal = self._recover(contents)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._contents = contents
        self._pending: list[Write] = []
        self._noted: dict[str, int] = {}
        self._is_torn = False

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

    def describe(self, contents: Contents) -> None:
        """What the file's bytes mean from the next flush on."""
        self._contents = contents

    def add(self, write: Write) -> None:
        """Keep what writes rows or bytes in the next flush."""
        self._pending.append(write)

    def note(self, position: Position) -> None:
        """A record is in what was added."""
        self._noted[position.ring_uuid] = position.end

    def flush(self, known_rings: set[str]) -> None:
        """Rows, then journal. Raises ``OSError``; what was added stays for the next try."""
        if not self.is_dirty:
            return
        if self._is_torn:
            # The next try may write less than this one did.
            os.ftruncate(self._descriptor, self.journal.length)
        self._is_torn = True
        sink = FileSink(self._descriptor, self.journal.length)
        if self._pending:
            faults.hit("store.rows")
        for write in self._pending:
            write(sink)
        if self._pending and self._syncs:
            # Before the journal, which must never vouch for more than there is.
            os.fdatasync(self._descriptor)
        faults.hit("store.journal")
        done = msgspec.structs.replace(
            self.journal, length=sink.end, is_closed=False, watermarks=dict(self.journal.watermarks)
        )
        done.describe(self._contents)
        for ring_uuid, position in self._noted.items():
            done.note(Position(ring_uuid, position))
        done.forget_rings(known_rings)
        write_journal(self.path, done, syncs=self._syncs)
        self.journal = done
        self._is_torn = False
        self._pending.clear()
        self._noted.clear()

    def close(self) -> None:
        """Close; idempotent. After a clean close nothing is ever cut from the file."""
        if self._descriptor < 0:
            return
        if not self.is_dirty:
            self.journal.is_closed = True
            with contextlib.suppress(OSError):
                write_journal(self.path, self.journal, syncs=self._syncs)
        os.close(self._descriptor)
        self._descriptor = -1

    def _recover(self, contents: Contents) -> Journal:
        found = os.fstat(self._descriptor)
        journal = read_journal(self.path)
        if journal is None:
            journal = Journal(length=found.st_size)
        elif is_as_left(journal, found):
            if found.st_size > journal.length:
                self.cut_bytes = found.st_size - journal.length
                os.ftruncate(self._descriptor, journal.length)
        else:
            journal.length = found.st_size
        journal.inode = found.st_ino
        journal.is_closed = False
        journal.describe(contents)
        faults.hit("store.recover")
        # Before the first append, so that a file of the user's is never cut.
        write_journal(self.path, journal, syncs=self._syncs)
        return journal


def is_as_left(journal: Journal, found: os.stat_result) -> bool:
    """Whether nobody but its store wrote to a file, so that what is behind its length is torn.

    Closed in order, replaced or cut by somebody: theirs to decide, nothing is cut.
    """
    return (
        not journal.is_closed and journal.inode == found.st_ino and found.st_size >= journal.length
    )


class SnapshotFile:
    """A file that always holds just the latest message, replaced as a whole.

    Replayed records at or below the watermark are skipped, so that a replay never brings
    back an older snapshot.
    """

    def __init__(self, path: Path, *, syncs: bool = False) -> None:
        self.path = path
        self._syncs = syncs
        make_folder(path.parent, syncs=syncs)
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
        replace_file(self.path, self._latest, syncs=self._syncs)
        faults.hit("store.snapshot")
        for ring_uuid, position in self._noted.items():
            self.journal.note(Position(ring_uuid, position))
        self.journal.forget_rings(known_rings)
        write_journal(self.path, self.journal, syncs=self._syncs)
        self._latest = None
        self._noted.clear()

    def close(self) -> None:
        """Nothing is held open."""


def _unfinished(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")
