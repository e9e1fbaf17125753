"""Columns as databases hold them: numbers, text, times, bytes, and JSON for the rest."""

import base64
import datetime as dt
import json
import math
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

JSON: Final = pa.large_binary()
"""Carries JSON text, so that it is told apart from text (string) and bytes (binary)."""


def plain(table: pa.Table) -> pa.Table:
    """The table in a small set of column types, without loss.

    Booleans, integers, decimals, dates and times stay; floats become doubles; time stamps are
    UTC without a zone; text is ``string``, bytes are ``binary``; durations are integers in
    their own unit; lists, structs and maps become :data:`JSON`. NaN and infinity inside a list
    become ``null``, which is what JSON has.
    """
    names = table.column_names
    return pa.table([_plain_column(column) for column in table.columns], names=names)


def float_texts(values: pa.Array) -> pa.Array:
    """Doubles as the shortest text that reads back to the same bits; NaN as ``nan``."""
    return values.cast(pa.large_string())


def _plain_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind, types = column.type, pa.types
    if types.is_floating(kind):
        return column.cast(pa.float64())
    if types.is_timestamp(kind) and kind.tz is not None:
        return column.cast(pa.int64()).cast(pa.timestamp(kind.unit))
    if types.is_time32(kind):
        return column.cast(pa.time64("us"))
    if types.is_date64(kind):
        return column.cast(pa.date32())
    if types.is_duration(kind):
        return column.cast(pa.int64())
    if _is_text(kind):
        return column.cast(pa.string())
    if _is_bytes(kind):
        return column.cast(pa.binary())
    if types.is_nested(kind):
        return pa.chunked_array([_json_column(chunk) for chunk in column.chunks], JSON)
    return column


def _is_text(kind: pa.DataType) -> bool:
    kinds = pa.types
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    kinds = pa.types
    return bool(
        kinds.is_binary(kind)
        or kinds.is_large_binary(kind)
        or kinds.is_fixed_size_binary(kind)
        or kinds.is_binary_view(kind)
    )


def _json_column(lists: pa.Array) -> pa.Array:
    kinds = pa.types
    if kinds.is_fixed_size_list(lists.type):
        lists = lists.cast(pa.list_(lists.type.value_type))
    if kinds.is_list(lists.type) or kinds.is_large_list(lists.type):
        inner = lists.type.value_type
        if kinds.is_integer(inner) or kinds.is_floating(inner) or kinds.is_boolean(inner):
            return _json_of_numbers(lists)
    texts = [
        None if value is None else json.dumps(_json_value(value), ensure_ascii=False)
        for value in lists.to_pylist()
    ]
    return pa.array(texts, pa.large_string()).cast(JSON)


def _json_of_numbers(lists: pa.Array) -> pa.Array:
    """Waveforms: whole columns at a time, a hundred times faster than value by value."""
    values = lists.values
    texts = values.cast(pa.float64() if pa.types.is_floating(values.type) else values.type)
    texts = texts.cast(pa.string())
    if pa.types.is_floating(values.type):
        texts = pc.if_else(pc.is_finite(values.cast(pa.float64())), texts, None)
        # JSON's readers take -0 for an integer, which has no sign.
        texts = pc.if_else(pc.equal(texts, "-0"), "-0.0", texts)
    texts = pc.fill_null(texts, "null")
    made = pa.ListArray if pa.types.is_list(lists.type) else pa.LargeListArray
    joined = pc.binary_join(made.from_arrays(lists.offsets, texts), ",")
    whole = pc.binary_join_element_wise("[", joined, "]", "")
    return pc.if_else(lists.is_valid(), whole, None).cast(JSON)


def _json_value(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _json_value(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(inner) for inner in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (dt.datetime, dt.date, dt.time)):
        return value.isoformat()
    return value if isinstance(value, (bool, int, str, type(None))) else str(value)
