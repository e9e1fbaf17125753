"""How much of a disk stores leave free."""

import errno
import os
from pathlib import Path

import pytest

from enrgdaq.daq.store.floor import FreeSpaceFloor
from enrgdaq.transport.memory import MEGABYTE


def free_mb(folder: Path) -> float:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize / MEGABYTE


def test_a_floor_above_what_is_free_says_both(tmp_path: Path) -> None:
    floor = FreeSpaceFloor(tmp_path, free_mb(tmp_path) + 100_000)
    assert " MiB free, floor " in floor.lack()
    with pytest.raises(OSError, match="MiB free, floor") as caught:
        floor.check()
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(tmp_path)


def test_enough_room_and_no_floor_are_silent(tmp_path: Path) -> None:
    FreeSpaceFloor(tmp_path, free_mb(tmp_path) / 2).check()
    FreeSpaceFloor(tmp_path, 0).check()


def test_unset_it_is_a_share_of_a_small_disk_and_a_gigabyte_of_a_large_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk(size_mb: int, free_mb: int) -> None:
        answer = list(os.statvfs(tmp_path))
        answer[0] = answer[1] = MEGABYTE
        answer[2], answer[3], answer[4] = size_mb, free_mb, free_mb
        monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(answer))

    floor = FreeSpaceFloor(tmp_path, None)
    disk(1_000, 9)
    assert floor.lack() == "9 MiB free, floor 10 MiB"
    disk(1_000, 11)
    assert floor.lack() == ""
    disk(1_000_000, 1_023)
    assert floor.lack() == "1023 MiB free, floor 1024 MiB"
    disk(1_000_000, 1_024)
    assert floor.lack() == ""
