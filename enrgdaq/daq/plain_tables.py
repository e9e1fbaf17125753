"""Arrow streams of plain tables: numbers, as many in each row, none missing.

What such a stream says before its numbers, its *head*, is the same for all tables of one schema
and one number of rows. So it is kept and copied: pyarrow's stream writer takes 8 µs for a table,
and several times that when payloads of a megabyte have pushed it out of the cache.
"""

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

END: Final = b"\xff\xff\xff\xff\0\0\0\0"
"""The end of every stream."""

_MOST_COLUMNS: Final = 8  # each takes a few calls of Python here, and hardly anything there
_PADDING: Final = tuple(bytes(-length % 8) for length in range(8))


def row_bytes(schema: pa.Schema) -> list[int] | None:
    """Bytes that a row takes in each column; ``None`` when not all are plain."""
    sizes = [_value_bytes(kind) for kind in schema.types]
    return sizes if 0 < len(sizes) <= _MOST_COLUMNS and all(sizes) else None


def _value_bytes(kind: pa.DataType) -> int:
    """Bytes of a value; 0 when it is not plain."""
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size) * _value_bytes(kind.value_type)
    is_plain = pa.types.is_primitive(kind) and kind.bit_width % 8 == 0
    return int(kind.bit_width) // 8 if is_plain else 0


def numbers_of(batch: pa.RecordBatch, sizes: Sequence[int]) -> list[memoryview] | None:
    """The bytes of each column; ``None`` when a value is missing, or they lie among others."""
    found = []
    for column, size in zip(batch.columns, sizes, strict=True):
        numbers = _numbers(column)
        if numbers is None or len(numbers) != size * batch.num_rows:
            return None
        found.append(numbers)
    return found


def _numbers(column: pa.Array) -> memoryview | None:
    while not (column.offset or column.null_count):
        if not isinstance(column, pa.FixedSizeListArray):
            buffer = column.buffers()[1]
            return None if buffer is None else memoryview(buffer).cast("B")
        column = column.values
    return None


def head_of(stream: memoryview, schema_length: int) -> bytes:
    """The head of a stream of one batch."""
    # A message begins with a mark of four bytes and the length of what it says.
    said = int.from_bytes(stream[schema_length + 4 : schema_length + 8], "little")
    return bytes(stream[: schema_length + 8 + said])


def stream_length(head: bytes, columns: Sequence[memoryview]) -> int:
    """Bytes of a stream of these columns."""
    return len(head) + sum((len(numbers) + 7) & -8 for numbers in columns) + len(END)


def write_stream(space: memoryview, head: bytes, columns: Sequence[memoryview]) -> None:
    """Write a stream of these columns, which fills the space."""
    end = len(head)
    space[:end] = head
    for numbers in columns:
        begin, end = end, end + len(numbers)
        space[begin:end] = numbers
        padding = _PADDING[end % 8]
        begin, end = end, end + len(padding)
        space[begin:end] = padding
    space[end:] = END
