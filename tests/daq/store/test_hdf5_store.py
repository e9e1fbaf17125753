"""HDF5 files: every type as it was sent, read while they grow, other columns in other parts."""

import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pytest

from enrgdaq.daq.jobs.store.hdf5 import DAQJobStoreHDF5
from enrgdaq.daq.store.base import DAQJobStoreJobConfig
from enrgdaq.daq.store.hdf5.reading import read_origins
from enrgdaq.daq.store.hdf5.unclosed import UnclosedFiles
from enrgdaq.daq.store.journal import Position
from enrgdaq.daq.store.models import DAQJobStoreConfig, DAQJobStoreConfigHDF5
from enrgdaq.errors import StoreError
from enrgdaq.testing import RecordingHost
from tests.daq.store import tables
from tests.daq.store.hdf5_rows import read_table

ROOT = Path(__file__).parents[3]


class Store:
    """The HDF5 store without rings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sent = 0
        self.open()

    def open(self) -> None:
        config = DAQJobStoreJobConfig(daq_job_type="DAQJobStoreHDF5", out_dir=str(self.folder))
        self.job = DAQJobStoreHDF5(config, host=RecordingHost())

    def put(self, table: pa.Table, group: str = "rows", **options: object) -> None:
        settings = DAQJobStoreConfigHDF5(file_path="a.h5", dataset_name=group, **options)  # type: ignore[arg-type]
        self.sent += 1
        self.job.position = Position("ring", self.sent)
        self.job.handle_message(tables.message(table, DAQJobStoreConfig(hdf5=settings)))

    def write(self, table: pa.Table, group: str = "rows", **options: object) -> None:
        self.put(table, group, **options)
        self.job.flush()

    def close(self) -> None:
        self.job.free()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("table", [tables.EVERY_TYPE, tables.GAPS], ids=["types", "gaps"])
def test_what_was_sent_is_what_is_read(store: Store, table: pa.Table) -> None:
    store.write(table)
    store.put(table.slice(1, 2))
    store.write(table.slice(2))
    store.close()
    found = read_table(store.folder / "a.h5", "rows")
    expected = pa.concat_tables([table, table.slice(1, 2), table.slice(2)])
    for name in table.column_names:
        # As text: NaN is not equal to itself, and -0.0 is to 0.0.
        there, sent = found[name].combine_chunks(), expected[name].combine_chunks()
        assert there.to_string(window=99) == sent.to_string(window=99), name
        assert there.type == sent.type


@pytest.mark.parametrize("compression", ["gzip", "lzf", "zstd"])
def test_compressed_columns(store: Store, compression: str) -> None:
    store.write(tables.EVERY_TYPE, compression=compression)
    store.write(tables.EVERY_TYPE, compression=compression)
    store.close()
    found = read_table(store.folder / "a.h5", "rows")
    assert found["waveform"].to_pylist() == tables.EVERY_TYPE["waveform"].to_pylist() * 2
    with h5py.File(store.folder / "a.h5") as file:
        assert file["rows/waveform"].chunks
        assert file["rows/waveform"].id.get_create_plist().get_nfilters() >= 1


@pytest.mark.parametrize("column", tables.REFUSED)
def test_what_has_no_place_is_refused_by_name(store: Store, column: str) -> None:
    with pytest.raises(StoreError, match=column):
        store.write(pa.table({column: tables.REFUSED[column]}))


@pytest.mark.parametrize("name", ["_commits", "a//b", "..", ""])
def test_names_that_hdf5_cannot_have(store: Store, name: str) -> None:
    with pytest.raises(StoreError, match="name"):
        store.write(pa.table({name: [1]}))


def test_a_bad_message_costs_no_other_row(store: Store) -> None:
    store.put(pa.table({"n": [1], "w": [[1]]}))
    with pytest.raises(StoreError, match="missing item"):
        store.put(pa.table({"n": [2], "w": [[1, None]]}))
    store.write(pa.table({"n": [3], "w": [[2]]}))
    store.close()
    assert read_table(store.folder / "a.h5", "rows")["n"].to_pylist() == [1, 3]


READER = """
import sys
import h5py
from enrgdaq.daq.store.hdf5.reading import committed_rows, read_lists, read_values

with h5py.File(sys.argv[1], "r", swmr=True) as file:
    group = file["rows"]
    for line in sys.stdin:
        flushes = int(line)
        assert committed_rows(group) == 2 * flushes
        assert read_values(group, "n").tolist() == [1, 2] * flushes
        assert [row.tolist() for row in read_lists(group, "w")] == [[1], [2, 3]] * flushes
        print(flushes, flush=True)
"""


def test_readers_see_rows_grow_while_they_are_written(store: Store) -> None:
    table = pa.table({"n": [1, 2], "w": [[1], [2, 3]]})
    store.write(table)
    path = str(store.folder / "a.h5")
    with subprocess.Popen(
        [sys.executable, "-c", READER, path], stdin=-1, stdout=-1, text=True
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        for flushes in range(2, 6):
            store.write(table)
            reader.stdin.write(f"{flushes}\n")
            reader.stdin.flush()
            assert reader.stdout.readline() == f"{flushes}\n"
        reader.stdin.close()
    assert reader.returncode == 0


def test_groups_of_one_file_come_one_after_the_other(store: Store) -> None:
    store.write(pa.table({"n": [1]}), "charges")
    store.write(pa.table({"w": [[1, 2]]}), "deep/waveforms")
    store.write(pa.table({"n": [2]}), "charges")
    store.close()
    store.open()
    store.write(pa.table({"t": ["x"]}), "notes")
    store.write(pa.table({"w": [[3]]}), "deep/waveforms")
    store.close()
    path = store.folder / "a.h5"
    assert read_table(path, "charges")["n"].to_pylist() == [1, 2]
    assert read_table(path, "deep/waveforms")["w"].to_pylist() == [[1, 2], [3]]
    assert read_table(path, "notes")["t"].to_pylist() == ["x"]


def test_other_columns_begin_a_part_also_after_a_restart(store: Store) -> None:
    store.write(pa.table({"n": [1]}))
    store.close()
    store.open()
    store.write(pa.table({"n": [2], "more": [0.5]}))
    store.write(pa.table({"n": pa.array([3], pa.int16())}))
    store.close()
    assert read_table(store.folder / "a.h5", "rows")["n"].to_pylist() == [1, 3]
    assert read_table(store.folder / "a.part2.h5", "rows")["more"].to_pylist() == [0.5]


def test_replayed_records_are_dropped(store: Store) -> None:
    store.write(pa.table({"n": [1]}))
    store.sent = 0
    store.write(pa.table({"n": [1]}))
    store.write(pa.table({"n": [2]}))
    store.close()
    assert read_table(store.folder / "a.h5", "rows")["n"].to_pylist() == [1, 2]


def test_where_rows_come_from_is_told_by_the_file(store: Store) -> None:
    charge = pa.field("charge", pa.float64(), metadata={"unit": "pC"})
    store.write(pa.table([pa.array([1.5])], schema=pa.schema([charge])))
    store.close()
    with h5py.File(store.folder / "a.h5") as file:
        attributes = dict(file["rows"].attrs)
        assert attributes["job"] == "pmt"
        assert attributes["supervisor"] == "hall"
        assert attributes["first_record"] == "2026-03-01T12:00:00.000+00:00"
        assert file["rows/charge"].attrs["units"] == "pC"
        assert read_origins(file["rows"]) == [
            {"first_row": 0, "job": "pmt", "job_type": "DAQJobPMT", "supervisor": "hall"}
        ]


def test_files_of_other_programs_stay_as_they_are(store: Store) -> None:
    path = store.folder / "a.h5"
    with h5py.File(path, "w") as file:
        file["rows"] = [1, 2, 3]
    before = path.read_bytes()
    store.write(pa.table({"n": [1]}))
    store.close()
    assert path.read_bytes() == before
    assert read_table(store.folder / "a.part2.h5", "rows")["n"].to_pylist() == [1]


@pytest.mark.parametrize("damage", ["cut", "garbage", "commits"])
def test_a_broken_file_is_set_aside_with_an_alarm(
    store: Store, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = store.folder / "a.h5"
    store.write(pa.table({"n": np.arange(100_000)}))
    store.close()
    if damage == "cut":
        os.truncate(path, 5_000)
    elif damage == "garbage":
        path.write_bytes(b"no HDF5 at all" * 1_000)
    else:
        with h5py.File(path, "r+") as file:
            file["rows/_commits"][:] = 0
    before = path.read_bytes()
    store.open()
    store.write(pa.table({"n": [1]}))
    store.close()
    assert read_table(path, "rows")["n"].to_pylist() == [1]
    assert (store.folder / "a.h5.broken1").read_bytes() == before
    assert [r.levelno for r in caplog.records] == [logging.ERROR]


def test_many_small_files_are_closed_in_turn(store: Store) -> None:
    for number in range(70):
        store.job.position = Position("ring", number + 1)
        settings = DAQJobStoreConfigHDF5(file_path="a.h5", dataset_name="rows")
        message = tables.message(
            pa.table({"n": [number]}), DAQJobStoreConfig(hdf5=settings), tag=f"t{number}"
        )
        store.job.store(message)
    store.job.flush()
    store.close()
    for number in range(70):
        found = read_table(store.folder / f"a_t{number}.h5", "rows")
        assert found["n"].to_pylist() == [number]


def run(script: str, *arguments: str, before: tuple[str, ...] = ()) -> str:
    """Run a script with the store in a process of its own; what it writes out."""
    done = subprocess.run(
        [*before, sys.executable, "-c", textwrap.dedent(script), *arguments],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


IN_A_NAMESPACE = ("unshare", "-Urm")

FULL_DISK = """
import os, subprocess, sys
from pathlib import Path
import numpy as np, pyarrow as pa
from tests.daq.store.test_hdf5_store import Store, read_table

folder = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(folder)], check=True)
store = Store(folder)
rows = pa.table({"n": np.arange(10_000), "w": [[1, 2, 3]] * 10_000})
store.write(rows)
for _ in range(9):  # more than is reserved ahead
    store.put(rows)
ballast = folder / "ballast"
with ballast.open("wb", buffering=0) as file:
    try:
        while file.write(bytes(4096)):
            pass
    except OSError:
        pass
refused = 0
for _ in range(3):
    try:
        store.job.flush()
    except OSError as error:
        refused += 1
        assert str(error.filename).endswith("a.h5"), error
assert refused == 3, refused
ballast.unlink()
store.job.flush()
store.close()
found = read_table(folder / "a.h5", "rows")
assert found["n"].to_pylist() == list(range(10_000)) * 10
assert found["w"].to_pylist() == [[1, 2, 3]] * 100_000
"""


def test_a_full_disk_is_waited_for(tmp_path: Path) -> None:
    mount = [*IN_A_NAMESPACE, "mount", "-t", "tmpfs", "none", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system of its own can be mounted here")
    run(FULL_DISK, str(tmp_path), before=IN_A_NAMESPACE)


# The disk reserves space without regard to this limit, so libhdf5 itself meets it.
LIBRARY_FAILS = """
import os, resource, signal, sys
from pathlib import Path
import pyarrow as pa, numpy as np
from enrgdaq.daq.store.hdf5.file import HDF5WriteError
from tests.daq.store.test_hdf5_store import Store

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder, room = Path(sys.argv[1]), int(sys.argv[2])
store = Store(folder)
for flush in range(4):
    store.put(pa.table({"n": np.arange(5_000) + 5_000 * flush, "w": [[1, 2, 3]] * 5_000}))
    if flush == 2:
        size = (folder / "a.h5").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, -1))
    try:
        store.job.flush()
    except HDF5WriteError:
        store.close()
        sys.stdout.write("failed")
        sys.stdout.flush()
        os._exit(0)
"""


@pytest.mark.parametrize("room", [0, 4_096, 50_000, 100_000])
def test_a_write_that_hdf5_cannot_do_costs_no_row(store: Store, room: int) -> None:
    assert run(LIBRARY_FAILS, str(store.folder), str(room)) == "failed"
    store.sent = 0
    for flush in range(4):
        numbers = np.arange(5_000) + 5_000 * flush
        store.write(pa.table({"n": numbers, "w": [[1, 2, 3]] * 5_000}))
    store.close()
    found = read_table(store.folder / "a.h5", "rows")
    assert found["n"].to_pylist() == list(range(20_000))
    assert found["w"].to_pylist() == [[1, 2, 3]] * 20_000


def test_h5py_is_not_loaded_by_those_who_only_know_of_the_store() -> None:
    script = (
        "import sys, enrgdaq.daq.jobs.store.hdf5, enrgdaq.supervisor.supervisor;"
        "assert not {'h5py', 'uproot'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


DYING = """
import os
from pathlib import Path
import pyarrow as pa
from tests.daq.store.test_hdf5_store import Store

store = Store(Path(os.environ["FOLDER"]))
store.write(pa.table({"n": range(100)}))
os.kill(os.getpid(), 9)
"""


def test_what_a_killed_store_left_open_can_be_read_after_its_next_start(tmp_path: Path) -> None:
    environment = {**os.environ, "FOLDER": str(tmp_path)}
    subprocess.run([sys.executable, "-c", DYING], cwd=ROOT, env=environment, check=False)
    with pytest.raises(OSError, match="already open for write"):
        read_table(tmp_path / "a.h5", "rows")
    store = Store(tmp_path)
    # No rows come any more.
    store.job.tend()
    assert read_table(tmp_path / "a.h5", "rows")["n"].to_pylist() == list(range(100))
    store.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_a_broken_file_that_was_left_open_is_left_as_it_is(tmp_path: Path) -> None:
    environment = {**os.environ, "FOLDER": str(tmp_path)}
    subprocess.run([sys.executable, "-c", DYING], cwd=ROOT, env=environment, check=False)
    (tmp_path / "a.h5").write_bytes(b"not any more")
    store = Store(tmp_path)
    store.job.tend()
    assert (tmp_path / "a.h5").read_bytes() == b"not any more"
    store.close()


def test_only_files_of_the_folder_are_listed_as_left_open(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    (folder / "day").mkdir(parents=True)
    for path in (tmp_path / "a.h5", folder / "a.h5", folder / "day" / "b.h5"):
        path.touch()
    listed = UnclosedFiles(folder)
    listed.write([folder / "a.h5", folder / "day" / "b.h5", folder / "gone.h5", tmp_path / "a.h5"])
    assert listed.read() == [folder / "a.h5", folder / "day" / "b.h5"]
    listed.write([])
    assert listed.read() == []


def test_a_thousand_columns_that_may_be_missing(store: Store) -> None:
    names = [f"channel_{number:04}" for number in range(1000)]
    for _ in range(2):
        store.write(pa.table({name: [0.5, None] for name in names}))
    store.close()
    found = read_table(store.folder / "a.h5", "rows")
    assert found.column_names == names
    assert found[names[-1]].to_pylist() == [0.5, None] * 2


def test_lengths_of_many_lists_have_room_to_grow(store: Store) -> None:
    store.write(pa.table({f"c{number}": [[1]] for number in range(380)}))
    store.write(pa.table({f"c{number}": [list(range(200))] for number in range(380)}))
    store.close()
    assert read_table(store.folder / "a.h5", "rows").num_rows == 2


@pytest.mark.parametrize(("first", "second"), [("a/b", "a"), ("a", "a/b")])
def test_a_group_among_the_columns_of_another_is_refused(
    store: Store, first: str, second: str
) -> None:
    store.put(pa.table({"c": [1]}), group=first)
    with pytest.raises(StoreError, match="would lie among the columns"):
        store.put(pa.table({"b": [1]}), group=second)
    store.write(pa.table({"c": [2]}), group=first)
    # It is known now which columns the file has.
    store.write(pa.table({"b": [3]}), group=second)
    store.close()
    assert read_table(store.folder / "a.h5", first)["c"].to_pylist() == [1, 2]
    assert read_table(store.folder / "a.part2.h5", second)["b"].to_pylist() == [3]


def test_a_date_that_is_no_whole_day_is_refused(store: Store) -> None:
    days = pa.array([0, 86_400_000], pa.int64()).view(pa.date64())
    store.write(pa.table({"d": days}))
    with pytest.raises(StoreError, match="no whole day"):
        store.put(pa.table({"d": pa.array([1], pa.int64()).view(pa.date64())}))
