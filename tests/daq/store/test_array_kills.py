"""Whatever moment a writer is killed at, the file holds every released row once."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.daq.store import hdf5_rows, root_rows
from tests.daq.store.kill_cycles import expected

ROOT = Path(__file__).parents[3]


def killed(format_name: str, how: str, folder: Path, cycles: int) -> pa.Table:
    """What must be in the file after so many lives."""
    arguments = [format_name, how, str(folder), str(cycles), "7"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.daq.store.kill_cycles", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    if "skip" in answer:
        pytest.skip(answer["skip"])
    assert answer["kills"] > cycles / 2
    return expected(answer["released"])


def in_order(table: pa.Table) -> pa.Table:
    """Ring by ring; within a ring as they stand in the files."""
    by_ring = np.argsort(table["ring"].to_numpy(), kind="stable")
    return table.take(pa.array(by_ring))


@pytest.mark.parametrize(("how", "cycles"), [("random", 30), ("sweep", 45), ("tear", 45)])
def test_hdf5_has_every_row_once(tmp_path: Path, how: str, cycles: int) -> None:
    rows = killed("hdf5", how, tmp_path, cycles)
    assert in_order(hdf5_rows.read_table(tmp_path / "x.h5", "rows")).equals(rows)
    assert [path.name for path in tmp_path.iterdir() if "broken" in path.name] == []


@pytest.mark.parametrize(("how", "cycles"), [("random", 20), ("sweep", 15), ("tear", 15)])
def test_root_has_every_row_once(tmp_path: Path, how: str, cycles: int) -> None:
    rows = killed("root", how, tmp_path, cycles)
    # x.root, x_1.root, ... in the order in which they were finished, which may be any.
    parts = [root_rows.read_table(path, "rows", rows.schema) for path in tmp_path.glob("x*.root")]
    found = pa.concat_tables(parts).sort_by([("ring", "ascending"), ("n", "ascending")])
    assert found.equals(rows)
    assert not [path.name for path in tmp_path.glob(".*.closed")]
