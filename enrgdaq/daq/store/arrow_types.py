"""Arrow's types that are a way to keep another: unwrapped here, once for all stores."""

import functools
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from enrgdaq.errors import StoreError

_LIST_VIEWS: Final = {pa.lib.Type_LIST_VIEW, pa.lib.Type_LARGE_LIST_VIEW}
_WRAPPED: Final = {
    pa.lib.Type_DICTIONARY,
    pa.lib.Type_RUN_END_ENCODED,
    *_LIST_VIEWS,
}
_REFUSED: Final = {
    pa.lib.Type_SPARSE_UNION,
    pa.lib.Type_DENSE_UNION,
    pa.lib.Type_INTERVAL_MONTHS,
    pa.lib.Type_INTERVAL_DAY_TIME,
    pa.lib.Type_INTERVAL_MONTH_DAY_NANO,
}
_REFUSED_INSIDE: Final = _REFUSED | _LIST_VIEWS | {pa.lib.Type_RUN_END_ENCODED}
# What pyarrow raises for types or values that one of its conversions cannot take.
_FAULTS: Final = (pa.ArrowException, NotImplementedError, TypeError, ValueError, IndexError)


def with_plain_types(table: pa.Table) -> pa.Table:
    """The table with dictionaries, run-end encoded columns, list views and extension types (such as
    ``arrow.uuid`` and tensors of fixed shape) as the values that they stand for.

    Raises :class:`StoreError` for unions and intervals, which no store has a place for.
    """
    for index, field in enumerate(table.schema):
        kind = field.type
        if _is_wrapped(kind):
            try:
                column = _unwrapped(table.column(index))
            except _FAULTS as error:
                raise StoreError(f"column {field.name!r} of type {kind}: {error}") from error
            kind = column.type
            table = table.set_column(
                index, pa.field(field.name, kind, metadata=field.metadata), column
            )
        if kind.id in _REFUSED or (kind.num_fields and _has_refused(kind)):
            raise StoreError(f"column {field.name!r}: no store has a place for {kind}")
    return table


def _unwrapped(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    while _is_wrapped(kind):
        if isinstance(kind, pa.BaseExtensionType):
            chunks = [chunk.storage for chunk in column.chunks]
            column = pa.chunked_array(chunks, kind.storage_type)
        elif kind.id == pa.lib.Type_RUN_END_ENCODED:
            column = pc.run_end_decode(column)
        elif kind.id in _LIST_VIEWS:
            chunks = [_lists(chunk) for chunk in column.chunks]
            column = pa.chunked_array(chunks, pa.large_list(kind.value_field))
        else:
            column = column.cast(kind.value_type)
        kind = column.type
    return column


def _lists(views: pa.Array) -> pa.Array:
    """Views as lists. pyarrow 26's own cast drops the last of them."""
    lengths = pc.fill_null(pc.list_value_length(views), 0).to_numpy()
    offsets = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
    missing = views.is_null() if views.null_count else None
    return pa.LargeListArray.from_arrays(
        offsets, views.flatten(), pa.large_list(views.type.value_field), mask=missing
    )


@functools.lru_cache(maxsize=1024)
def _has_refused(kind: pa.DataType) -> bool:
    """Whether a type holds, anywhere inside, what cannot be stored."""
    inside = [kind.field(index).type for index in range(kind.num_fields)]
    return any(
        one.id in _REFUSED_INSIDE or isinstance(one, pa.BaseExtensionType) or _has_refused(one)
        for one in inside
    )


def _is_wrapped(kind: pa.DataType) -> bool:
    return kind.id in _WRAPPED or isinstance(kind, pa.BaseExtensionType)
