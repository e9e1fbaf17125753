"""With durability = "power", what was released is there after a power cut, once."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from enrgdaq.daq.store.journal import Position
from tests.daq.store import hdf5_rows, root_rows
from tests.daq.store.kill_cycles import FORMATS, expected, record

ROOT = Path(__file__).parents[3]
CUTS = 15


def lives_after_cuts(format_name: str, folder: Path) -> list[tuple[Path, pa.Table]]:
    """Per cut the folder, and what must be in it."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.daq.store.power_cuts", format_name, folder, str(CUTS), "3"],
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
    assert answer["syncs"] > 20
    return [(folder / f"cut{n}", expected(ends)) for n, ends in enumerate(answer["released"])]


def test_csv(tmp_path: Path) -> None:
    for folder, rows in lives_after_cuts("csv", tmp_path):
        found = pacsv.read_csv(folder / "below" / "x.csv").select(["ring", "n", "value", "note"])
        by_ring = found.take(pa.array(np.argsort(found["ring"].to_numpy(), kind="stable")))
        wanted = rows.select(found.column_names)
        assert by_ring.cast(wanted.schema).equals(wanted), folder


def test_hdf5(tmp_path: Path) -> None:
    for folder, rows in lives_after_cuts("hdf5", tmp_path):
        found = hdf5_rows.read_table(folder / "x.h5", "rows")
        by_ring = np.argsort(found["ring"].to_numpy(), kind="stable")
        assert found.take(pa.array(by_ring)).equals(rows), folder


def test_root(tmp_path: Path) -> None:
    for folder, rows in lives_after_cuts("root", tmp_path):
        parts = [root_rows.read_table(p, "rows", rows.schema) for p in folder.glob("x*.root")]
        found = pa.concat_tables(parts).sort_by([("ring", "ascending"), ("n", "ascending")])
        assert found.equals(rows), folder


@pytest.mark.parametrize(
    ("format_name", "flush"),
    [
        ("csv", ["x.csv", "..x.csv.journal.new", "below"]),
        ("hdf5", ["x.h5", "x.h5"]),  # rows, then the commit
        ("root", ["0.arrow"]),
    ],
)
@pytest.mark.parametrize("syncs", [True, False])
def test_order_of_syncs_of_a_flush(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    format_name: str,
    flush: list[str],
    syncs: bool,
) -> None:
    seen: list[tuple[str, int]] = []

    def noting(sync: Any) -> Any:
        def noted(descriptor: int) -> None:
            name = Path(f"/proc/self/fd/{descriptor}").readlink().name
            seen.append((name, os.fstat(descriptor).st_size))
            sync(descriptor)

        return noted

    target = FORMATS[format_name](tmp_path, record(0, 1), syncs=syncs)
    target.put(record(0, 1), Position("ring", 1))
    target.flush({"ring"})
    monkeypatch.setattr(os, "fsync", noting(os.fsync))
    monkeypatch.setattr(os, "fdatasync", noting(os.fdatasync))
    target.put(record(0, 2), Position("ring", 2))
    target.flush({"ring"})
    assert [name for name, _ in seen] == (flush if syncs else [])
    if syncs and format_name == "csv":
        # With its new rows, before the journal that vouches for them.
        assert seen[0][1] == (tmp_path / "below" / "x.csv").stat().st_size
    monkeypatch.undo()
    target.close()
