"""What a job was when it wrote its rows: noted before it starts, found by ring position."""

from pathlib import Path

import msgspec
import pytest

from enrgdaq.daq.origins import Origin, Origins, note_origin, origins_path

FIRST = Origin(job="pmt", config="hv = 1")
EDITED = Origin(job="pmt", config="hv = 2")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return origins_path(tmp_path / "origins", "ring")


def test_records_keep_the_text_that_they_were_written_under(path: Path) -> None:
    note_origin(path, 0, FIRST)
    note_origin(path, 1_000, EDITED)
    origins = Origins(path, lambda: 2_000)
    assert [origins.at(end) for end in (64, 1_000, 1_064, 2_000)] == [FIRST, FIRST, EDITED, EDITED]


def test_a_text_that_is_noted_while_rows_are_read_counts_from_there(path: Path) -> None:
    head = 500
    note_origin(path, 0, FIRST)
    origins = Origins(path, lambda: head)
    assert origins.at(500) == FIRST
    note_origin(path, 500, EDITED)
    head = 700
    assert origins.at(600) == EDITED
    assert origins.at(500) == FIRST


def test_a_restart_with_the_same_text_is_no_new_origin(path: Path) -> None:
    note_origin(path, 0, FIRST)
    before = path.stat().st_ino
    note_origin(path, 1_000, FIRST)
    assert path.stat().st_ino == before


def test_what_no_record_is_of_any_more_is_forgotten(path: Path) -> None:
    for number in range(100):
        note_origin(path, 100 * number, Origin(config=str(number)), oldest=100 * number)
    assert len(msgspec.json.decode(path.read_bytes())) == 1
    note_origin(path, 10_000, FIRST, oldest=9_950)
    assert Origins(path, lambda: 0).at(10_000) == Origin(config="99")


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_notes_that_cannot_be_read_say_nothing(path: Path, damage: bytes | None) -> None:
    path.parent.mkdir()
    if damage is not None:
        path.write_bytes(damage)
    assert Origins(path, lambda: 0).at(64) is None


def test_nobody_else_may_read_the_notes(path: Path) -> None:
    note_origin(path, 0, FIRST)
    assert path.stat().st_mode & 0o777 == 0o600
