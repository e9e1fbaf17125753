"""Ring records to messages; :mod:`.packing` is the way there."""

import datetime as dt
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from enrgdaq.daq.arrow_streams import TableDecoder
from enrgdaq.daq.models import DAQJobInfo, DAQJobMessage
from enrgdaq.daq.payloads import PackedRows
from enrgdaq.daq.raw_batch import blobs_of
from enrgdaq.daq.store.models import (
    DAQJobMessageStorePyArrow,
    DAQJobMessageStoreRaw,
    DAQJobMessageStoreTabular,
)
from enrgdaq.errors import CodecError
from enrgdaq.transport import codec
from enrgdaq.transport.ring import Record, RecordKind

_KEPT_HEADERS = 256
_RAW_BATCH: Final = RecordKind.RAW_BATCH  # in Python 3.11 each look at an enum takes 0.1 µs


class Unpacker:
    """Turns the records of one ring into messages.

    With ``for_store`` messages share their headers' objects, and raw data points into the
    ring. Code that may change or keep what it gets is given objects of its own.
    """

    def __init__(self, ring_uuid: str, sender: DAQJobInfo, *, for_store: bool) -> None:
        self._for_store = for_store
        self._ring_uuid = ring_uuid
        self._sender = sender
        self._heads: dict[bytes, DAQJobMessage] = {}
        self._tables = TableDecoder()
        self._time = (0, dt.datetime.fromtimestamp(0, dt.UTC))

    def unpack(self, record: Record) -> Sequence[DAQJobMessage]:
        """The messages in a record; their payloads point into the ring.

        Raises :class:`CodecError` for types that this process does not know.
        """
        name = f"{self._ring_uuid}:{record.sequence}"
        if record.kind == _RAW_BATCH:
            return self._unpack_batch(record, name)
        message = self._head_of(record, name)
        self._put_payload(message, record)
        if not self._for_store and isinstance(message, DAQJobMessageStoreRaw):
            message.data = bytes(message.data)
        return (message,)

    def _unpack_batch(self, record: Record, name: str) -> Sequence[DAQJobMessage]:
        head = self._head_of(record, name)
        if not isinstance(head, DAQJobMessageStoreRaw):
            raise CodecError(f"a batch of {type(head).__name__}")
        if self._for_store:
            return [
                replace(head, id=f"{name}.{number}", data=blob)
                for number, blob in enumerate(blobs_of(record.payload))
            ]
        return [
            replace(self._head_of(record, f"{name}.{number}"), data=bytes(blob))
            for number, blob in enumerate(blobs_of(record.payload))
        ]

    def _head_of(self, record: Record, name: str) -> DAQJobMessage:
        """The message without its payload."""
        head = self._heads.get(record.header)
        if head is None:
            head = codec.decode(record.header, DAQJobMessage)
            if self._for_store and record.kind != RecordKind.MESSAGE:
                if len(self._heads) == _KEPT_HEADERS:
                    self._heads.clear()
                self._heads[record.header] = head
        return replace(
            head,
            id=name,
            timestamp=head.timestamp or self._time_of(record.timestamp_ns),
            daq_job_info=head.daq_job_info or self._sender,
        )

    def _time_of(self, timestamp_ns: int) -> dt.datetime:
        if timestamp_ns != self._time[0]:
            # Those of a batch share their time; making it takes longer than all the rest.
            self._time = timestamp_ns, dt.datetime.fromtimestamp(timestamp_ns / 1e9, dt.UTC)
        return self._time[1]

    def _put_payload(self, message: DAQJobMessage, record: Record) -> None:
        if isinstance(message, DAQJobMessageStoreRaw):
            message.data = record.payload
        elif isinstance(message, DAQJobMessageStorePyArrow):
            message.table = self._tables.table(record.payload)
        elif isinstance(message, DAQJobMessageStoreTabular):
            try:
                rows = _ROWS_DECODER.decode(record.payload)
            except msgspec.MsgspecError as error:
                raise CodecError(f"rows at {record.start}: {error}") from error
            message.data = rows.data
            message.data_columns = rows.columns


_ROWS_DECODER = msgspec.msgpack.Decoder(PackedRows)
