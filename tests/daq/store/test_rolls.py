"""Files that roll: every row once, whatever is killed, in files that end where they should."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import h5py
import pyarrow.csv as pacsv
import pytest
import uproot

from enrgdaq.daq.origins import Origin
from enrgdaq.daq.store import rolling
from enrgdaq.daq.store.journal import Position
from enrgdaq.daq.store.models import DAQJobStoreConfigCSV
from enrgdaq.daq.store.rolls import Book, Facts, Limits, Piece, limits_of, room_for
from enrgdaq.daq.store.root.finish import outcome
from enrgdaq.daq.store.root.roll import closed_at
from enrgdaq.errors import StoreError
from enrgdaq.transport import faults
from enrgdaq.transport.faults import Fault
from tests.daq.store.rolling_life import EVENING, KINDS, RECORDS, ROWS, Life

ROOT = Path(__file__).parents[3]
ALL = list(range(ROWS * RECORDS))


def rows_of(kind: str, path: Path) -> list[int]:
    if kind == "csv":
        return list(pacsv.read_csv(path)["n"].to_pylist())
    if kind == "raw":
        return [int(line) for line in path.read_bytes().split()]
    if kind == "hdf5":
        with h5py.File(path) as file:
            return list(file["rows/n"][:].tolist())
    with uproot.open(path) as file:
        return list(file["rows"]["n"].array(library="np").tolist())


def files(kind: str, folder: Path) -> list[Path]:
    """In the order in which a folder lists them."""
    for closed in sorted(folder.glob(".*.closed"), key=closed_at):
        outcome(closed)
    return sorted(folder.glob(f"*.{kind}"), key=lambda path: (len(path.name), path.name))


def in_each(kind: str, folder: Path) -> dict[str, list[int]]:
    return {path.name: rows_of(kind, path) for path in files(kind, folder)}


def limit(kind: str) -> int:
    return 3 if kind == "raw" else 12  # its messages are its rows


def joined(parts: Iterable[list[int]]) -> list[int]:
    return [number for part in parts for number in part]


def piece(seconds: float, rows: int = 1, end: int = 0) -> Piece:
    # In a record of its own, unless it says in which.
    return Piece(Position("r", end or int(seconds * 10)), rows, int(seconds * 1e9), Origin())


@pytest.mark.parametrize(
    ("limits", "facts", "size", "pieces", "room"),
    [
        (Limits(), Facts(rows=10**9), 10**15, [piece(1), piece(10**9)], 2),
        (Limits(rows=10), Facts(rows=10), 0, [piece(1)], 0),
        (Limits(rows=10), Facts(rows=9), 0, [piece(1, 5), piece(2)], 1),
        (Limits(rows=10), Facts(), 0, [piece(1, 50)], 1),  # no message is split
        (Limits(bytes=100), Facts(rows=1), 100, [piece(1)], 0),
        (Limits(bytes=100), Facts(), 100, [piece(1)], 1),  # it cannot end before it has begun
        (Limits(seconds=60), Facts(), 0, [piece(59), piece(59.9), piece(60)], 2),
        (Limits(seconds=60), Facts(rows=1, first_ns=61 * 10**9), 0, [piece(119), piece(5)], 2),
        (Limits(seconds=60), Facts(rows=1, first_ns=61 * 10**9), 0, [piece(120)], 0),
        # No record is split.
        (Limits(rows=2), Facts(), 0, [piece(n, end=8) for n in (1, 2, 3)] + [piece(4, end=9)], 3),
        (Limits(rows=2), Facts(rows=2), 0, [piece(1, end=8), piece(2, end=8)], 0),
    ],
)
def test_room(limits: Limits, facts: Facts, size: int, pieces: list[Piece], room: int) -> None:
    assert room_for(pieces, facts, size, limits) == room


@pytest.mark.parametrize("kind", KINDS)
def test_files_end_with_the_message_that_fills_them(kind: str, tmp_path: Path) -> None:
    life = Life(kind, tmp_path, roll_rows=limit(kind))
    life.run()
    life.free()
    found = in_each(kind, tmp_path)
    second = "x_1.root" if kind == "root" else f"x.roll0002.{kind}"
    assert list(found)[:2] == [f"x.{kind}", second]
    assert [len(rows) for rows in found.values()] == [3 * ROWS] * (RECORDS // 3)
    assert joined(found.values()) == ALL


@pytest.mark.parametrize("kind", KINDS)
def test_messages_of_one_record_stay_in_one_file(kind: str, tmp_path: Path) -> None:
    life = Life(kind, tmp_path, roll_rows=limit(kind))
    for number in range(1, RECORDS + 1):
        life.put(number, record=(number + 4) // 5)
    life.store.flush()
    life.free()
    found = in_each(kind, tmp_path)
    assert [len(rows) // ROWS for rows in found.values()] == [5, 5, 5, 5, 4]
    assert joined(found.values()) == ALL


def test_every_message_of_a_record_is_counted_once() -> None:
    book = Book()
    for _ in range(2):
        book.count("", [piece(1, end=8), piece(2, end=8), piece(3, end=9)], {"r"})
    assert book.facts.rows == 3


@pytest.mark.parametrize("kind", KINDS)
def test_files_end_with_their_period_by_the_records_times(kind: str, tmp_path: Path) -> None:
    life = Life(kind, tmp_path, roll_seconds=10)
    life.run()
    life.free()
    lengths = [len(rows) // ROWS for rows in in_each(kind, tmp_path).values()]
    assert lengths == [9, 10, 5]  # from 23:59:51 on, and at 00:00:00 and 00:00:10


@pytest.mark.parametrize("kind", ["csv", "raw", "hdf5"])
def test_files_end_by_size(kind: str, tmp_path: Path) -> None:
    life = Life(kind, tmp_path, roll_size_mb=1e-4)
    life.run()
    life.free()
    found = in_each(kind, tmp_path)
    assert len(found) > 2
    assert joined(found.values()) == ALL


@pytest.mark.parametrize("point", ["store.roll", "store.rolled"])
@pytest.mark.parametrize("kind", KINDS)
def test_killed_between_two_files_no_row_is_lost_or_doubled(
    kind: str, point: str, tmp_path: Path
) -> None:
    folder, out = tmp_path / "faults", tmp_path / "out"
    folder.mkdir()
    command = [sys.executable, "-m", "tests.daq.store.rolling_life", kind, str(out)]
    environment = {**os.environ, faults.FOLDER_VARIABLE: str(folder)}
    for nth in (1, 2):
        faults.arm(folder, point, kind, Fault(action="kill", nth=nth))
        done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
        assert done.returncode == -signal.SIGKILL
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    found = in_each(kind, out)
    rows = joined(found.values())
    assert rows == ALL
    assert len(found) == RECORDS // 3


@pytest.mark.parametrize("kind", ["csv", "raw", "hdf5"])
def test_a_replay_after_a_roll_writes_nothing_twice_though_the_file_was_moved_away(
    kind: str, tmp_path: Path
) -> None:
    first = Life(kind, tmp_path, roll_rows=limit(kind))
    first.run(last=12)
    first.free()
    moved = tmp_path / "archive"
    moved.mkdir()
    first_file = tmp_path / f"x.{kind}"
    first_file.rename(moved / first_file.name)
    again = Life(kind, tmp_path, roll_rows=limit(kind))
    again.run()
    again.free()
    rows = joined(in_each(kind, tmp_path).values())
    assert rows_of(kind, moved / first_file.name) + rows == ALL


def test_a_day_that_is_over_is_finished_and_rows_that_come_late_begin_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = Life("csv", tmp_path, add_date=True)
    life.run()
    monkeypatch.setattr(rolling, "IDLE_SECONDS", 0.0)
    life.store._life._files._looked_at = 0.0  # type: ignore[attr-defined]
    life.store.tend()
    life.put(RECORDS + 1)
    life.store.flush()
    life.free()
    found = {path.name: len(rows_of("csv", path)) for path in sorted(tmp_path.glob("*.csv"))}
    day = f"{EVENING:%Y-%m-%d}"
    assert found == {
        f"{day}_x.csv": 9 * ROWS,
        "2026-03-02_x.csv": 15 * ROWS,
        "2026-03-02_x.roll0002.csv": ROWS,
    }
    assert (tmp_path / f"{day}_x.csv.json").exists()


def test_days_that_an_earlier_life_left_are_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Life("csv", tmp_path, add_date=True)
    first.run(last=9)
    first.free()
    again = Life("csv", tmp_path, add_date=True)
    again.run(first=10)
    monkeypatch.setattr(rolling, "IDLE_SECONDS", 0.0)
    again.store._life._files._looked_at = 0.0  # type: ignore[attr-defined]
    again.store.tend()
    again.free()
    assert (tmp_path / f"{EVENING:%Y-%m-%d}_x.csv.json").exists()


def test_names_of_rolls_are_nobody_elses(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="are those of rolls"):
        Life("csv", tmp_path).put(1, tag="a.roll0002")
    with pytest.raises(StoreError, match="are those of rolls"):
        Life("csv", tmp_path, file_path="x.roll0002.csv").put(1)


def test_a_snapshot_never_rolls() -> None:
    with pytest.raises(ValueError, match="never rolls"):
        DAQJobStoreConfigCSV(file_path="x.csv", overwrite=True, roll_rows=5)


def test_nothing_is_asked_for_by_default() -> None:
    assert not limits_of(DAQJobStoreConfigCSV(file_path="x.csv")).are_set
