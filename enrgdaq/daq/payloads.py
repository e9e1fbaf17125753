"""What lies beside a message's header in a record: an Arrow stream, raw bytes, rows, or nothing."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from enrgdaq.daq.store.models import (
    DAQJobMessageStoreRaw,
    DAQJobMessageStoreTabular,
)
from enrgdaq.errors import CodecError
from enrgdaq.transport import codec
from enrgdaq.transport.ring import RecordKind

# In Python 3.11 a member of an enum takes 0.1 µs to look up, a fiftieth of a small message.
_RAW: Final = RecordKind.RAW
_ROWS: Final = RecordKind.ROWS


class Payload(msgspec.Struct, frozen=True, gc=False):
    """What lies beside the header: ``length`` bytes, ``data`` as they are or what ``fill`` writes.

    ``messages`` is how many share the header.
    """

    kind: int
    length: int
    rows: int
    data: bytes | memoryview | None = None
    fill: Callable[[memoryview], None] | None = None
    messages: int = 1


class PackedRows(msgspec.Struct, omit_defaults=True):
    """Payload of tabular rows."""

    data: list[list[Any]] | None = None
    columns: dict[str, list[Any]] | None = None


def bytes_in(message: DAQJobMessageStoreRaw) -> memoryview:
    """The message's data, byte by byte. Raises :class:`CodecError`."""
    if type(message.data) is bytes:
        return memoryview(message.data)
    try:
        return memoryview(message.data).cast("B")
    except TypeError as error:
        raise CodecError(f"raw data must be bytes, not {type(message.data).__name__}") from error


def raw_payload(message: DAQJobMessageStoreRaw) -> Payload:
    """Bytes as they are. Raises :class:`CodecError`."""
    data = message.data
    if type(data) is not bytes:
        data = bytes_in(message)
    return Payload(_RAW, len(data), 1, data)


def rows_payload(message: DAQJobMessageStoreTabular) -> Payload:
    """Rows as msgpack. Raises :class:`CodecError`."""
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
    if message.data is not None:
        _check_rows(message.data, message.keys)
    payload = codec.encode_plain(PackedRows(message.data, columns))
    rows = len(message.data or ()) + (len(next(iter(columns.values()), ())) if columns else 0)
    return Payload(_ROWS, len(payload), rows, payload)


def _check_rows(rows: Any, keys: list[str]) -> None:
    if not isinstance(rows, list | tuple):
        raise CodecError(
            f"data must be a list of rows, not {type(rows).__name__}; arrays go into data_columns,"
            " one for each key"
        )
    width = len(keys)
    try:
        for row in rows:
            if len(row) != width:
                raise CodecError(f"row of {len(row)} values for {width} keys: {row!r:.200}")
    except TypeError as error:
        raise CodecError(
            f"data must be a list of rows, each a list of {width} values: {rows!r:.200}"
        ) from error


NO_PAYLOAD = Payload(RecordKind.MESSAGE, 0, 0, b"")
"""Of a message that is all in its header."""
