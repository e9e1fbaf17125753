"""Fault points do nothing unless a trial arms them, and then just what it says."""

import errno
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from enrgdaq.transport import faults
from enrgdaq.transport.faults import POINTS, Fault, arm, hit, watch_words

SOURCES = Path(faults.__file__).parent.parent


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with monkeypatch.context() as patched:
        patched.setenv(faults.FOLDER_VARIABLE, str(tmp_path))
        faults.enter("me")
    yield tmp_path
    faults.enter("me")


def words() -> memoryview:
    return memoryview(bytearray(32)).cast("Q")


@pytest.mark.parametrize("point", POINTS)
def test_every_point_is_somewhere(point: str) -> None:
    rooms = (SOURCES / room for room in ("transport", "daq", "supervisor"))
    files = [file for room in rooms for file in room.rglob("*.py") if file.name != "faults.py"]
    assert any(f'"{point}"' in file.read_text() for file in files)


def test_nothing_is_armed_without_a_trial(tmp_path: Path) -> None:
    arm(tmp_path, "store.rows", "me", Fault(action="kill"))
    faults.enter("me")
    hit("store.rows")
    plain = words()
    assert watch_words(plain, {0: "ring.head"}) is plain


def test_no_space_lasts_while_the_file_is_there(folder: Path) -> None:
    hit("store.rows")
    path = arm(folder, "store.rows", "me", Fault(action="no_space", nth=2))
    hit("store.rows")
    for _ in range(2):
        with pytest.raises(OSError, match="No space") as raised:
            hit("store.rows")
        assert raised.value.errno == errno.ENOSPC
    path.unlink()
    hit("store.rows")


def test_others_are_not_meant(folder: Path) -> None:
    arm(folder, "store.rows", "you", Fault(action="no_space"))
    arm(folder, "store.torn", "me", Fault(action="no_space"))
    hit("store.rows")


def test_watched_word_is_a_point_before_its_write(folder: Path) -> None:
    watched = watch_words(words(), {1: "ring.head"})
    watched[0] = watched[1] = 5
    path = arm(folder, "ring.head", "me", Fault(action="no_space"))
    watched[0] = 6
    with pytest.raises(OSError, match="No space"):
        watched[1] = 6
    path.unlink()
    assert (watched[0], watched[1]) == (6, 5)


def test_kill_comes_at_the_nth_pass_and_once(tmp_path: Path) -> None:
    path = arm(tmp_path, "store.torn", "it", Fault(action="kill", nth=3))
    script = (
        "from enrgdaq.transport.faults import enter, hit; enter('it')\n"
        "def half(): print('half', flush=True)\n"
        "for n in range(9): print(n, flush=True); hit('store.torn', half)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={faults.FOLDER_VARIABLE: str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == ["0", "1", "2", "half"]
    assert not path.exists()


def test_clock_is_set_back_for_this_process(tmp_path: Path) -> None:
    arm(tmp_path, "ring.head", "it", Fault(action="clock", seconds=3600.0))
    script = (
        "import time; from enrgdaq.transport.faults import enter, hit; enter('it')\n"
        "before = time.time_ns(); hit('ring.head'); hit('ring.head')\n"
        "print(round((before - time.time_ns()) / 1e9), round(before / 1e9 - time.time()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={faults.FOLDER_VARIABLE: str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["3600", "3600"]
