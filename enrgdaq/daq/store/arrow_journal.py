"""A journal of rows: an Arrow stream file that grows by whole flushes.

A flush appends record batches and then a batch without rows, whose metadata has the ring
positions and a CRC of the bytes since the flush before. What follows the last of these is
cut off on start. Any Arrow library can read the file (``pyarrow.ipc.open_stream``), also
while it grows.
"""

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow as pa

from enrgdaq.daq.store.journal import replace_file
from enrgdaq.errors import StoreError
from enrgdaq.transport import faults

_KEY: Final = b"enrgdaq"


class Mark(msgspec.Struct, kw_only=True):
    """What stands at the end of a flush."""

    crc: int
    rows: int
    """In the file up to here."""
    watermarks: dict[str, int]


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
            replace_file(path, header)
        self.length, self._mark = _end(path)
        self.rows = self._mark.rows
        self.watermarks = self._mark.watermarks
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        os.ftruncate(self._descriptor, self.length)

    def append(self, rows: pa.Table, watermarks: dict[str, int]) -> None:
        """Make rows and positions durable. After an error it can be called again."""
        pieces: list[Any] = []
        # One batch, however many small messages the rows came in.
        batches = (
            rows.combine_chunks().to_batches() if rows[0].num_chunks > 1 else rows.to_batches()
        )
        crc = 0
        for batch in batches:
            piece = batch.serialize()
            crc = zlib.crc32(piece, crc)
            pieces.append(piece)
        total = self.rows + rows.num_rows
        pieces.append(self._marked(Mark(crc=crc, rows=total, watermarks=watermarks)))
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

    def close(self) -> None:
        """Close; idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _marked(self, mark: Mark) -> memoryview:
        sink = pa.BufferOutputStream()
        writer = pa.ipc.new_stream(sink, self.schema)
        empty = pa.RecordBatch.from_arrays(
            [pa.array([], field.type) for field in self.schema], schema=self.schema
        )
        writer.write_batch(empty, custom_metadata={_KEY: msgspec.json.encode(mark)})
        # The stream begins with the schema, which may be in a file but once.
        return memoryview(sink.getvalue())[len(self.schema.serialize()) :]


def journal_schema(path: Path) -> tuple[pa.Schema, dict[str, str]]:
    """Columns of a journal, and what its first rows said of themselves."""
    with pa.memory_map(str(path)) as source:
        schema = pa.ipc.open_stream(source).schema
        return schema.remove_metadata(), _start(schema).attributes


def journal_watermarks(path: Path) -> dict[str, int]:
    """Ring -> position up to which its records are in a journal."""
    return _end(path)[1].watermarks


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
            if zlib.crc32(data[begin:last]) != mark.crc:
                raise StoreError(f"{path}: bytes {begin} to {last} were altered")
            yield Flush(batches, mark, source.tell())
            batches = []
            begin = last = source.tell()


def _end(path: Path) -> tuple[int, Mark]:
    """Where the last whole flush ends, and its mark."""
    try:
        with pa.memory_map(str(path)) as source:
            schema = pa.ipc.open_stream(source).schema
            length = source.tell()
        mark = Mark(crc=0, rows=0, watermarks=_start(schema).watermarks)
    except (pa.ArrowInvalid, KeyError, msgspec.MsgspecError) as error:
        raise StoreError(f"{path}: is no journal ({error})") from error
    for flush in flushes(path):
        length, mark = flush.end, flush.mark
    return length, mark


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
