"""Columns as the branches of a TTree."""

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import pyarrow as pa

from enrgdaq.daq.store.columns import ColumnKind, FlatColumn, flatten, kind_of
from enrgdaq.errors import StoreError

_NULL_SUFFIX: Final = "_is_null"


def check_columns(schema: pa.Schema) -> dict[str, ColumnKind]:
    """Column name -> what it becomes.

    Raises :class:`StoreError` for types and names that a TTree cannot have.
    """
    for name in schema.names:
        if not name or any(letter in "/[]:;" or ord(letter) < 32 for letter in name):
            raise StoreError(f"column {name!r}: ROOT cannot have a branch of this name")
    kinds = {field.name: kind_of(field) for field in schema}
    for name, kind in kinds.items():
        if kind.is_ragged and kind.shape:
            raise StoreError(f"column {name!r}: lists of lists have no place in a TTree")
        if kind.dtype == np.float16:
            kinds[name] = kind._replace(dtype=np.dtype(np.float32))
    return kinds


def branch_types(kinds: dict[str, ColumnKind], with_nulls: Iterable[str]) -> dict[str, Any]:
    """Branch name -> its type, as uproot's ``mktree`` takes them."""
    types: dict[str, Any] = {}
    for name, kind in kinds.items():
        if kind.content == "text":
            types[name] = "string"
        elif kind.is_ragged:
            types[name] = f"var * {kind.dtype.name}"
        else:
            types[name] = np.dtype((kind.dtype, kind.shape))
    for name in with_nulls:
        types[null_name(name, kinds)] = np.dtype(np.bool_)
    return types


def branch_values(
    rows: pa.Table, kinds: dict[str, ColumnKind], with_nulls: Iterable[str]
) -> dict[str, Any]:
    """Branch name -> the rows' values, for ``extend``."""
    values: dict[str, Any] = {}
    flat = {name: flatten(rows.column(name), kind) for name, kind in kinds.items()}
    for name, kind in kinds.items():
        values[name] = _lists(flat[name], kind) if kind.is_ragged else flat[name].values
    for name in with_nulls:
        is_null = np.zeros(rows.num_rows, np.bool_)
        is_null[flat[name].nulls] = True
        values[null_name(name, kinds)] = is_null
    return values


def null_name(name: str, kinds: dict[str, ColumnKind]) -> str:
    """Name of the branch that says in which rows a column has no value."""
    return _free(f"{name}{_NULL_SUFFIX}", kinds)


def counter_name(name: str, kinds: dict[str, ColumnKind]) -> str:
    """Name of the branch with the lengths of a column's lists."""
    return _free(f"n{name}", kinds)


def _free(name: str, taken: Iterable[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _lists(column: FlatColumn, kind: ColumnKind) -> Any:
    # By hand: awkward's own way from Arrow adds option types, for which TTrees have no branch.
    import awkward as ak
    from awkward.contents import ListOffsetArray, NumpyArray
    from awkward.index import Index64

    assert column.offsets is not None  # noqa: S101 - ragged columns have them
    is_text = kind.content == "text"
    items = NumpyArray(column.values, parameters={"__array__": "char"} if is_text else None)
    parameters = {"__array__": "string"} if is_text else None
    return ak.Array(ListOffsetArray(Index64(column.offsets), items, parameters=parameters))
