"""What a job sends is what pandas and pyarrow read back, bit for bit."""

import datetime as dt
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enrgdaq.daq.store.csv_text import (
    check_types,
    check_values,
    columns_to_check,
    float_columns,
    header_line,
    write_rows,
)
from enrgdaq.daq.store.json_text import is_bytes, is_text
from enrgdaq.errors import StoreError
from tests.daq.store.csv_rows import Store, bits, read_arrow, read_pandas
from tests.daq.store.tables import EVERY_TYPE, GAPS

NAN, INF = float("nan"), float("inf")
FLOATS = [1.0, -0.0, 0.1, 1e16, 2.0**53 + 2, 5e-324, 1.7976931348623157e308, NAN, INF, -INF, None]
MORE = pa.table(
    {
        "float16": pa.array(np.array([1, -0.0, 0.1] + 8 * [6e-8], np.float16)),
        "float32": pa.array(FLOATS, pa.float32()),
        "float64": pa.array(FLOATS),
        "int64": pa.array([2**63 - 1, -(2**63), None, *range(8)]),
        "uint64": pa.array([2**64 - 1, 0, None, *range(8)], pa.uint64()),
        "flag": pa.array([True, False, None] + 8 * [True]),
        "text": pa.array(
            ['a"b', "a,b", "line\nbreak", "end\r", "", None, "naïve µ 中", " x ", "NA", "1", "-0"]
        ),
        "blob": pa.array([b"\0\xff", b"", None] + 8 * [b"abc"]),
        "kind": pa.array(["pmt", None, "veto"] + 8 * ["pmt"]).dictionary_encode(),
        "decimal": pa.array([Decimal("1.50"), Decimal("-0.01"), None] + 8 * [Decimal("1e3")]),
        "small": pa.array([Decimal("1e-10"), Decimal(0), None] + 8 * [None], pa.decimal128(20, 10)),
        "s": pa.array([0, -1, None] + 8 * [2**31], pa.timestamp("s")),
        "ms": pa.array([0, -1, None] + 8 * [2**40], pa.timestamp("ms", "UTC")),
        "us": pa.array([0, -1, None] + 8 * [2**50], pa.timestamp("us", "Europe/Paris")),
        "ns": pa.array([2**63 - 1, -(2**62), None] + 8 * [1], pa.timestamp("ns", "UTC")),
        "day": pa.array([0, -1, None] + 8 * [20_000], pa.date32()),
        "far": pa.array([dt.date(1, 1, 1), dt.date(9999, 12, 31)] + 9 * [None]),
        "date64": pa.array([0, -86_400_000, None] + 8 * [86_400_000], pa.date64()),
        "clock": pa.array([0, 1, None] + 8 * [86_399_999_999_999], pa.time64("ns")),
        "took": pa.array([0, -1, None] + 8 * [2**62], pa.duration("ns")),
        "waveform": pa.array([[0.1, NAN, -INF, -0.0, None], [], None] + 8 * [[1e300]]),
        "narrow": pa.array([[0.1, NAN], [], None] + 8 * [[1e30]], pa.list_(pa.float32())),
        "fixed": pa.array([[1, 2], None, [3, 4]] + 8 * [[5, 6]], pa.list_(pa.uint16(), 2)),
        "nested": pa.array([[["a\n"], []], [], None] + 8 * [[['"']]]),
        "struct": pa.array([{"a": 1, "b": [0.5]}, {"a": None, "b": None}, None] + 8 * [{"a": 2}]),
        "nothing": pa.nulls(11),
    }
)


def text_of(table: pa.Table) -> bytes:
    """A file of one flush."""
    text = io.BytesIO(header_line(table.column_names))
    text.seek(0, io.SEEK_END)
    check_types(table.schema)
    check_values(table, columns_to_check(table.schema))
    write_rows([table], text, float_columns(table.schema))
    return text.getvalue()


@pytest.mark.parametrize("read", [read_arrow, read_pandas])
@pytest.mark.parametrize("table", [EVERY_TYPE, GAPS, MORE], ids=["types", "gaps", "more"])
def test_each_type_reads_back(read: Any, table: pa.Table) -> None:
    table = table.select([n for n in table.column_names if n != "float16"])
    found = read(text_of(table), table.schema)
    for name in table.column_names:
        sent = table[name]
        if read is read_pandas and pa.types.is_floating(sent.type):
            sent = sent.fill_null(NAN)  # pandas has one word for both
        if read is read_pandas and (is_text(sent.type) or is_bytes(sent.type)):
            empty = pc.equal(pc.binary_length(sent), 0)
            sent = pc.if_else(empty, None, sent)  # the same
        assert bits(found[name]) == bits(sent), name


@pytest.mark.parametrize("name", MORE.column_names)
def test_a_single_column_keeps_its_rows(name: str) -> None:
    table = MORE.select([name])
    assert len(pacsv.read_csv(io.BytesIO(text_of(table)), parse_options=PARSE)) == len(table)
    assert len(pd.read_csv(io.BytesIO(text_of(table)))) == len(table)


PARSE = pacsv.ParseOptions(newlines_in_values=True)


def test_types_that_readers_find_by_themselves() -> None:
    table = pa.table(
        {
            "whole": [1.0, 2.0, -0.0],
            "count": [1, 2, 3],
            "flag": [True, False, True],
            "at": pa.array([0, 1, 2], pa.timestamp("us", "UTC")),
            "day": pa.array([0, 1, 2], pa.date32()),
            "text": ["a", "b", "c"],
        }
    )
    text = text_of(table)
    found = pacsv.read_csv(io.BytesIO(text))
    assert found["at"].type == pa.timestamp("ns", "UTC")
    assert found.set_column(3, "at", found["at"].cast(table["at"].type)) == table
    frame = pd.read_csv(io.BytesIO(text), parse_dates=["at"])
    assert [str(kind) for kind in frame.dtypes[:3]] == ["float64", "int64", "bool"]
    assert np.signbit(frame["whole"].to_numpy()).tolist() == [False, False, True]
    assert frame["at"].dt.tz is not None


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.floats() | st.none(), st.floats(width=32), st.text(st.characters(codec="utf-8"))
        ),
        min_size=1,
        max_size=20,
    )
)
def test_any_number_and_any_text(rows: list[tuple[Any, ...]]) -> None:
    wide, narrow, texts = zip(*rows, strict=True)
    table = pa.table(
        {
            "wide": pa.array(wide, pa.float64()),
            "narrow": pa.array(narrow, pa.float32()),
            "text": pa.array(texts),
            "list": pa.array([list(narrow)] * len(rows), pa.list_(pa.float32())),
        }
    )
    found = read_arrow(text_of(table), table.schema)
    for name in table.column_names:
        assert bits(found[name]) == bits(table[name])
    frame = read_pandas(text_of(table), table.schema)
    assert bits(frame["narrow"]) == bits(table["narrow"])
    assert [v or "" for v in frame["text"].to_pylist()] == list(texts)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 40_000), min_size=1, max_size=5), data=st.data())
def test_pieces_hold_every_row_in_order(sizes: list[int], data: st.DataObject) -> None:
    zero = data.draw(st.integers(0, sum(sizes) - 1))
    numbers = np.arange(sum(sizes)) / 2
    numbers[zero] = -0.0
    whole = pa.table({"n": np.arange(sum(sizes)), "x": numbers})
    begins = np.cumsum([0, *sizes[:-1]])
    text = io.BytesIO()
    parts = [whole.slice(b, n) for b, n in zip(begins, sizes, strict=True)]
    write_rows(parts, text, {"x"})
    found = np.loadtxt(io.BytesIO(text.getvalue()), delimiter=",", ndmin=2)
    assert np.array_equal(found[:, 0], np.arange(sum(sizes)))
    assert np.array_equal(found[:, 1].view("i8"), numbers.view("i8"))


def test_rows_as_lists_give_the_text_of_tables(tmp_path: Path) -> None:
    noon = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
    columns = {
        "n": [1, None, 2**63 - 1],
        "x": [1.0, -0.0, NAN],
        "b": [True, None, False],
        "t": ['say "hi"', "", None],
        "at": [noon, None, noon],
        "day": [noon.date(), None, noon.date()],
        "raw": [b"\xff", None, b""],
        "w": [[1.5, NAN], [], None],
        "d": [Decimal("1.50"), None, Decimal("2.25")],
        "took": [dt.timedelta(seconds=1), None, dt.timedelta(0)],
    }
    texts = []
    for name in ("tables", "lists"):
        store = Store(tmp_path / name)
        if name == "tables":
            store.put(pa.table(columns))
        else:
            store.rows(list(columns), [list(row) for row in zip(*columns.values(), strict=True)])
        store.job.flush()
        store.close()
        texts.append(store.path.read_bytes())
    assert texts[0] == texts[1]
    assert texts[0].splitlines()[1] == (
        b'1,1.0,true,"say ""hi""",2026-03-01 12:00:00.000000Z,2026-03-01,"/w==","[1.5,NaN]",1.50,'
        b"1000000"
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (pa.array([b"\xff"]).view(pa.string()), "UTF8"),
        (pa.array([2**62], pa.timestamp("s")), "years 1 to 9999"),
        (pa.array([-62135596801], pa.timestamp("s")), "years 1 to 9999"),
        (pa.array([253402300800000], pa.timestamp("ms", "UTC")), "years 1 to 9999"),
        (pa.array([2**30], pa.date32()), "years 1 to 9999"),
        (pa.array([-719_163], pa.date32()), "years 1 to 9999"),
        (pa.array([2_932_897], pa.date32()), "years 1 to 9999"),
        (pa.array([[2**30]], pa.list_(pa.date32())), "years 1 to 9999"),
        (pa.array([-1], pa.time32("s")), "acceptable range"),
        (pa.array([(1, 2, 3)], pa.month_day_nano_interval()), "no store has a place for month"),
    ],
)
def test_what_would_spoil_a_file_is_refused(tmp_path: Path, values: pa.Array, words: str) -> None:
    store = Store(tmp_path)
    with pytest.raises(StoreError, match=words):
        store.put(pa.table({"n": [1], "x": values}))
    store.write(pa.table({"n": [1], "x": pa.nulls(1, pa.int8())}), file_path="b.csv")
    store.close()
    assert not store.path.exists()
    assert (tmp_path / "b.csv").read_bytes() == b"n,x\n1,\n"
