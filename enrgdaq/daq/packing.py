"""Messages to ring records; :mod:`.unpacking` is the way back.

A record's header is the message without its payload; it is the same for message after
message of one producer, so readers decode it once. The payload lies beside it as it is: an
Arrow stream, raw bytes, or msgpack of rows.
"""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from enrgdaq.daq.arrow_streams import TableEncoder
from enrgdaq.daq.models import DAQJobMessage
from enrgdaq.daq.payloads import NO_PAYLOAD, Payload, raw_payload, rows_payload
from enrgdaq.daq.raw_batch import batch_payload
from enrgdaq.daq.store.models import (
    FILE_BACKENDS,
    DAQJobMessageStore,
    DAQJobMessageStorePyArrow,
    DAQJobMessageStoreRaw,
    DAQJobMessageStoreTabular,
    DAQJobStoreConfigMySQL,
    DAQJobStoreConfigRedis,
)
from enrgdaq.daq.store.names import (
    check_column_names,
    check_distinct,
    check_redis_key,
    check_table_name,
)
from enrgdaq.daq.store.paths import check_file_path, check_name_length, check_tag
from enrgdaq.errors import CodecError
from enrgdaq.transport import codec

_KEPT_HEADERS = 256
_PLAIN_TYPES = (DAQJobMessageStoreRaw, DAQJobMessageStorePyArrow, DAQJobMessageStoreTabular)


_Message = TypeVar("_Message", bound=DAQJobMessage)


class Envelope(NamedTuple):
    """What a message says beside its payload, and the topics that decide who is owed it."""

    topics: tuple[str, ...]
    header: bytes


PackedMessage = tuple[Envelope, Payload]
"""A message ready for a ring."""


def topics_of(message: DAQJobMessage) -> tuple[str, ...]:
    """The message's own topics and those of the stores that it asks for."""
    if isinstance(message, DAQJobMessageStore):
        return (*message.topics, *message.store_config.topics())
    return tuple(message.topics)


class Packer:
    """Prepares messages for a ring.

    Topics and header of a store message are the same for message after message. The latest is
    kept, with a copy of the settings that it was made from: comparing them (0.2 µs) is the
    price of noticing that somebody has changed them. Others are looked up.
    """

    def __init__(self) -> None:
        self._envelopes: dict[object, Envelope] = {}
        self._encode = msgspec.msgpack.Encoder().encode
        self._tables = TableEncoder()
        self._latest: tuple[DAQJobMessageStore, Envelope] | None = None

    def pack(self, message: DAQJobMessage) -> PackedMessage:
        """Envelope and payload of a message.

        Raises :class:`CodecError` for what cannot be sent, :class:`StoreError` for a tag or a
        file path that no store may use: better here, where the mistake is, than in the store.
        """
        if isinstance(message, DAQJobMessageStoreRaw):
            payload = raw_payload(message)
        elif isinstance(message, DAQJobMessageStorePyArrow):
            payload = self._tables.payload(message)
        elif isinstance(message, DAQJobMessageStoreTabular):
            payload = rows_payload(message)
        else:
            return Envelope(topics_of(message), codec.encode(_bare(message))), NO_PAYLOAD
        return self._latest_envelope(message), payload

    def pack_batch(
        self, messages: Sequence[DAQJobMessageStoreRaw], blobs: Sequence[memoryview]
    ) -> PackedMessage:
        """One envelope and payload for messages that are alike. Raises as :meth:`pack`."""
        return self._latest_envelope(messages[0]), batch_payload(blobs)

    def _latest_envelope(self, message: DAQJobMessageStore) -> Envelope:
        if self._latest is None or not are_alike(message, self._latest[0]):
            self._latest = copy.deepcopy(_bare(message)), self.envelope(message)
        return self._latest[1]

    def envelope(self, message: DAQJobMessageStore) -> Envelope:
        """Topics and header of a store message. Raises as :meth:`pack`."""
        if not _is_plain(message):
            return _make_envelope(message)
        key = (
            type(message),
            self._encode(message.store_config),
            message.tag,
            tuple(message.topics),
            (tuple(message.keys), tuple((message.units or {}).items()))
            if isinstance(message, DAQJobMessageStoreTabular)
            else None,
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


def are_alike(message: DAQJobMessageStore, other: DAQJobMessageStore) -> bool:
    """Whether two messages have one envelope."""
    kind = type(message)
    settings = message.store_config
    return (
        kind is type(other)
        and (settings is other.store_config or settings == other.store_config)
        and message.tag == other.tag
        and message.topics == other.topics
        # _is_plain() of both written out: they are of one kind
        and message.timestamp is None
        and other.timestamp is None
        and message.daq_job_info is None
        and other.daq_job_info is None
        and kind in _PLAIN_TYPES
        and message.target_local_supervisor == other.target_local_supervisor
        and (not isinstance(message, DAQJobMessageStoreTabular) or _have_columns_of(message, other))
    )


def _have_columns_of(message: DAQJobMessageStoreTabular, other: DAQJobMessageStore) -> bool:
    return (
        isinstance(other, DAQJobMessageStoreTabular)
        and message.keys == other.keys
        and message.units == other.units
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
    if isinstance(message, DAQJobMessageStoreTabular) and message.data_columns:
        columns = message.data_columns
        rows = len(next(iter(columns.values())))
        step = max(1, -(-rows // parts))
        return [
            _with(message, data_columns={k: v[begin : begin + step] for k, v in columns.items()})
            for begin in range(0, rows, step)
        ]
    return [message]


def _make_envelope(message: DAQJobMessageStore) -> Envelope:
    check_tag(message.tag)
    _check_kind(message)
    if isinstance(message, DAQJobMessageStoreTabular):
        _check_columns(message)
    for settings in message.store_config.backends():
        if isinstance(settings, FILE_BACKENDS):
            check_file_path(settings.file_path)
            check_name_length(settings.file_path, message.tag)
        elif isinstance(settings, DAQJobStoreConfigMySQL):
            check_table_name(settings.table_name)
            if isinstance(message, DAQJobMessageStoreTabular):
                check_column_names(tuple(message.keys))
        elif isinstance(settings, DAQJobStoreConfigRedis):
            check_redis_key(settings.key)
    return Envelope(topics_of(message), codec.encode(_bare(message)))


def _check_columns(message: DAQJobMessageStoreTabular) -> None:
    check_distinct(message.keys)
    for name, unit in (message.units or {}).items():
        if name not in message.keys:
            raise CodecError(
                f"units: there is no column {name!r}; keys are {', '.join(message.keys)}"
            )
        if not isinstance(unit, str):
            raise CodecError(f"units: that of column {name!r} is {unit!r}; give a text")


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


def _bare(message: _Message) -> _Message:
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
