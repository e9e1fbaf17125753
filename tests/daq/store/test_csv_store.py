"""CSV files: one rule for columns, files of earlier lives and of users, frames, snapshots."""

import io
import json
import logging
import re
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from enrgdaq.daq.store.journal import journal_path
from enrgdaq.errors import StoreError
from tests.daq.store.csv_rows import Store

FIRST = pa.table({"a": [1, 2], "b": ["x", None]})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    made.close()


def test_a_changed_type_starts_a_part_with_a_warning(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.write(FIRST)
    store.write(pa.table({"a": [1.5, 2.5], "b": ["y", "z"]}))
    store.write(FIRST.select(["b", "a"]))
    assert store.path.read_bytes() == b'a,b\n1,"x"\n2,\n1,"x"\n2,\n'
    assert (store.folder / "a.part2.csv").read_bytes() == b'a,b\n1.5,"y"\n2.5,"z"\n'
    (record,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert "changed from a int64, b string to a double, b string" in record.getMessage()


def test_two_producers_with_other_columns_are_both_named(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.put(FIRST)
    store.write(pa.table({"c": [1]}), job="chiller")
    (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert "pmt and chiller both write to" in record.getMessage()
    assert (store.folder / "a.part2.csv").read_bytes() == b"c\n1\n"


@pytest.mark.parametrize("use_zstd", [False, True])
def test_types_outlive_a_crash(store: Store, use_zstd: bool) -> None:
    store.write(FIRST, use_zstd=use_zstd)
    store.crash()
    store.write(pa.table({"a": [2**70 * 1.0], "b": ["y"]}), use_zstd=use_zstd)
    store.write(FIRST, use_zstd=use_zstd)
    suffix = ".csv.zst" if use_zstd else ".csv"
    assert pacsv.read_csv(store.folder / f"a{suffix}").num_rows == 4
    assert pacsv.read_csv(store.folder / f"a.part2{suffix}").num_rows == 1


def test_a_journal_with_names_only_is_gone_on_with(store: Store) -> None:
    store.write(FIRST)
    where = journal_path(store.path)
    old = json.loads(where.read_text())
    for key in ("schema", "framing"):
        del old[key]
    where.write_text(json.dumps(old))
    store.crash()
    with store.path.open("ab") as torn:
        torn.write(b"torn")
    store.write(pa.table({"a": [2.5], "b": ["y"]}))
    store.write(pa.table({"a": ["now a text"], "b": ["y"]}))
    assert store.path.read_bytes() == b'a,b\n1,"x"\n2,\n2.5,"y"\n'
    assert (store.folder / "a.part2.csv").read_bytes() == b'a,b\n"now a text","y"\n'


@pytest.mark.parametrize("end", ["\n", ""])
def test_a_users_file_is_gone_on_with_when_its_header_fits(store: Store, end: str) -> None:
    store.path.write_text(f"\ufeffb,a\nold,7{end}")
    store.write(FIRST)
    store.crash()
    store.write(FIRST)
    assert store.path.read_text("utf-8-sig") == 'b,a\nold,7\n"x",1\n,2\n"x",1\n,2\n'


def test_a_users_file_with_other_columns_is_left_alone(store: Store) -> None:
    store.path.write_text('time,"a, V"\n1,2\n')
    store.write(FIRST)
    assert store.path.read_text() == 'time,"a, V"\n1,2\n'
    assert (store.folder / "a.part2.csv").read_bytes().startswith(b"a,b\n")


def test_a_column_without_values_takes_the_type_of_the_first(store: Store) -> None:
    store.write(pa.table({"n": [1], "at": pa.nulls(1)}))
    store.crash()
    store.put(pa.table({"n": [2], "at": pa.nulls(1)}))
    store.put(pa.table({"n": [3], "at": ["noon"]}))
    store.write(pa.table({"n": [4], "at": pa.nulls(1)}))
    store.write(pa.table({"n": [5], "at": [0.5]}))
    assert store.path.read_bytes() == b'n,at\n1,\n2,\n3,"noon"\n4,\n'
    assert (store.folder / "a.part2.csv").read_bytes() == b"n,at\n5,0.5\n"


def test_a_failed_flush_leaves_nothing_of_its_own(store: Store) -> None:
    store.write(FIRST)
    whole = store.path.read_bytes()
    blocker = journal_path(store.path).with_name(f".{journal_path(store.path).name}.new")
    blocker.mkdir()
    store.put(FIRST)
    with pytest.raises(OSError, match="Is a directory"):
        store.job.flush()
    assert len(store.path.read_bytes()) > len(whole)
    blocker.rmdir()
    store.job.flush()
    assert store.path.read_bytes() == whole + b'1,"x"\n2,\n'


def test_a_disk_that_fills_up_in_a_flush_tears_nothing(store: Store) -> None:
    store.write(FIRST)
    whole = store.path.read_bytes()
    store.put(pa.table({"a": range(100_000), "b": ["x"] * 100_000}))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            store.job.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert store.path.stat().st_size == 400_000
    store.job.flush()
    rows = b"".join(b'%d,"x"\n' % n for n in range(100_000))
    assert store.path.read_bytes() == whole + rows


def test_frames_of_many_flushes_are_read_as_documented(store: Store) -> None:
    for _ in range(3):
        store.write(FIRST, use_zstd=True)
    path = store.folder / "a.csv.zst"
    assert pacsv.read_csv(path)["a"].to_pylist() == [1, 2] * 3
    frame = pd.read_csv(pa.input_stream(path))
    assert frame["a"].tolist() == [1, 2] * 3


def test_a_snapshot_is_the_latest_message_whatever_its_columns(store: Store) -> None:
    store.put(FIRST, overwrite=True)
    store.write(pa.table({"other": [-0.0]}), overwrite=True)
    assert store.path.read_bytes() == b"other\n-0.0\n"
    store.write(FIRST.slice(0, 0), overwrite=True)
    assert store.path.read_bytes() == b"a,b\n"
    store.write(FIRST, overwrite=True, use_zstd=True)
    packed = store.folder / "a.csv.zst"
    assert pacsv.read_csv(packed)["a"].to_pylist() == [1, 2]


def test_header_names_are_quoted_where_needed(store: Store) -> None:
    table = pa.table({'a "b", c\nd': [1], "µ": [2]})
    store.write(table)
    store.crash()
    store.write(table)
    text = store.path.read_bytes()
    found = pacsv.read_csv(io.BytesIO(text), parse_options=NEWLINES)
    assert found.column_names == table.column_names
    assert found.num_rows == 2


NEWLINES = pacsv.ParseOptions(newlines_in_values=True)


def test_the_guide_reads_the_files(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    guide = (Path(__file__).parents[3] / "docs" / "stores.md").read_text()
    code = re.findall(r"```python\n(import pandas.*?)```", guide, re.DOTALL)[0]
    table = pa.table(
        {
            "at": pa.array([0, 1], pa.timestamp("us", "UTC")),
            "hits": pa.array([2**64 - 1, 0], pa.uint64()),
            "charge": [float("nan"), None],
            "note": ["", None],
        }
    )
    for use_zstd in (False, True, True):
        store.write(table, file_path="charges.csv", use_zstd=use_zstd)
    monkeypatch.chdir(store.folder)
    found: dict[str, Any] = {}
    exec(code, found)  # noqa: S102 - our own guide
    assert found["rows"]["hits"].tolist() == [2**64 - 1, 0] * 2
    read = found["table"].set_column(0, "at", found["table"]["at"].cast(table["at"].type))
    assert read.schema == table.schema
    assert str(read.to_pylist()) == str(table.to_pylist())


@pytest.mark.parametrize("overwrite_first", [True, False])
def test_a_file_is_a_snapshot_or_grows_and_never_both(store: Store, overwrite_first: bool) -> None:
    store.write(FIRST, overwrite=overwrite_first)
    kept = store.path.read_bytes()
    with pytest.raises(StoreError, match="overwrite = true and with overwrite = false"):
        store.put(FIRST, overwrite=not overwrite_first)
    store.job.flush()
    assert store.path.read_bytes() == kept


def test_more_files_in_a_flush_than_may_be_open(store: Store) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for number in range(300):
        store.put(FIRST, file_path=f"{number}.csv")
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    try:
        store.job.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(list(store.folder.glob("*.csv"))) == 300
    store.write(FIRST, file_path="0.csv")
    assert (store.folder / "0.csv").read_bytes() == b'a,b\n1,"x"\n2,\n1,"x"\n2,\n'


def test_a_file_that_would_be_a_folder_is_the_fault_of_one_message(store: Store) -> None:
    store.put(FIRST, file_path="x.csv")
    with pytest.raises(StoreError, match="one would have to be a folder"):
        store.put(FIRST, file_path="x.csv/y.csv")
    store.job.flush()
    assert (store.folder / "x.csv").read_bytes() == b'a,b\n1,"x"\n2,\n'
