"""Columns as databases hold them: numbers, text, times, bytes, and JSON for the rest."""

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from enrgdaq.daq.store.json_text import is_bytes, is_text, json_texts

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
    if is_text(kind):
        return column.cast(pa.string())
    if is_bytes(kind):
        return column.cast(pa.binary())
    if types.is_nested(kind):
        return pa.chunked_array([_json_column(chunk) for chunk in column.chunks], JSON)
    return column


def _json_column(lists: pa.Array) -> pa.Array:
    texts = json_texts(lists, keeps_non_finite=False)
    return pc.if_else(lists.is_valid(), texts, None).cast(JSON)
