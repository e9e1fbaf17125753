"""Files that are not read soon leave the kernel's page cache."""

import errno
import os
from pathlib import Path

import pytest

from enrgdaq.federation.jetstream.cold import ColdFiles

pytestmark = pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="needs Linux to look")


def written(path: Path) -> Path:
    """A file that the disk has."""
    with path.open("wb") as file:
        file.write(b"unread" * 1_000)
        os.fsync(file.fileno())
    return path


def is_cached(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            return os.preadv(file.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT) == 1
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise
            return False


def needs_a_disk(folder: Path) -> None:
    path = written(folder / "look")
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if is_cached(path):
        pytest.skip(f"{folder} lies in memory, or its file system keeps what it has")


def test_older_files_are_let_go_of_and_the_latest_are_not(tmp_path: Path) -> None:
    needs_a_disk(tmp_path)
    cold = ColdFiles()
    files = [written(tmp_path / str(number)) for number in range(30)]
    assert all(map(is_cached, files))
    for path in files:
        cold.add(path)
    assert not any(map(is_cached, files[:20]))
    assert all(map(is_cached, files[-8:]))


def test_what_the_disk_did_not_have_yet_is_let_go_of_later(tmp_path: Path) -> None:
    needs_a_disk(tmp_path)
    cold = ColdFiles()
    files = [written(tmp_path / str(number)) for number in range(17)]
    for path in files[:-1]:
        cold.add(path)
    files[0].read_bytes()  # as if the first look had come too early
    assert is_cached(files[0])
    cold.add(files[-1])
    assert not is_cached(files[0])


def test_files_that_are_gone_are_no_matter(tmp_path: Path) -> None:
    cold = ColdFiles()
    for number in range(30):
        path = written(tmp_path / str(number))
        cold.add(path)
        path.unlink()
