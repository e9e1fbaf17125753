"""Rows with other columns go to another part; rows that fit stay, and no value changes."""

import logging

import pyarrow as pa
import pytest

from enrgdaq.daq.store.parts import Parts, conform
from enrgdaq.daq.units import unit_of, with_units

LOG = logging.getLogger("test")


def make(existing: dict[str, pa.Schema] | None = None) -> Parts[str]:
    return Parts((existing or {}).get, LOG)


def place(part: int) -> str:
    return f"name.part{part}" if part > 1 else "name"


def test_new_lost_and_changed_columns_start_parts_and_old_ones_go_on() -> None:
    parts = make()
    tables = [
        pa.table({"a": [1], "b": [2.0]}),
        pa.table({"a": [1], "b": [2.0], "c": [3]}),
        pa.table({"a": [1]}),
        pa.table({"a": ["text"], "b": [2.0]}),
        pa.table({"b": [5.0], "a": [4]}),
    ]
    assert [parts.fit(place, table, "p").place for table in tables] == [
        "name",
        "name.part2",
        "name.part3",
        "name.part4",
        "name",
    ]


def test_another_unit_starts_a_part_and_none_goes_on_anywhere() -> None:
    parts = make()
    units = ["degC", "K", "", "degC", "K"]
    tables = [with_units(pa.table({"t": [1.0]}), {"t": unit}) for unit in units]
    assert [parts.fit(place, table, "p").place for table in tables] == [
        "name",
        "name.part2",
        "name",
        "name",
        "name.part2",
    ]
    assert unit_of(parts.schema("name.part2").field("t")) == "K"


def test_what_stands_on_disk_decides() -> None:
    parts = make({"name": pa.schema({"a": pa.string()})})
    assert parts.fit(place, pa.table({"a": [1]}), "p").place == "name.part2"
    assert parts.fit(place, pa.table({"a": ["x"]}), "p").place == "name"


@pytest.mark.parametrize(
    ("there", "values", "fits"),
    [
        (pa.float64(), pa.array([1, 2]), True),
        (pa.float64(), pa.array([2**53 + 1]), False),
        (pa.int64(), pa.array([1], pa.int16()), True),
        (pa.int16(), pa.array([1], pa.int64()), False),
        (pa.int64(), pa.array([1.0]), False),
        (pa.float64(), pa.array([0.5], pa.float32()), True),
        (pa.string(), pa.nulls(2), True),
        (pa.uint8(), pa.array([-1], pa.int8()), False),
        (pa.list_(pa.float64()), pa.array([[1.5]], pa.list_(pa.float32())), True),
        (pa.timestamp("us", "UTC"), pa.array([1], pa.timestamp("s", "UTC")), True),
        (pa.timestamp("us"), pa.array([1], pa.timestamp("us", "UTC")), False),
    ],
)
def test_a_type_holds_another_only_without_loss(
    there: pa.DataType, values: pa.Array, fits: bool
) -> None:
    fitted = conform(pa.table({"a": values}), pa.schema({"a": there}))
    assert (fitted is not None) == fits
    if fitted is not None:
        assert fitted.column("a").to_pylist() == values.to_pylist()


def test_columns_without_a_value_yet_become_doubles() -> None:
    parts = make()
    assert parts.fit(place, pa.table({"a": pa.nulls(1)}), "p").table["a"].type == pa.float64()
    assert parts.fit(place, pa.table({"a": [2.5]}), "p").place == "name"


def test_two_producers_with_different_columns_are_both_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    parts = make()
    parts.fit(place, pa.table({"a": [1]}), "pmt")
    parts.fit(place, pa.table({"b": [1]}), "chiller")
    assert "pmt and chiller both write to name" in caplog.text


def test_integers_go_into_half_floats_only_where_each_has_a_place() -> None:
    half = pa.schema([("v", pa.float16())])
    assert conform(pa.table({"v": pa.array([100], pa.int8())}), half)["v"].to_pylist() == [100.0]
    assert conform(pa.table({"v": [2049, 70_000]}), half) is None
    lists = pa.schema([("v", pa.list_(pa.float16()))])
    assert conform(pa.table({"v": [[2049]]}), lists) is None
