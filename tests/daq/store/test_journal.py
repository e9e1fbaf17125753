"""Files cut at any byte, and journals from any moment, give every durable row once."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enrgdaq.daq.store.journal import (
    AppendFile,
    Journal,
    Position,
    SnapshotFile,
    journal_path,
    read_journal,
    remove_journal,
    write_journal,
)
from enrgdaq.errors import StoreError

RINGS = {"r"}


def crash(file: AppendFile) -> None:
    """What SIGKILL leaves: the descriptor closed, nothing said."""
    os.close(file._descriptor)


def append(file: AppendFile, number: int) -> None:
    position = Position("r", number)
    if not file.has(position):
        file.add(lambda sink: sink.write(b"%d\n" % number))
        file.note(position)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(torn=st.binary(max_size=50), flushed=st.integers(0, 5), steals_journal=st.booleans())
def test_cut_back_and_replay(
    tmp_path_factory: pytest.TempPathFactory, torn: bytes, flushed: int, steals_journal: bool
) -> None:
    path = tmp_path_factory.mktemp("j") / "a.csv"
    file = AppendFile(path)
    for number in range(1, flushed + 1):
        append(file, number)
        file.flush(RINGS)
    before = journal_path(path).read_bytes()
    append(file, flushed + 1)
    file.flush(RINGS)
    if steals_journal:
        # Killed after the rows and before the journal.
        journal_path(path).write_bytes(before)
    crash(file)
    with path.open("ab") as half_written:
        half_written.write(torn)
    again = AppendFile(path)
    for number in range(1, 9):
        append(again, number)
    again.flush(RINGS)
    again.close()
    assert path.read_bytes() == b"".join(b"%d\n" % n for n in range(1, 9))


def test_users_file_is_never_cut(tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    path.write_bytes(b"precious\n")
    file = AppendFile(path)
    crash(file)
    again = AppendFile(path)
    append(again, 1)
    again.flush(RINGS)
    again.close()
    assert path.read_bytes() == b"precious\n1\n"


def test_lines_added_after_a_clean_close_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    file = AppendFile(path)
    append(file, 1)
    file.flush(RINGS)
    file.close()
    with path.open("ab") as editor:
        editor.write(b"# note of the shifter\n")
    again = AppendFile(path)
    append(again, 2)
    again.flush(RINGS)
    again.close()
    assert path.read_bytes() == b"1\n# note of the shifter\n2\n"


def test_file_replaced_by_somebody_is_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    file = AppendFile(path)
    append(file, 1)
    file.flush(RINGS)
    crash(file)
    other = tmp_path / "other"
    other.write_bytes(b"1\nrestored from a backup, longer\n")
    other.rename(path)
    AppendFile(path).close()
    assert path.read_bytes() == b"1\nrestored from a backup, longer\n"


def test_flush_that_failed_can_be_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    file = AppendFile(path)
    append(file, 1)
    folder = journal_path(path).with_name(f".{journal_path(path).name}.new")
    folder.mkdir()  # where the new journal would be written
    with pytest.raises(OSError, match="Is a directory"):
        file.flush(RINGS)
    folder.rmdir()
    append(file, 2)
    file.flush(RINGS)
    file.close()
    assert path.read_bytes() == b"1\n2\n"


def test_unreadable_journal_is_never_guessed_at(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    AppendFile(path).close()
    journal_path(path).write_bytes(b"{")
    with pytest.raises(StoreError, match="cannot be read"):
        AppendFile(path)


def test_watermarks_of_old_rings_are_forgotten_slowly(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    file = AppendFile(path)
    for number in range(100):
        file.add(lambda sink: sink.write(b"x"))
        file.note(Position(f"ring{number}", 1))
        file.flush({f"ring{number}", "ring0"})
    file.close()
    journal = read_journal(path)
    assert journal is not None
    assert "ring0" in journal.watermarks
    assert "ring99" in journal.watermarks
    assert len(journal.watermarks) < 40


def test_replay_brings_back_no_older_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "live.csv"
    first = SnapshotFile(path)
    for number in (1, 2, 3):
        first.put(b"%d" % number, Position("r", number))
        first.flush(RINGS)
    replay = SnapshotFile(path)
    for number in (1, 2):
        replay.put(b"%d" % number, Position("r", number))
        replay.flush(RINGS)
    assert path.read_bytes() == b"3"


def test_a_journal_goes_with_what_a_kill_left_half_made_of_it(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    write_journal(path, Journal())
    journal_path(path).with_name(f".{journal_path(path).name}.new").write_bytes(b"{")
    remove_journal(path)
    remove_journal(path)
    assert not list(tmp_path.iterdir())
