"""Rows of store messages as Arrow tables with plain columns."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from enrgdaq.daq.store.arrow_types import with_plain_types
from enrgdaq.daq.store.models import (
    DAQJobMessageStore,
    DAQJobMessageStorePyArrow,
    DAQJobMessageStoreTabular,
)
from enrgdaq.daq.store.names import check_distinct
from enrgdaq.daq.units import with_units
from enrgdaq.errors import StoreError


def table_of(message: DAQJobMessageStore) -> pa.Table:
    """The message's rows; columns of a type around another, such as dictionaries, as the values.

    A table that came through a ring points into it. Raises :class:`StoreError` for messages
    without rows, for columns that share a name, and for types that no store has a place for.
    """
    if isinstance(message, DAQJobMessageStorePyArrow):
        table = with_plain_types(message.get_table())
    elif isinstance(message, DAQJobMessageStoreTabular):
        columns = [column_of(values) for values in _columns(message)]
        table = pa.Table.from_arrays(columns, message.keys)
        if message.units:
            table = with_units(table, message.units)
    else:
        raise StoreError(f"{type(message).__name__} has no rows; use the raw store for bytes")
    check_distinct(table.column_names)
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
