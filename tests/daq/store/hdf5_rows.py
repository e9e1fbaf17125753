"""Reads back what the HDF5 store wrote, as Arrow columns."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa

from enrgdaq.daq.store.columns import kind_of
from enrgdaq.daq.store.hdf5 import reading


def read_table(path: Path, group: str, **options: Any) -> pa.Table:
    """All rows of a group, in the types that they were sent with."""
    with h5py.File(path, "r", **options) as file:
        return group_table(file[group])


def group_table(group: Any) -> pa.Table:
    """See :func:`read_table`."""
    schema = pa.ipc.read_schema(pa.py_buffer(group.attrs["arrow_schema"].tobytes()))
    return pa.table([_column(group, field) for field in schema], schema=schema)


def _column(group: Any, field: pa.Field) -> pa.Array:
    kind = kind_of(field)
    values: list[Any]
    if kind.content == "text":
        values = list(reading.read_texts(group, field.name))
    elif kind.is_ragged:
        values = [row.tolist() for row in reading.read_lists(group, field.name)]
    else:
        values = list(reading.read_values(group, field.name).tolist())
    if kind.content == "bytes":
        values = [bytes(row) for row in values]
    for row in np.asarray(reading.read_null_rows(group, field.name)).tolist():
        values[row] = None
    if kind.content in ("time", "date", "duration"):
        stored = pa.int32() if kind.dtype.itemsize == 4 else pa.int64()
        days = pa.array(values, stored)
        return days.cast(field.type) if kind.content == "date" else days.view(field.type)
    return pa.array(values, field.type)
