"""Tables as Arrow IPC streams and back, without saying and reading the same schema again and again.

The format is that of ``pyarrow.ipc``: a schema, record batches, an end; what is written here is
byte for byte what its stream writer writes. Making and reading a stream takes pyarrow longer than
a small table itself, and most of that is the schema, the same for message after message.
"""

from functools import partial
from typing import Any, Final

import pyarrow as pa

from enrgdaq.daq import plain_tables
from enrgdaq.daq.payloads import Payload
from enrgdaq.daq.store.models import DAQJobMessageStorePyArrow
from enrgdaq.errors import CodecError
from enrgdaq.transport.ring import RecordKind

# Larger ones are copied once, into the ring; a copy of these is quicker than a stream writer.
_SMALL_BYTES: Final = 64 << 10


class TableEncoder:
    """Makes payloads of tables. Keeps what it knows of the latest schema."""

    def __init__(self) -> None:
        self._latest: _SchemaEncoder | None = None

    def payload(self, message: DAQJobMessageStorePyArrow) -> Payload:
        """A table as a stream. Raises :class:`CodecError` for what is none."""
        table = message.table
        if not isinstance(table, (pa.Table, pa.RecordBatch)):
            raise CodecError(
                f"table must be a pyarrow Table or RecordBatch, not {type(table).__name__}"
            )
        batches = table.to_batches() if isinstance(table, pa.Table) else [table]
        schema = table.schema
        if self._latest is None or not schema.equals(self._latest.schema, check_metadata=True):
            self._latest = _SchemaEncoder(schema)
        return self._latest.payload(batches, table.num_rows)


class _SchemaEncoder:
    """Makes payloads of tables of one schema."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self._prefix = None if _has_dictionaries(schema) else schema.serialize().to_pybytes()
        self._row_bytes = plain_tables.row_bytes(schema)
        self._head = b""
        self._head_rows = 0
        # Else each stream asks the environment for old formats: a tenth of a table's time.
        self._options = pa.ipc.IpcWriteOptions()

    def payload(self, batches: list[pa.RecordBatch], rows: int) -> Payload:
        """A table of these batches as a stream."""
        numbers = self._large_plain(batches)
        if numbers is not None and rows == self._head_rows:
            length = plain_tables.stream_length(self._head, numbers)
            fill = partial(plain_tables.write_stream, head=self._head, columns=numbers)
            return Payload(RecordKind.ARROW, length, rows, fill=fill)
        if self._prefix is None:
            length = self._length(batches)
        else:
            size = sum(map(pa.ipc.get_record_batch_size, batches))
            length = len(self._prefix) + size + len(plain_tables.END)
            if size <= _SMALL_BYTES:
                parts = [self._prefix, *(batch.serialize() for batch in batches), plain_tables.END]
                return Payload(RecordKind.ARROW, length, rows, b"".join(parts))
        fill = partial(self._fill, batches, keeps_head=numbers is not None)
        return Payload(RecordKind.ARROW, length, rows, fill=fill)

    def _large_plain(self, batches: list[pa.RecordBatch]) -> list[memoryview] | None:
        """The numbers of a table that is large and plain."""
        row_bytes = self._row_bytes
        if row_bytes is None or len(batches) != 1:
            return None
        if sum(row_bytes) * batches[0].num_rows <= _SMALL_BYTES:
            return None
        return plain_tables.numbers_of(batches[0], row_bytes)

    def _fill(self, batches: list[pa.RecordBatch], space: memoryview, *, keeps_head: bool) -> None:
        sink = pa.FixedSizeBufferWriter(pa.py_buffer(space))
        self._write(sink, batches)
        sink.close()
        if keeps_head and self._prefix is not None:
            self._head = plain_tables.head_of(space, len(self._prefix))
            self._head_rows = batches[0].num_rows

    def _length(self, batches: list[pa.RecordBatch]) -> int:
        # A dry run over the same writer: exact for dictionaries too, and no byte is copied.
        size = pa.MockOutputStream()
        self._write(size, batches)
        return int(size.size())

    def _write(self, sink: Any, batches: list[pa.RecordBatch]) -> None:
        with pa.ipc.new_stream(sink, self.schema, options=self._options) as writer:
            for batch in batches:
                writer.write_batch(batch)


class TableDecoder:
    """Reads tables from payloads, in place. Keeps the latest schema."""

    def __init__(self) -> None:
        self._schema: pa.Schema | None = None
        self._prefix = b""

    def table(self, payload: memoryview) -> pa.Table:
        """The table in a stream; it points into the payload. Raises :class:`pa.ArrowException`."""
        length = len(self._prefix)
        if self._schema is not None and bytes(payload[:length]) == self._prefix:
            batch = _only_batch(payload[length:], self._schema)
            if batch is not None:
                return pa.Table.from_batches([batch], self._schema)
        table = pa.ipc.open_stream(pa.py_buffer(payload)).read_all()
        if not _has_dictionaries(table.schema):
            self._schema = table.schema
            self._prefix = table.schema.serialize().to_pybytes()
        return table


def _only_batch(rest: memoryview, schema: pa.Schema) -> pa.RecordBatch | None:
    """The batch behind the schema, when there is one and then the end, as nearly always."""
    source = pa.BufferReader(pa.py_buffer(rest))
    try:
        message = pa.ipc.read_message(source)
    except EOFError:  # no batch at all
        return None
    if message.type != "record batch" or source.tell() + len(plain_tables.END) != source.size():
        return None
    return pa.ipc.read_record_batch(message, schema)


def _has_dictionaries(schema: pa.Schema) -> bool:
    """Whether there is more in a stream of this schema than batches."""
    return any(_is_or_has_dictionary(kind) for kind in schema.types)


def _is_or_has_dictionary(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    return pa.types.is_dictionary(kind) or any(
        _is_or_has_dictionary(kind.field(index).type) for index in range(kind.num_fields)
    )
