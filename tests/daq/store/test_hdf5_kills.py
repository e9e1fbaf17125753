"""Whatever moment a writer is killed at, the file holds every released row once."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.daq.store.hdf5_rows import read_table
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
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    if "skip" in answer:
        pytest.skip(answer["skip"])
    assert answer["kills"] > cycles / 2
    return expected(answer["released"])


@pytest.mark.parametrize(("how", "cycles"), [("random", 40), ("sweep", 50), ("tear", 50)])
def test_every_row_once(tmp_path: Path, how: str, cycles: int) -> None:
    rows = killed("hdf5", how, tmp_path, cycles)
    found = read_table(tmp_path / "x.h5", "rows")
    by_ring = pa.array(np.argsort(found["ring"].to_numpy(), kind="stable"))
    assert found.take(by_ring).equals(rows)
    assert [path.name for path in tmp_path.iterdir() if "broken" in path.name] == []
