"""Rows of store messages as Arrow tables with plain columns."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from enrgdaq.daq.store.models import (
    DAQJobMessageStore,
    DAQJobMessageStorePyArrow,
    DAQJobMessageStoreTabular,
)
from enrgdaq.daq.units import with_units
from enrgdaq.errors import StoreError


def table_of(message: DAQJobMessageStore) -> pa.Table:
    """The message's rows; dictionary columns as their values.

    A table that came through a ring points into it. Raises :class:`StoreError` for messages
    without rows and for columns that share a name.
    """
    if isinstance(message, DAQJobMessageStorePyArrow):
        table = _decoded(message.get_table())
    elif isinstance(message, DAQJobMessageStoreTabular):
        table = pa.table(dict(zip(message.keys, map(column_of, _columns(message)), strict=True)))
        if message.units:
            table = with_units(table, message.units)
    else:
        raise StoreError(f"{type(message).__name__} has no rows; use the raw store for bytes")
    if len(set(table.column_names)) != table.num_columns:
        raise StoreError(f"columns {', '.join(table.column_names)}: each name may be there once")
    return table


def column_of(values: Iterable[Any]) -> pa.Array:
    """Python values as an Arrow column; values of several kinds as text."""
    kept = list(values)
    try:
        return pa.array(kept)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([None if value is None else str(value) for value in kept], pa.string())


def _columns(message: DAQJobMessageStoreTabular) -> Iterable[Iterable[Any]]:
    if message.data_columns is not None:
        return (message.data_columns[key] for key in message.keys)
    rows = message.data or ()
    return zip(*rows, strict=True) if rows else ((),) * len(message.keys)


def _decoded(table: pa.Table) -> pa.Table:
    for index, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            values = table.column(index).cast(field.type.value_type)
            plain = pa.field(field.name, field.type.value_type, metadata=field.metadata)
            table = table.set_column(index, plain, values)
    return table
