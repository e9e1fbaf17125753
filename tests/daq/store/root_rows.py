"""Reads back what the ROOT store wrote, as Arrow columns."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import uproot

from enrgdaq.daq.store.columns import kind_of


def read_table(path: Path, tree: str, schema: pa.Schema) -> pa.Table:
    """All rows of a tree, in the types that they were sent with."""
    with uproot.open(path) as file:
        assert file.keys(recursive=False)[-1] == "enrgdaq_provenance;1", file.keys()
        found = file[tree]
        arrays = [_column(found, field) for field in schema]
        return pa.table(arrays, schema=schema)


def _column(tree: Any, field: pa.Field) -> pa.Array:
    kind = kind_of(field)
    values: list[Any] = tree[field.name].array().tolist()
    if kind.content == "bytes":
        values = [bytes(row) for row in values]
    if f"{field.name}_is_null" in tree:
        is_null = tree[f"{field.name}_is_null"].array(library="np")
        values = [None if gone else value for value, gone in zip(values, is_null, strict=True)]
    if kind.content in ("time", "date", "duration"):
        stored = pa.int32() if kind.dtype.itemsize == 4 else pa.int64()
        days = pa.array(values, stored)
        return days.cast(field.type) if kind.content == "date" else days.view(field.type)
    if kind.dtype == np.float16:
        values = [None if value is None else np.float16(value) for value in values]
    return pa.array(values, field.type)
