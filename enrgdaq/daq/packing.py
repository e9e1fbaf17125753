"""Messages to ring records and back.

A record's header is the message without its payload; it is the same for message after
message of one producer, so readers decode it once. The payload lies beside it as it is: an
Arrow stream, raw bytes, or msgpack of rows.
"""

import copy
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa

from enrgdaq.daq.models import DAQJobInfo, DAQJobMessage
from enrgdaq.daq.store.models import (
    FILE_BACKENDS,
    DAQJobMessageStore,
    DAQJobMessageStorePyArrow,
    DAQJobMessageStoreRaw,
    DAQJobMessageStoreTabular,
)
from enrgdaq.daq.store.paths import check_file_path, check_tag
from enrgdaq.errors import CodecError
from enrgdaq.transport import codec
from enrgdaq.transport.ring import Record, RecordKind

_KEPT_HEADERS = 256


@dataclass(frozen=True)
class PackedMessage:
    """A message ready for a ring: ``fill`` writes ``payload_length`` bytes into its space."""

    kind: RecordKind
    header: bytes
    payload_length: int
    rows: int
    fill: Callable[[memoryview], None]


def topics_of(message: DAQJobMessage) -> tuple[str, ...]:
    """The message's own topics and those of the stores that it asks for."""
    if isinstance(message, DAQJobMessageStore):
        return (*message.topics, *message.store_config.topics())
    return tuple(message.topics)


def pack(message: DAQJobMessage) -> PackedMessage:
    """Prepare a message for a ring.

    Raises :class:`CodecError` for what cannot be sent, :class:`StoreError` for a tag or a
    file path that no store may use: better here, where the mistake is, than in the store.
    """
    if isinstance(message, DAQJobMessageStore):
        check_tag(message.tag)
        for settings in message.store_config.backends():
            if isinstance(settings, FILE_BACKENDS):
                check_file_path(settings.file_path)
    if isinstance(message, DAQJobMessageStorePyArrow):
        return _pack_arrow(message)
    if isinstance(message, DAQJobMessageStoreRaw):
        return _pack_raw(message)
    if isinstance(message, DAQJobMessageStoreTabular):
        return _pack_rows(message)
    return PackedMessage(RecordKind.MESSAGE, codec.encode(_head(message)), 0, 0, _fill_nothing)


def split(message: DAQJobMessage, parts: int) -> list[DAQJobMessage]:
    """The message cut by rows into about ``parts`` messages; itself when it has one row."""
    if isinstance(message, DAQJobMessageStorePyArrow):
        table = message.get_table()
        if table.num_rows < 2:
            return [message]
        step = -(-table.num_rows // parts)
        return [
            _with(message, table=table.slice(begin, step))
            for begin in range(0, table.num_rows, step)
        ]
    if isinstance(message, DAQJobMessageStoreTabular) and message.data and len(message.data) > 1:
        step = -(-len(message.data) // parts)
        return [
            _with(message, data=message.data[begin : begin + step])
            for begin in range(0, len(message.data), step)
        ]
    return [message]


class Unpacker:
    """Turns the records of one ring into messages."""

    def __init__(self, ring_uuid: str, sender: DAQJobInfo) -> None:
        self._ring_uuid = ring_uuid
        self._sender = sender
        self._heads: dict[bytes, DAQJobMessage] = {}

    def unpack(self, record: Record) -> DAQJobMessage:
        """The message in a record; its payload points into the ring.

        Raises :class:`CodecError` for types that this process does not know.
        """
        head = self._heads.get(record.header)
        if head is None:
            head = codec.decode(record.header, DAQJobMessage)
            if record.kind != RecordKind.MESSAGE:
                if len(self._heads) == _KEPT_HEADERS:
                    self._heads.clear()
                self._heads[record.header] = head
        message = copy.copy(head)
        message.id = f"{self._ring_uuid}:{record.sequence}"
        if message.timestamp is None:
            message.timestamp = dt.datetime.fromtimestamp(record.timestamp_ns / 1e9, dt.UTC)
        if message.daq_job_info is None:
            message.daq_job_info = self._sender
        _put_payload(message, record)
        return message


class _Rows(msgspec.Struct, omit_defaults=True):
    data: list[list[Any]] | None = None
    columns: dict[str, list[Any]] | None = None


_ROWS_DECODER = msgspec.msgpack.Decoder(_Rows)


def _put_payload(message: DAQJobMessage, record: Record) -> None:
    if isinstance(message, DAQJobMessageStorePyArrow):
        message.table = pa.ipc.open_stream(pa.py_buffer(record.payload)).read_all()
    elif isinstance(message, DAQJobMessageStoreRaw):
        message.data = record.payload
    elif isinstance(message, DAQJobMessageStoreTabular):
        try:
            rows = _ROWS_DECODER.decode(record.payload)
        except msgspec.MsgspecError as error:
            raise CodecError(f"rows at {record.start}: {error}") from error
        message.data = rows.data
        message.data_columns = rows.columns


def _pack_arrow(message: DAQJobMessageStorePyArrow) -> PackedMessage:
    table = message.table
    if not isinstance(table, (pa.Table, pa.RecordBatch)):
        raise CodecError(
            f"table must be a pyarrow Table or RecordBatch, not {type(table).__name__}"
        )
    batches = table.to_batches() if isinstance(table, pa.Table) else [table]
    # A dry run over the same writer: exact for dictionaries too, and no byte is copied.
    size = pa.MockOutputStream()
    _write_stream(size, table.schema, batches)

    def fill(space: memoryview) -> None:
        sink = pa.FixedSizeBufferWriter(pa.py_buffer(space))
        _write_stream(sink, table.schema, batches)
        sink.close()

    header = codec.encode(_head(message, table=None))
    return PackedMessage(RecordKind.ARROW, header, size.size(), table.num_rows, fill)


def _write_stream(sink: Any, schema: pa.Schema, batches: list[pa.RecordBatch]) -> None:
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _pack_raw(message: DAQJobMessageStoreRaw) -> PackedMessage:
    try:
        data = memoryview(message.data).cast("B")
    except TypeError as error:
        raise CodecError(f"raw data must be bytes, not {type(message.data).__name__}") from error

    def fill(space: memoryview) -> None:
        space[:] = data

    return PackedMessage(
        RecordKind.RAW, codec.encode(_head(message, data=None)), len(data), 1, fill
    )


def _pack_rows(message: DAQJobMessageStoreTabular) -> PackedMessage:
    columns = message.data_columns
    if columns is not None:
        columns = {key: list(values) for key, values in columns.items()}
        lengths = {key: len(values) for key, values in columns.items()}
        if set(columns) != set(message.keys) or len(set(lengths.values())) > 1:
            raise CodecError(
                f"data_columns {lengths} must fit keys {message.keys}, one length each"
            )
    for row in message.data or ():
        if len(row) != len(message.keys):
            raise CodecError(f"row of {len(row)} values for {len(message.keys)} keys: {row!r:.200}")
    payload = codec.encode_plain(_Rows(message.data, columns))
    rows = len(message.data or ()) + (len(next(iter(columns.values()), ())) if columns else 0)

    def fill(space: memoryview) -> None:
        space[:] = payload

    header = codec.encode(_head(message, data=None, data_columns=None))
    return PackedMessage(RecordKind.ROWS, header, len(payload), rows, fill)


def _head(message: DAQJobMessage, **blanks: Any) -> DAQJobMessage:
    return _with(message, id=None, **blanks)


def _with(message: DAQJobMessage, **changes: Any) -> DAQJobMessage:
    changed = copy.copy(message)
    for name, value in changes.items():
        setattr(changed, name, value)
    return changed


def _fill_nothing(space: memoryview) -> None:
    pass
