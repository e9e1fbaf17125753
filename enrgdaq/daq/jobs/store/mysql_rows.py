"""Arrow tables as SQL text, whole columns at a time."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from enrgdaq.daq.store.plain import JSON, float_texts
from enrgdaq.errors import StoreError

_ROWS_AT_ONCE: Final = 50_000  # bounds the memory for the text
_TEXT: Final = pa.large_string()


def quoted_name(name: str) -> str:
    """An identifier between backticks."""
    return "`" + name.replace("`", "``") + "`"


def insert_statements(name: str, table: pa.Table, largest: int) -> Iterator[bytes]:
    """``INSERT`` statements of many rows each, at most ``largest`` bytes long.

    Columns are as :func:`enrgdaq.daq.store.plain.plain` makes them, time stamps in
    microseconds. Raises :class:`StoreError` when one row alone is too long.
    """
    columns = ", ".join(quoted_name(column) for column in table.column_names)
    prefix = f"INSERT INTO {quoted_name(name)} ({columns}) VALUES ".encode()  # noqa: S608 - quoted
    for begin in range(0, table.num_rows, _ROWS_AT_ONCE):
        rows = _row_texts(table.slice(begin, _ROWS_AT_ONCE))
        _, offsets_buffer, data_buffer = rows.buffers()
        offsets = np.frombuffer(offsets_buffer, np.int64, len(rows) + 1, 8 * rows.offset)
        data = memoryview(data_buffer)
        first = 0
        while first < len(rows):
            room = offsets[first] + largest - len(prefix)
            last = int(np.searchsorted(offsets, room, side="right")) - 1
            if last <= first:
                size = offsets[first + 1] - offsets[first]
                raise StoreError(f"a row of {size} bytes is too long: the server takes {largest}")
            # Every row ends with a comma; the last one's is left out.
            yield prefix + data[offsets[first] : offsets[last] - 1]
            first = last


def non_finite_columns(table: pa.Table) -> list[str]:
    """Columns with NaN or infinity, which SQL does not have."""
    return [
        field.name
        for field, column in zip(table.schema, table.columns, strict=True)
        if pa.types.is_floating(field.type)
        and pc.all(pc.is_finite(column), min_count=0).as_py() is False
    ]


def _row_texts(table: pa.Table) -> pa.Array:
    literals = [_literals(column.combine_chunks()) for column in table.columns]
    comma, begin, end = (pa.scalar(text, _TEXT) for text in (",", "(", "),"))
    rows = pc.binary_join_element_wise(*literals, comma)
    return pc.binary_join_element_wise(begin, rows, end, pa.scalar("", _TEXT))


def _literals(values: pa.Array) -> pa.Array:
    """A column as SQL literals."""
    kind, types = values.type, pa.types
    if types.is_boolean(kind):
        texts = values.cast(pa.int8()).cast(_TEXT)
    elif types.is_integer(kind):
        texts = values.cast(_TEXT)
    elif types.is_floating(kind):
        texts = _double_literals(values)
    elif kind == JSON or types.is_string(kind):
        texts = _quoted(values.cast(_TEXT), escape=True)
    elif types.is_binary(kind):
        texts = pa.array(
            [None if v is None else f"x'{v.hex()}'" for v in values.to_pylist()], _TEXT
        )
    else:  # dates, times, decimals
        texts = _quoted(values.cast(_TEXT), escape=False)
    return pc.fill_null(texts, pa.scalar("NULL", _TEXT))


def _double_literals(values: pa.Array) -> pa.Array:
    texts = float_texts(values)
    # Without an exponent SQL reads a decimal, not a double.
    marked = pc.binary_join_element_wise(texts, pa.scalar("e0", _TEXT), pa.scalar("", _TEXT))
    texts = pc.if_else(pc.match_substring(texts, "e"), texts, marked)
    return pc.if_else(pc.is_finite(values), texts, pa.scalar(None, _TEXT))


def _quoted(texts: pa.Array, *, escape: bool) -> pa.Array:
    if escape:
        # Right with backslash escapes, which the connection asks for; without them a doubled
        # quote would still end no literal.
        texts = pc.replace_substring(texts, "\\", "\\\\")
        texts = pc.replace_substring(texts, "'", "''")
    quote = pa.scalar("'", _TEXT)
    return pc.binary_join_element_wise(quote, texts, quote, pa.scalar("", _TEXT))
