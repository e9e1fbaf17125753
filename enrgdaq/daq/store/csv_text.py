"""Arrow tables as CSV text that pandas and pyarrow read back as the same values.

pyarrow's writer does most of it. Rows in which its text would lose something take a way of
their own, at half the speed: a negative zero (``-0`` is an integer to readers), the first value
of a column of floats (``1`` is one too, and readers take the type from the first rows), and
nothing at all in the only column (readers skip empty lines).
"""

import csv
import functools
import io
from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from enrgdaq.daq.store.json_text import base64_texts, in_utc, is_bytes, is_text, json_texts
from enrgdaq.errors import StoreError

# Text that is still in the processor's cache when the kernel copies it: with pieces of
# megabytes that copy takes a quarter of the store's time.
_PIECE_BYTES: Final = 256 << 10
_TEXT: Final = pa.large_string()
_SAME_BITS: Final = {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}
_YEAR_1: Final = -62_135_596_800  # s since 1970
_YEAR_10_000: Final = 253_402_300_800
_DAY: Final = 86_400  # s
_TICKS: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}  # a second


def header_line(columns: list[str]) -> bytes:
    """The first line of a file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(columns)
    return text.getvalue().encode()


def float_columns(schema: pa.Schema) -> set[str]:
    """Columns whose first value must show what they are."""
    return {field.name for field in schema if pa.types.is_floating(field.type)}


def check_types(schema: pa.Schema) -> None:
    """Raise :class:`StoreError` for types that have no text."""
    for field in schema:
        try:
            _as_text(_writable_column(pa.array([], field.type)))
        except (pa.ArrowException, AttributeError, TypeError) as error:
            raise StoreError(
                f"column {field.name!r}: there is no text for {field.type} ({error})"
            ) from error


def columns_to_check(schema: pa.Schema) -> list[int]:
    """Columns that may hold values without a text: all but numbers."""
    return [index for index, kind in enumerate(schema.types) if not _is_number(kind)]


def check_values(table: pa.Table, columns: Iterable[int]) -> None:
    """Raise :class:`StoreError` for values that would spoil the file for its readers.

    Those are text that is not UTF-8, and times outside of the years 1 to 9999.
    """
    for index in columns:
        column = table.column(index)
        try:
            for chunk in column.chunks:
                _check(chunk)
        except (pa.ArrowInvalid, StoreError) as error:
            raise StoreError(f"column {table.field(index).name!r}: {error}") from error


def write_rows(tables: list[pa.Table], sink: Any, unmarked: set[str]) -> None:
    """Write the rows of tables that passed the checks, without a header.

    ``unmarked``: columns of floats without a value in the file yet; those that get one are
    taken from it.
    """
    for rows in _pieces(tables):
        piece = _writable(rows)
        if _is_plain(piece, unmarked):
            options = pacsv.WriteOptions(include_header=False, batch_size=piece.num_rows)
            with pacsv.CSVWriter(sink, piece.schema, write_options=options) as writer:
                writer.write_table(piece)
        else:
            sink.write(_lines(piece, unmarked))


def _pieces(tables: list[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables of a good size, each in one chunk."""
    width = 0.0  # bytes a row in the piece before; to ask each small table costs more than its rows
    waiting: list[pa.Table] = []
    rows = 0
    for table in tables:
        width = width or table.nbytes / table.num_rows
        waiting.append(table)
        rows += table.num_rows
        if rows * width >= _PIECE_BYTES or table is tables[-1]:
            # A column that had no value yet gets its type here.
            whole = pa.concat_tables(waiting, promote_options="default").combine_chunks()
            width = max(whole.nbytes / rows, 1 / 8)
            # Of equal sizes: a small rest would cost as much as a large one.
            step = -(-rows // max(1, round(rows * width / _PIECE_BYTES)))
            for begin in range(0, rows, step):
                yield whole.slice(begin, step)
            waiting, rows = [], 0


def _writable(table: pa.Table) -> pa.Table:
    """The table in types that pyarrow's writer has a text for."""
    for index, field in enumerate(table.schema):
        if not _is_number(field.type):
            chunks = [_writable_column(chunk) for chunk in table.column(index).chunks]
            table = table.set_column(index, field.name, pa.chunked_array(chunks, chunks[0].type))
    return table


def _writable_column(values: pa.Array) -> pa.Array:
    kind = values.type
    if is_bytes(kind):
        return base64_texts(values)
    if pa.types.is_string_view(kind):
        return values.cast(_TEXT)
    if pa.types.is_nested(kind):
        texts = json_texts(values, keeps_non_finite=True)
        return pc.if_else(values.is_valid(), texts, None)
    return values.cast(in_utc(kind))


def _is_plain(table: pa.Table, unmarked: set[str]) -> bool:
    """Whether pyarrow's own text is right."""
    if table.num_columns == 1 and table.column(0).null_count:
        return False
    for field, column in zip(table.schema, table.columns, strict=True):
        if not pa.types.is_floating(field.type):
            continue
        if field.name in unmarked and column.null_count < len(column):
            return False
        zero = _negative_zero(field.type.bit_width)
        if any(pc.any(pc.equal(chunk.view(zero.type), zero)).as_py() for chunk in column.chunks):
            return False
    return True


def _lines(table: pa.Table, unmarked: set[str]) -> memoryview:
    texts = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        text = _as_text(column.combine_chunks())
        if name in unmarked and text.null_count < len(text):
            unmarked.discard(name)
            text = _with_a_mark(text)
        texts.append(pc.fill_null(text, '""' if table.num_columns == 1 else ""))
    rows = pc.binary_join_element_wise(*texts, _constant(","))
    lines = pc.binary_join_element_wise(rows, _constant(""), _constant("\n"))
    _, offsets, data = lines.buffers()
    return memoryview(data)[: np.frombuffer(offsets, np.int64)[len(lines)]]


def _as_text(values: pa.Array) -> pa.Array:
    texts = values.cast(_TEXT)
    if is_text(values.type):
        texts = pc.replace_substring(texts, '"', '""')
        quote = _constant('"')
        return pc.binary_join_element_wise(quote, texts, quote, _constant(""))
    if pa.types.is_floating(values.type):
        return pc.if_else(pc.equal(texts, "-0"), pa.scalar("-0.0", _TEXT), texts)
    return texts


@functools.cache
def _constant(text: str) -> pa.Scalar:
    # Not while this module is imported: pyarrow's first conversion imports pandas, which takes
    # longer than all else that a start of acquisition waits for.
    return pa.scalar(text, _TEXT)


@functools.cache
def _negative_zero(bits: int) -> pa.Scalar:
    return pa.scalar(-(1 << (bits - 1)), _SAME_BITS[bits])


def _with_a_mark(texts: pa.Array) -> pa.Array:
    """The first number with a point, if it looks like an integer."""
    first = pc.index(texts.is_valid(), True).as_py()
    number = texts[first].as_py()
    if number.lstrip("-").isdigit():
        marked = pa.array([f"{number}.0"], _TEXT)
        return pa.concat_arrays([texts[:first], marked, texts[first + 1 :]])
    return texts


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


def _check(values: pa.Array) -> None:
    kind, types = values.type, pa.types
    if types.is_dictionary(kind):
        _check(values.dictionary)
    elif types.is_map(kind):
        _check(values.keys)
        _check(values.items)
    elif types.is_nested(kind):
        for inner in values.flatten() if types.is_struct(kind) else (values.flatten(),):
            _check(inner)
    elif types.is_timestamp(kind) or types.is_date64(kind):
        ticks = _TICKS["ms" if types.is_date64(kind) else kind.unit]
        _check_years(values.view(pa.int64()), _YEAR_1 * ticks, _YEAR_10_000 * ticks)
    elif types.is_date32(kind):
        _check_years(values.view(pa.int32()), _YEAR_1 // _DAY, _YEAR_10_000 // _DAY)
    else:
        values.validate(full=True)


def _check_years(values: pa.Array, first: int, end: int) -> None:
    extremes = pc.min_max(values)
    for value in (extremes["min"].as_py(), extremes["max"].as_py()):
        if value is not None and not first <= value < end:
            raise StoreError(f"{value} is a time outside of the years 1 to 9999")
