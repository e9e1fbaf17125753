"""ROOT files: every type as it was sent, never overwritten, finished from journals."""

import contextlib
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import uproot

from enrgdaq.daq.jobs.store.root import DAQJobStoreROOT, DAQJobStoreROOTConfig
from enrgdaq.daq.store.arrow_journal import flushes
from enrgdaq.daq.store.floor import FreeSpaceFloor
from enrgdaq.daq.store.journal import Position
from enrgdaq.daq.store.models import DAQJobStoreConfig, DAQJobStoreConfigROOT
from enrgdaq.daq.store.root.finish import finish
from enrgdaq.daq.store.root.finisher import Finisher
from enrgdaq.daq.store.root.roll import find_roll
from enrgdaq.errors import StoreError
from enrgdaq.testing import RecordingHost
from tests.daq.store import tables
from tests.daq.store.root_rows import read_table

NUMBERS = pa.schema({"n": pa.int64()})


class Store:
    """The ROOT store without rings."""

    def __init__(self, folder: Path, **keys: float) -> None:
        self.folder = folder
        self.sent = 0
        config = DAQJobStoreROOTConfig(
            daq_job_type="DAQJobStoreROOT", out_dir=str(folder), finish_wait_seconds=60, **keys
        )
        self.job = DAQJobStoreROOT(config, host=RecordingHost())

    def put(self, table: pa.Table, tree: str = "rows", **options: object) -> None:
        settings = DAQJobStoreConfigROOT(file_path="a.root", tree_name=tree, **options)  # type: ignore[arg-type]
        self.sent += 1
        self.job.position = Position("ring", self.sent)
        self.job.handle_message(tables.message(table, DAQJobStoreConfig(root=settings)))

    def write(self, table: pa.Table, tree: str = "rows", **options: object) -> None:
        self.put(table, tree, **options)
        self.job.flush()

    def close(self) -> None:
        """As a process that is told to stop."""
        self.job._has_ended = True
        self.job.free()

    def finish(self) -> list[Path]:
        """Close and make the files here, not in a process of its own."""
        self.job.targets.close()
        self.job._rolls.close_all()
        return [
            path for folder in sorted(self.folder.glob(".*.closed")) if (path := finish(folder))
        ]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    made.job.free()


@pytest.mark.parametrize("table", [tables.EVERY_TYPE, tables.GAPS], ids=["types", "gaps"])
def test_what_was_sent_is_what_is_read(store: Store, table: pa.Table) -> None:
    store.write(table)
    store.put(table.slice(1, 2))
    store.write(table.slice(2))
    (path,) = store.finish()
    found = read_table(path, "rows", table.schema)
    expected = pa.concat_tables([table, table.slice(1, 2), table.slice(2)])
    for name in table.column_names:
        there, sent = found[name].combine_chunks(), expected[name].combine_chunks()
        assert there.to_string(window=99) == sent.to_string(window=99), name


@pytest.mark.parametrize("compression", ["ZSTD", "LZ4", "ZLIB", "LZMA"])
def test_compression_is_the_one_that_was_asked_for(store: Store, compression: str) -> None:
    rows = pa.table({"n": [7] * 10_000})
    store.write(rows, compression_type=compression, compression_level=3)
    (path,) = store.finish()
    with uproot.open(path) as file:
        branch = file["rows"]["n"]
        assert file.file.compression == getattr(uproot, compression)(3)
        assert branch.compressed_bytes < branch.uncompressed_bytes / 10
        assert branch.array().tolist() == [7] * 10_000


@pytest.mark.parametrize("column", tables.REFUSED)
def test_what_has_no_place_is_refused_by_name(store: Store, column: str) -> None:
    with pytest.raises(StoreError, match=column):
        store.write(pa.table({column: tables.REFUSED[column]}))


def test_trees_of_one_file_and_where_they_come_from(store: Store) -> None:
    store.write(pa.table({"n": [1]}), "charges")
    store.write(pa.table({"w": [[1, 2]]}), "raw/waveforms")
    store.write(pa.table({"n": [2]}), "charges")
    (path,) = store.finish()
    assert path == store.folder / "a.root"
    with uproot.open(path) as file:
        assert sorted(file.keys(cycle=True)) == [
            "charges;1",
            "enrgdaq_provenance;1",
            "raw/waveforms;1",
            "raw;1",
        ]
        assert file["charges/n"].array().tolist() == [1, 2]
        assert file["raw/waveforms/w"].array().tolist() == [[1, 2]]
        origin = json.loads(file["enrgdaq_provenance"])
    assert origin["trees"]["charges"]["job"] == "pmt"
    assert origin["trees"]["charges"]["supervisor"] == "hall"


def test_names_that_collide_with_counters(store: Store) -> None:
    table = pa.table({"x": [[1], [2, 3]], "nx": [5, 6], "x_is_null": [0, 1]})
    store.write(table)
    (path,) = store.finish()
    assert read_table(path, "rows", table.schema)["nx"].to_pylist() == [5, 6]


def test_no_file_is_ever_overwritten(store: Store) -> None:
    (store.folder / "a.root").write_bytes(b"precious")
    for number in range(3):
        store.write(pa.table({"n": [number]}))
        (path,) = store.finish()
        assert path.name == f"a_{number + 1}.root"
    assert (store.folder / "a.root").read_bytes() == b"precious"


def test_files_roll_over_and_a_replay_begins_none(tmp_path: Path) -> None:
    store = Store(tmp_path, roll_size_mb=0.001)
    for number in range(1, 4):
        store.write(pa.table({"n": [number] * 1_000}))
        again = store.sent
        store.sent = 0
        for _ in range(again):
            store.put(pa.table({"n": [number] * 1_000}))
        store.job.flush()
    paths = store.finish()
    found = [read_table(path, "rows", NUMBERS)["n"].to_pylist() for path in paths]
    assert sorted(row for rows in found for row in rows) == sorted([1, 2, 3] * 1_000)


def test_other_columns_begin_a_part(store: Store) -> None:
    store.write(pa.table({"n": [1]}))
    store.write(pa.table({"n": [2], "more": [0.5]}))
    names = sorted(path.name for path in store.finish())
    assert names == ["a.part2.root", "a.root"]


def test_a_life_that_crashed_is_gone_on_with(store: Store) -> None:
    store.write(pa.table({"n": [1]}))
    store.job.free()  # without its end: as after an exception
    again = Store(store.folder)
    again.sent = 1
    again.write(pa.table({"n": [2]}))
    (path,) = again.finish()
    assert read_table(path, "rows", NUMBERS)["n"].to_pylist() == [1, 2]


def test_what_an_earlier_life_left_is_finished(store: Store) -> None:
    store.write(pa.table({"n": [1]}))
    store.job.free()
    later = Store(store.folder, finish_after_seconds=0.01)
    while not (store.folder / "a.root").exists() or later.job._finisher.waiting:
        later.job.tend()
    later.close()
    assert read_table(store.folder / "a.root", "rows", NUMBERS)["n"].to_pylist() == [1]
    assert not list(store.folder.glob(".a.root.*.*"))


def test_a_stop_finishes_the_files(store: Store) -> None:
    store.write(pa.table({"n": [1]}))
    store.close()
    assert read_table(store.folder / "a.root", "rows", NUMBERS)["n"].to_pylist() == [1]


def test_the_journal_is_read_by_arrow_meanwhile(store: Store) -> None:
    table = pa.table({"n": [1, 2], "w": [[1], [2, 3]]})
    store.write(table)
    store.write(table)
    (journal,) = store.folder.glob(".a.root.*.roll/0.arrow")
    rows = [batch for flush in flushes(journal) for batch in flush.batches]
    assert pa.Table.from_batches(rows).equals(pa.concat_tables([table, table]))
    with pa.memory_map(str(journal)) as source:
        first = pa.ipc.open_stream(source).read_next_batch()
    assert first.to_pydict() == table.to_pydict()


def test_a_damaged_journal_is_set_aside_with_an_alarm(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.write(pa.table({"n": list(range(1_000))}))
    store.write(pa.table({"n": [2]}))
    store.job.free()
    folder = find_roll(store.folder / "a.root")
    assert folder is not None
    data = bytearray((folder / "0.arrow").read_bytes())
    data[2_000] ^= 1
    (folder / "0.arrow").write_bytes(data)
    again = Store(store.folder)
    again.sent = 2
    again.write(pa.table({"n": [3]}))
    (path,) = again.finish()
    assert read_table(path, "rows", NUMBERS)["n"].to_pylist() == [3]
    assert (store.folder / "a.root.broken1.arrow").read_bytes() == data
    assert "were altered" in caplog.text
    assert caplog.records[-1].levelno == logging.ERROR


def test_a_roll_that_cannot_be_finished_is_kept(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.write(pa.table({"n": [1]}))
    store.job._rolls.close_all()
    (closed,) = store.folder.glob(".*.closed")
    journal = closed / "0.arrow"
    journal.write_bytes(journal.read_bytes()[:100])
    finisher = Finisher(logging.getLogger("test"), FreeSpaceFloor(closed.parent, 0))
    finisher.add([closed])
    with contextlib.closing(finisher):
        finisher.wait(60)
        assert not finisher.waiting
    assert "cannot be finished, and is kept" in caplog.text
    assert journal.exists()


def test_a_stop_without_time_says_how_to_finish_a_file(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.write(pa.table({"n": [1]}))
    store.job.config.finish_wait_seconds = 0
    store.close()
    (closed,) = store.folder.glob(".*.closed")
    (said,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert said.endswith(f"by: python -m enrgdaq.daq.store.root.finish {closed}")
    run = [sys.executable, "-m", "enrgdaq.daq.store.root.finish"]
    wrong = subprocess.run(
        [*run, str(store.folder / "none")], capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 2
    assert "none: no such folder; those to be finished end in .closed" in wrong.stderr
    subprocess.run([*run, str(closed)], check=True)
    assert read_table(store.folder / "a.root", "rows", NUMBERS)["n"].to_pylist() == [1]
