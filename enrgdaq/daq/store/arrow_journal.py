"""A journal of rows: an Arrow stream file that grows by whole flushes.

A flush appends record batches and then a batch without rows, whose metadata has the ring
positions and a checksum of the bytes since the flush before. What follows the last of these is
cut off on start. Any Arrow library can read the file (``pyarrow.ipc.open_stream``), also
while it grows.
"""

import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow as pa

from enrgdaq.daq.store.checksum import checksum, in_few_pieces
from enrgdaq.daq.store.columns import buffer_bytes
from enrgdaq.daq.store.journal import replace_file
from enrgdaq.daq.store.provenance import OriginRow
from enrgdaq.errors import StoreError
from enrgdaq.transport import faults

_KEY: Final = b"enrgdaq"
_SMALL_BATCH_BYTES: Final = 131_072  # as much as can be read in the time that a batch costs


class Mark(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What stands at the end of a flush."""

    checksum: int
    rows: int
    """In the file up to here."""
    watermarks: dict[str, int]
    origins: list[OriginRow] = []
    """Those that began in this flush."""


class _Start(msgspec.Struct, kw_only=True):
    """What stands in the schema: where rows from before this journal ended."""

    watermarks: dict[str, int]
    attributes: dict[str, str]


class Flush(NamedTuple):
    """Rows between two marks."""

    batches: list[Any]
    mark: Mark
    end: int
    """Where the flush ends in the file."""


class ArrowJournal:
    """An open journal. Raises ``OSError``, and :class:`StoreError` for one that is damaged."""

    def __init__(
        self,
        path: Path,
        schema: pa.Schema,
        watermarks: dict[str, int],
        attributes: dict[str, str],
        *,
        syncs: bool = False,
    ) -> None:
        """Open or make it; what a crash has left unfinished is cut off."""
        self.path = path
        self.schema = pa.schema(list(schema))
        self._syncs = syncs
        if not path.exists():
            start = msgspec.json.encode(_Start(watermarks=watermarks, attributes=attributes))
            header = self.schema.with_metadata({_KEY: start}).serialize()
            replace_file(path, header, syncs=syncs)
        end = _end(path)
        self.length, self.rows, self.watermarks = end.length, end.mark.rows, end.mark.watermarks
        self.origins = {row.origin for row in end.origins}
        """Those that the journal names already."""
        self._pieces = _Pieces()
        self._writer = pa.ipc.new_stream(pa.PythonFile(self._pieces, "w"), self.schema)
        self._no_rows = pa.RecordBatch.from_pylist([], self.schema)
        self._writer.write_batch(self._no_rows)  # and the schema, which the file has already
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        os.ftruncate(self._descriptor, self.length)

    def append(
        self, rows: pa.Table, watermarks: dict[str, int], origins: Sequence[OriginRow] = ()
    ) -> None:
        """Make rows and positions durable. After an error it can be called again.

        ``origins``: those of the rows that are not in :attr:`origins` yet.
        """
        if buffer_bytes(rows) < _SMALL_BATCH_BYTES * rows.column(0).num_chunks:
            rows = rows.combine_chunks()
        self._pieces.clear()
        for batch in rows.to_batches():
            self._writer.write_batch(batch)
        pieces = in_few_pieces(self._pieces.taken)
        total = self.rows + rows.num_rows
        mark = Mark(
            checksum=checksum(pieces), rows=total, watermarks=watermarks, origins=list(origins)
        )
        self._pieces.clear()
        metadata = {_KEY: msgspec.json.encode(mark)}
        self._writer.write_batch(self._no_rows, custom_metadata=metadata)
        pieces += in_few_pieces(self._pieces.taken)
        self._pieces.clear()
        faults.hit("store.rows")
        faults.hit("store.torn", lambda: _write_half(self._descriptor, pieces, self.length))
        try:
            end = _write_all(self._descriptor, pieces, self.length)
            if self._syncs:
                os.fdatasync(self._descriptor)
        except OSError:
            # Nothing of this attempt may stand behind a shorter one.
            os.ftruncate(self._descriptor, self.length)
            raise
        self.length, self.rows, self.watermarks = end, total, watermarks
        self.origins.update(row.origin for row in origins)

    def close(self) -> None:
        """Close; idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class _Pieces(io.RawIOBase):
    """What Arrow would write, as it lies in memory.

    Written from there with one call. ``batch.serialize()`` copies everything first, which
    took a third of the time that the write itself takes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Any] = []

    def write(self, data: Any) -> int:
        """Take bytes, or a buffer of a column, which is not copied."""
        self.taken.append(data)
        return len(data)

    def writable(self) -> bool:
        """It is."""
        return True

    def clear(self) -> None:
        """Forget what was taken."""
        self.taken = []


def journal_schema(path: Path) -> tuple[pa.Schema, dict[str, str]]:
    """Columns of a journal, and what its first rows said of themselves."""
    with pa.memory_map(str(path)) as source:
        schema = pa.ipc.open_stream(source).schema
        return schema.remove_metadata(), _start(schema).attributes


def journal_watermarks(path: Path) -> dict[str, int]:
    """Ring -> position up to which its records are in a journal."""
    return _end(path).mark.watermarks


def flushes(path: Path) -> Iterator[Flush]:
    """All that is durable in a journal; the batches are views of the mapped file.

    Raises :class:`StoreError` where bytes were altered.
    """
    with pa.memory_map(str(path)) as source:
        data = memoryview(source.read_buffer())
        source.seek(0)
        reader = pa.ipc.open_stream(source)
        batches: list[Any] = []
        begin = last = source.tell()
        while True:
            try:
                found = reader.read_next_batch_with_custom_metadata()
            except (StopIteration, pa.ArrowInvalid, OSError):
                return  # the end, or a flush that was cut off
            if found.custom_metadata is None:
                batches.append(found.batch)
                last = source.tell()
                continue
            mark = msgspec.json.decode(found.custom_metadata[_KEY], type=Mark)
            if checksum([data[begin:last]]) != mark.checksum:
                raise StoreError(f"{path}: bytes {begin} to {last} were altered")
            yield Flush(batches, mark, source.tell())
            batches = []
            begin = last = source.tell()


class _End(NamedTuple):
    length: int
    mark: Mark
    origins: list[OriginRow]


def _end(path: Path) -> _End:
    """Where the last whole flush ends, its mark, and all origins up to there."""
    try:
        with pa.memory_map(str(path)) as source:
            schema = pa.ipc.open_stream(source).schema
            length = source.tell()
        mark = Mark(checksum=0, rows=0, watermarks=_start(schema).watermarks)
    except (pa.ArrowInvalid, KeyError, msgspec.MsgspecError) as error:
        raise StoreError(f"{path}: is no journal ({error})") from error
    origins: list[OriginRow] = []
    for flush in flushes(path):
        length, mark = flush.end, flush.mark
        origins += mark.origins
    return _End(length, mark, origins)


def _start(schema: pa.Schema) -> _Start:
    return msgspec.json.decode((schema.metadata or {})[_KEY], type=_Start)


def _write_half(descriptor: int, pieces: list[Any], offset: int) -> None:
    """What a kill in the middle leaves, for trials."""
    whole = b"".join(pieces)
    os.pwrite(descriptor, whole[: len(whole) // 2 | 1], offset)


def _write_all(descriptor: int, pieces: list[Any], offset: int) -> int:
    """Write all pieces from ``offset`` on; returns where they end."""
    views = [memoryview(piece).cast("B") for piece in pieces]
    while views:
        written = os.pwritev(descriptor, views[:64], offset)
        offset += written
        while views and written >= len(views[0]):
            written -= len(views.pop(0))
        if views:
            views[0] = views[0][written:]
    return offset
