"""Messages to ring records; :mod:`.unpacking` is the way back.

A record's header is the message without its payload; it is the same for message after
message of one producer, so readers decode it once. The payload lies beside it as it is: an
Arrow stream, raw bytes, or msgpack of rows.
"""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from enrgdaq.daq.models import DAQJobMessage
from enrgdaq.daq.store.models import (
    FILE_BACKENDS,
    DAQJobMessageStore,
    DAQJobMessageStorePyArrow,
    DAQJobMessageStoreRaw,
    DAQJobMessageStoreTabular,
    DAQJobStoreConfigMySQL,
    DAQJobStoreConfigRedis,
)
from enrgdaq.daq.store.names import check_column_names, check_redis_key, check_table_name
from enrgdaq.daq.store.paths import check_file_path, check_tag
from enrgdaq.errors import CodecError
from enrgdaq.transport import codec
from enrgdaq.transport.ring import RecordKind

_KEPT_HEADERS = 256
_PLAIN_TYPES = (DAQJobMessageStoreRaw, DAQJobMessageStorePyArrow, DAQJobMessageStoreTabular)


class Payload(NamedTuple):
    """What lies beside the header: ``fill`` writes ``length`` bytes into the space for it."""

    kind: int
    length: int
    rows: int
    fill: Callable[[memoryview], None]


class Envelope(NamedTuple):
    """What a message says beside its payload, and the topics that decide who is owed it."""

    topics: tuple[str, ...]
    header: bytes


class PackedMessage(NamedTuple):
    """A message ready for a ring."""

    envelope: Envelope
    payload: Payload


def topics_of(message: DAQJobMessage) -> tuple[str, ...]:
    """The message's own topics and those of the stores that it asks for."""
    if isinstance(message, DAQJobMessageStore):
        return (*message.topics, *message.store_config.topics())
    return tuple(message.topics)


class PackedRows(msgspec.Struct, omit_defaults=True):
    """Payload of tabular rows."""

    data: list[list[Any]] | None = None
    columns: dict[str, list[Any]] | None = None


class Packer:
    """Prepares messages for a ring.

    Topics and header of a store message are the same for message after message. They are
    looked up by what they are made from; that the store config must be encoded for it
    (0.4 µs) is the price of noticing that somebody has changed it. Within a batch nobody can.
    """

    def __init__(self) -> None:
        self._envelopes: dict[object, Envelope] = {}
        self._encode = msgspec.msgpack.Encoder().encode
        self._latest: tuple[DAQJobMessageStore, Envelope] | None = None

    def begin_batch(self) -> None:
        """Look at store configs anew: somebody may have changed one since the last message."""
        self._latest = None

    def pack(self, message: DAQJobMessage) -> PackedMessage:
        """Envelope and payload of a message.

        Raises :class:`CodecError` for what cannot be sent, :class:`StoreError` for a tag or a
        file path that no store may use: better here, where the mistake is, than in the store.
        """
        if isinstance(message, DAQJobMessageStoreRaw):
            payload = _raw_payload(message)
        elif isinstance(message, DAQJobMessageStorePyArrow):
            payload = _arrow_payload(message)
        elif isinstance(message, DAQJobMessageStoreTabular):
            payload = _rows_payload(message)
        else:
            envelope = Envelope(topics_of(message), codec.encode(_bare(message)))
            return PackedMessage(envelope, _NO_PAYLOAD)
        if self._latest is None or not _are_alike(message, self._latest[0]):
            self._latest = message, self.envelope(message)
        return PackedMessage(self._latest[1], payload)

    def envelope(self, message: DAQJobMessageStore) -> Envelope:
        """Topics and header of a store message. Raises as :meth:`pack`."""
        if not _is_plain(message):
            return _make_envelope(message)
        key = (
            type(message),
            self._encode(message.store_config),
            message.tag,
            tuple(message.topics),
            tuple(message.keys) if isinstance(message, DAQJobMessageStoreTabular) else None,
            message.target_local_supervisor,
        )
        envelope = self._envelopes.get(key)
        if envelope is None:
            envelope = _make_envelope(message)
            if len(self._envelopes) == _KEPT_HEADERS:
                self._envelopes.clear()
            self._envelopes[key] = envelope
        return envelope


def _is_plain(message: DAQJobMessageStore) -> bool:
    """Whether kind, settings and columns are all that its header says."""
    # The type decides which fields there are; a subclass may have more than these.
    return (
        message.timestamp is None and message.daq_job_info is None and type(message) in _PLAIN_TYPES
    )


def _are_alike(message: DAQJobMessageStore, before: DAQJobMessageStore) -> bool:
    """Whether two messages, of which nobody has changed one since, have one envelope."""
    return (
        _is_plain(message)
        and message.store_config is before.store_config
        and type(message) is type(before)
        and message.tag == before.tag
        and message.topics == before.topics
        and message.target_local_supervisor == before.target_local_supervisor
        and getattr(message, "keys", None) == getattr(before, "keys", None)
    )


def split(message: DAQJobMessage, parts: int) -> list[DAQJobMessage]:
    """The message cut by rows into about ``parts`` messages.

    Itself when it has one row, or when a store keeps only its latest message: that must stay
    one.
    """
    if isinstance(message, DAQJobMessageStore) and any(
        getattr(settings, "overwrite", False) for settings in message.store_config.backends()
    ):
        return [message]
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


def _arrow_payload(message: DAQJobMessageStorePyArrow) -> Payload:
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

    return Payload(RecordKind.ARROW, size.size(), table.num_rows, fill)


def _write_stream(sink: Any, schema: pa.Schema, batches: list[pa.RecordBatch]) -> None:
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _raw_payload(message: DAQJobMessageStoreRaw) -> Payload:
    try:
        data = memoryview(message.data).cast("B")
    except TypeError as error:
        raise CodecError(f"raw data must be bytes, not {type(message.data).__name__}") from error

    def fill(space: memoryview) -> None:
        space[:] = data

    return Payload(RecordKind.RAW, len(data), 1, fill)


def _rows_payload(message: DAQJobMessageStoreTabular) -> Payload:
    columns = message.data_columns
    if columns is not None and message.data is not None:
        raise CodecError("a message has data or data_columns, not both")
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
    payload = codec.encode_plain(PackedRows(message.data, columns))
    rows = len(message.data or ()) + (len(next(iter(columns.values()), ())) if columns else 0)

    def fill(space: memoryview) -> None:
        space[:] = payload

    return Payload(RecordKind.ROWS, len(payload), rows, fill)


def _make_envelope(message: DAQJobMessageStore) -> Envelope:
    check_tag(message.tag)
    _check_kind(message)
    for settings in message.store_config.backends():
        if isinstance(settings, FILE_BACKENDS):
            check_file_path(settings.file_path)
        elif isinstance(settings, DAQJobStoreConfigMySQL):
            check_table_name(settings.table_name)
            if isinstance(message, DAQJobMessageStoreTabular):
                check_column_names(tuple(message.keys))
        elif isinstance(settings, DAQJobStoreConfigRedis):
            check_redis_key(settings.key)
    return Envelope(topics_of(message), codec.encode(_bare(message)))


def _check_kind(message: DAQJobMessageStore) -> None:
    """Rows for stores of rows, bytes for stores of bytes."""
    settings = message.store_config
    is_raw = isinstance(message, DAQJobMessageStoreRaw)
    wrong = ("csv", "hdf5", "root", "mysql") if is_raw else ("raw",)
    for section in wrong:
        if getattr(settings, section) is not None:
            raise CodecError(
                f"{type(message).__name__} cannot go to store_config.{section}: it takes"
                f" {'rows' if is_raw else 'bytes'}; use another backend for this message"
            )


def _bare(message: DAQJobMessage) -> DAQJobMessage:
    """The message without its payload and without what readers know from the record."""
    bare = copy.copy(message)
    bare.id = None
    if isinstance(bare, DAQJobMessageStorePyArrow):
        bare.table = None
    elif isinstance(bare, DAQJobMessageStoreRaw):
        bare.data = None
    elif isinstance(bare, DAQJobMessageStoreTabular):
        bare.data = bare.data_columns = None
    return bare


def _with(message: DAQJobMessage, **changes: Any) -> DAQJobMessage:
    changed = copy.copy(message)
    for name, value in changes.items():
        setattr(changed, name, value)
    return changed


def _fill_nothing(space: memoryview) -> None:
    pass


_NO_PAYLOAD = Payload(RecordKind.MESSAGE, 0, 0, _fill_nothing)
