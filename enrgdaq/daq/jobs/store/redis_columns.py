"""Columns as the texts of Redis lists and the samples of its time series."""

import base64
import json
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from enrgdaq.daq.store.plain import JSON, plain
from enrgdaq.errors import StoreError

_NAMES: Final[dict[str, pa.DataType]] = {
    str(kind): kind
    for kind in (
        pa.bool_(),
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
        *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.float64(), pa.string(), pa.binary(), JSON),
        *(pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("ns")),
        *(pa.date32(), pa.time64("us"), pa.time64("ns")),
    )
}
_LONGEST_COLUMN: Final = 200


def list_columns(table: pa.Table) -> pa.Table:
    """The table in the types that :func:`schema_from_text` knows.

    Raises :class:`StoreError` for column names that cannot end a key.
    """
    _check_names(table)
    table = plain(table)
    for index, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type):
            table = table.set_column(index, field.name, table.column(index).cast(pa.string()))
    return table


def list_values(column: pa.ChunkedArray) -> list[bytes]:
    """A column as texts: numbers that read back to the same bits, base64 for bytes.

    Nothing is an empty text, true and false are 1 and 0, times are UTC.
    """
    kind = column.type
    if kind == pa.binary():
        return [b"" if v is None else base64.b64encode(v) for v in column.to_pylist()]
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    if kind != JSON:
        column = column.cast(pa.string()).cast(JSON)
    return [b"" if value is None else value for value in column.to_pylist()]


def samples_of(table: pa.Table) -> pa.Table:
    """``timestamp`` in ms since 1970 and all other columns as doubles.

    A ``timestamp`` column of integers counts ms already, one of floats counts seconds. NaN
    and infinity, which a series does not take, become null. Raises :class:`StoreError` for
    what is no time series.
    """
    _check_names(table)
    if "timestamp" not in table.column_names:
        raise StoreError("use_timeseries needs a column called timestamp")
    table = plain(table)
    columns = [
        _moments(column) if name == "timestamp" else _samples(name, column)
        for name, column in zip(table.column_names, table.columns, strict=True)
    ]
    return pa.table(columns, names=table.column_names)


def columns_text(schema: pa.Schema) -> bytes:
    """Columns and their types, for :func:`schema_from_text`."""
    return json.dumps({field.name: str(field.type) for field in schema}).encode()


def schema_from_text(text: bytes) -> pa.Schema:
    """What :func:`columns_text` wrote. Raises :class:`StoreError` for anything else."""
    try:
        found = json.loads(text)
        return pa.schema([pa.field(name, _NAMES[kind]) for name, kind in found.items()])
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise StoreError(f"its list of columns cannot be read: {text[:200]!r}") from error


def _check_names(table: pa.Table) -> None:
    for name in table.column_names:
        if not (0 < len(name) <= _LONGEST_COLUMN and name.isprintable()):
            raise StoreError(
                f"column {name!r}: a Redis key ends with 1 to {_LONGEST_COLUMN} printable"
                " characters"
            )


def _moments(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if column.null_count:
        raise StoreError("column timestamp has rows without a time")
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("ms"), safe=False).cast(pa.int64())
    if pa.types.is_integer(column.type):
        return column.cast(pa.int64())
    if pa.types.is_floating(column.type):
        return pc.round(pc.multiply(column, 1000.0)).cast(pa.int64())
    raise StoreError(f"column timestamp holds {column.type}: send times, ms or seconds")


def _samples(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    kinds = pa.types
    if kinds.is_boolean(column.type):
        column = column.cast(pa.int8())
    kind = column.type
    if not (kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_null(kind)):
        raise StoreError(
            f"column {name!r} holds {kind}, a time series holds numbers: leave it out or set"
            " use_timeseries = false"
        )
    column = column.cast(pa.float64(), safe=False)
    return pc.if_else(pc.is_finite(column), column, pa.scalar(None, pa.float64()))
