"""CSV files: what columns one has, and what writes rows into it."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import zstandard

from enrgdaq.daq.store.csv_text import (
    check_types,
    check_values,
    columns_to_check,
    float_columns,
    header_line,
    write_rows,
)
from enrgdaq.daq.store.files import AppendTarget, SnapshotTarget
from enrgdaq.daq.store.journal import Contents, is_begun, read_journal
from enrgdaq.daq.store.sink import Write

_LONGEST_HEADER: Final = 1 << 20


class GrowingCSV(AppendTarget[pa.Table]):
    """A CSV file that grows. With ``compresses`` each flush is one zstd frame."""

    def __init__(
        self, path: Path, schema: Callable[[], pa.Schema], *, compresses: bool, syncs: bool = False
    ) -> None:
        """``schema`` tells the file's columns, of which some may not have a type yet.

        Raises :class:`StoreError` for types that have no text.
        """
        super().__init__(path, self._writer_of, lambda: _contents(schema()), syncs=syncs)
        self._schema = schema
        self._compressor = zstandard.ZstdCompressor() if compresses else None
        self._marked: set[str] = set()
        self._is_continued = False
        self._look_at(schema())

    def check(self, body: pa.Table) -> None:
        """See :class:`StoreTarget`. What has no text is refused."""
        for index in self._undecided:
            if not pa.types.is_null(body.field(index).type):
                self._look_at(body.schema)
                break
        check_values(body, self._doubtful)

    def _look_at(self, schema: pa.Schema) -> None:
        check_types(schema)
        self._doubtful = columns_to_check(schema)
        self._undecided = [i for i, kind in enumerate(schema.types) if pa.types.is_null(kind)]

    def _writer_of(self, tables: list[pa.Table], is_first: bool) -> Write:
        must_look = not self._is_continued and self._compressor is None
        self._is_continued = True
        schema = self._schema()
        header = header_line(schema.names) if is_first else b""
        unmarked = float_columns(schema) - self._marked

        def write(sink: Any) -> None:
            if must_look and sink.last_byte() not in (b"", b"\n"):
                sink.write(b"\n")  # the last line of a file of the user's
            left = set(unmarked)
            if self._compressor is None:
                _write(sink, header, tables, left)
            else:
                with self._compressor.stream_writer(sink, closefd=False) as frame:
                    _write(frame, header, tables, left)
            self._marked |= unmarked - left

        return write


def snapshot_csv(path: Path, *, compresses: bool, syncs: bool = False) -> SnapshotTarget[pa.Table]:
    """A CSV file that holds the latest table only."""

    def encode(table: pa.Table) -> bytes:
        text = io.BytesIO()
        tables = [table] if table.num_rows else []
        _write(text, header_line(table.column_names), tables, float_columns(table.schema))
        if compresses:
            return zstandard.ZstdCompressor().compress(text.getbuffer())
        return text.getvalue()

    return SnapshotTarget(path, encode, syncs=syncs)


def schema_in(path: Path) -> pa.Schema | None:
    """Columns of a file; ``None`` when there are none. Those of unknown type are ``null``.

    The names are those of its first line; the types are in the journal of a file that the
    store itself made. Raises ``OSError``, and :class:`StoreError` for a broken journal.
    """
    if not is_begun(path):
        return None
    journal = read_journal(path)
    names = _header_of(path)
    if journal is not None and journal.schema is not None:
        schema = pa.ipc.read_schema(pa.py_buffer(journal.schema))
        if schema.names == names:
            return schema
    return pa.schema([(name, pa.null()) for name in names])


def _contents(schema: pa.Schema) -> Contents:
    return Contents(schema.names, schema.serialize().to_pybytes())


def _write(sink: Any, header: bytes, tables: list[pa.Table], unmarked: set[str]) -> None:
    if header:
        sink.write(header)
    write_rows(tables, sink, unmarked)


def _header_of(path: Path) -> list[str]:
    with path.open("rb") as file:
        stream: Any = file
        if path.suffix == ".zst":
            stream = zstandard.ZstdDecompressor().stream_reader(file)
        beginning = stream.read(_LONGEST_HEADER)
    text = beginning.decode("utf-8-sig", errors="replace")
    return next(csv.reader(io.StringIO(text, newline="")), [])
