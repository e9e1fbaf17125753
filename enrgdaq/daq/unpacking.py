"""Ring records to messages; :mod:`.packing` is the way there."""

import copy
import datetime as dt

import msgspec
import pyarrow as pa

from enrgdaq.daq.models import DAQJobInfo, DAQJobMessage
from enrgdaq.daq.packing import PackedRows
from enrgdaq.daq.store.models import (
    DAQJobMessageStorePyArrow,
    DAQJobMessageStoreRaw,
    DAQJobMessageStoreTabular,
)
from enrgdaq.errors import CodecError
from enrgdaq.transport import codec
from enrgdaq.transport.ring import Record, RecordKind

_KEPT_HEADERS = 256


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
        self._time = (0, dt.datetime.fromtimestamp(0, dt.UTC))

    def unpack(self, record: Record) -> DAQJobMessage:
        """The message in a record; its payload points into the ring.

        Raises :class:`CodecError` for types that this process does not know.
        """
        head = self._heads.get(record.header)
        if head is None:
            head = codec.decode(record.header, DAQJobMessage)
            if self._for_store and record.kind != RecordKind.MESSAGE:
                if len(self._heads) == _KEPT_HEADERS:
                    self._heads.clear()
                self._heads[record.header] = head
        message = copy.copy(head)
        message.id = f"{self._ring_uuid}:{record.sequence}"
        if message.timestamp is None:
            if record.timestamp_ns != self._time[0]:
                # Those of a batch share their time; making it takes longer than all the rest.
                made = dt.datetime.fromtimestamp(record.timestamp_ns / 1e9, dt.UTC)
                self._time = (record.timestamp_ns, made)
            message.timestamp = self._time[1]
        if message.daq_job_info is None:
            message.daq_job_info = self._sender
        _put_payload(message, record)
        if not self._for_store and isinstance(message, DAQJobMessageStoreRaw):
            message.data = bytes(message.data)
        return message


_ROWS_DECODER = msgspec.msgpack.Decoder(PackedRows)


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
