"""HDF5 and ROOT files of a real supervisor, its stores killed meanwhile."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.daq.store import hdf5_rows, root_rows
from tests.files_below import files_below
from tests.system import numbered
from tests.system.node import Node

ROWS = 1_000
TABLES = 600


def producer(section: str, kills: int) -> str:
    """At full speed, or slow enough for a store that is killed."""
    return f"""
        daq_job_type = "DAQJobNumbers"
        per_second = {150 if kills else 0}
        rows = {ROWS}
        progress = "progress"
        [store_config.{section}]
        """


def assert_all_there(table: pa.Table, sent: int) -> None:
    numbers = table["n"].to_numpy()
    np.testing.assert_array_equal(numbers, np.arange(sent))
    np.testing.assert_array_equal(table["square"].to_numpy(), numbers.astype(float) ** 2)


def size(path: Path) -> int:
    """Of a file that may not be there, or not any more."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def wait_more(node: Node, written: Callable[[], int]) -> None:
    before = written()
    node.wait(lambda: written() not in (0, before), what="rows to go on")


@pytest.mark.parametrize("kills", [0, 3])
def test_hdf5_has_every_row_once(node: Node, kills: int) -> None:
    node.add_code("numbered", numbered.PRODUCER)
    node.add(
        "numbers",
        producer("hdf5", kills) + 'file_path = "numbers.h5"\ndataset_name = "run/numbers"',
    )
    node.add("hdf5", 'daq_job_type = "DAQJobStoreHDF5"\nflush_interval_seconds = 0.05')
    node.start(wait_running=False)
    path = node.out / "numbers.h5"
    for _ in range(kills):
        wait_more(node, lambda: size(path))
        node.kill_job("hdf5")
    sent = numbered.end(node, "numbers", rows=ROWS, at_least=TABLES)
    assert node.stop() == 0, node.log()
    assert_all_there(hdf5_rows.read_table(path, "run/numbers"), sent)
    assert sorted(p.name for p in node.out.glob("*numbers*")) == ["numbers.h5"]


@pytest.mark.parametrize("kills", [0, 3])
def test_root_has_every_row_once(node: Node, kills: int) -> None:
    node.add_code("numbered", numbered.PRODUCER)
    node.add(
        "numbers", producer("root", kills) + 'file_path = "numbers.root"\ntree_name = "numbers"'
    )
    node.add(
        "root",
        """
        daq_job_type = "DAQJobStoreROOT"
        flush_interval_seconds = 0.05
        finish_after_seconds = 0.5
        roll_size_mb = 4
        """,
    )
    node.start(wait_running=False)

    def written() -> int:
        return sum(size(path) for path in files_below(node.out, "*.arrow"))

    for _ in range(kills):
        wait_more(node, written)
        node.kill_job("root")
    sent = numbered.end(node, "numbers", rows=ROWS, at_least=TABLES)
    node.wait(lambda: not list(node.out.glob(".*.*.*.*")), what="all to be finished", seconds=90)
    assert node.stop() == 0, node.log()
    schema = pa.schema({"n": pa.int64(), "square": pa.float64()})
    files = [root_rows.read_table(path, "numbers", schema) for path in node.out.glob("*.root")]
    assert len(files) > 1
    assert_all_there(pa.concat_tables(files).sort_by("n"), sent)
