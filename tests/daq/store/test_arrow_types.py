"""Arrow's ways to keep other types: all stores get the values."""

import uuid
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from enrgdaq.daq.store.arrow_types import with_plain_types
from enrgdaq.errors import StoreError

IDENTIFIER = uuid.UUID(int=7)
LISTS = [[1, 2], None, [3], []]
WRAPPED = {
    "dictionary": (pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
    "uuid": (pa.array([IDENTIFIER.bytes, None], pa.uuid()), [IDENTIFIER.bytes, None]),
    "json": (pa.array(["[1]"], pa.json_()), ["[1]"]),
    "tensor": (
        pa.FixedShapeTensorArray.from_numpy_ndarray(np.arange(8.0).reshape(2, 2, 2)),
        [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]],
    ),
    "run ends": (pa.RunEndEncodedArray.from_arrays([2, 3], [5.0, None]), [5.0, 5.0, None]),
    "list view": (pa.array(LISTS, pa.list_view(pa.int32())), LISTS),
    "large list view": (pa.array(LISTS, pa.large_list_view(pa.int32())), LISTS),
    "list view in another order": (
        pa.ListViewArray.from_arrays(
            pa.array([2, 0], pa.int32()), pa.array([1, 2], pa.int32()), pa.array([1, 2, 3])
        ),
        [[3], [1, 2]],
    ),
}
UNION = pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])
REFUSED = [
    pa.ExtensionArray.from_storage(pa.opaque(UNION.type, "union", "lab"), UNION),
    UNION,
    pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([1])]),
    pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
    pa.StructArray.from_arrays([pa.RunEndEncodedArray.from_arrays([1], [5.0])], ["inner"]),
    pa.array([[[1]]], pa.list_(pa.list_view(pa.int8()))),
]


@pytest.mark.parametrize("kind", WRAPPED)
def test_what_is_inside_is_there(kind: str) -> None:
    values, expected = WRAPPED[kind]
    for begin in range(len(values)):
        table = pa.table({"n": range(len(values) - begin), "x": values.slice(begin)})
        plain = with_plain_types(table)
        assert plain["x"].to_pylist() == expected[begin:]
        assert plain["n"].to_pylist() == table["n"].to_pylist()
    assert with_plain_types(table.slice(0, 0)).num_rows == 0


@pytest.mark.parametrize("values", REFUSED, ids=lambda values: str(values.type))
def test_what_no_store_has_a_place_for_is_named(values: Any) -> None:
    with pytest.raises(StoreError, match="column 'odd': no store has a place for"):
        with_plain_types(pa.table({"odd": values}))


def test_plain_tables_are_left_as_they_are() -> None:
    table = pa.table({"n": [1], "x": [[1.0]], "s": [{"a": 1}]})
    assert with_plain_types(table) is table
