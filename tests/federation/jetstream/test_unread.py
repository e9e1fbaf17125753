"""What a sender keeps until its readers have it, over kills and disks that fail."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from enrgdaq.daq.store.floor import FreeSpaceFloor
from enrgdaq.errors import TransportError
from enrgdaq.federation.jetstream import unread as unread_module
from enrgdaq.federation.jetstream.unread import Unread

ONE, TWO = "1" * 32, "2" * 32


def opened(folder: Path) -> Unread:
    return Unread(folder, FreeSpaceFloor(folder, 0))


def kept(unread: Unread, ring_uuid: str, place: int = 0) -> list[tuple[int, int, bytes]]:
    return [(one.before, one.end, unread.read(one)) for one in unread.after(ring_uuid, place)]


def test_batches_outlive_a_kill_each_once_and_in_order(tmp_path: Path) -> None:
    unread = opened(tmp_path)
    unread.add(ONE, 0, 10, b"a" * 13)
    unread.add(TWO, 5, 9, b"")
    unread.add(ONE, 10, 20, b"b" * 8)
    unread.add(ONE, 10, 20, b"b" * 8)
    for after in (unread, opened(tmp_path)):
        assert kept(after, ONE) == [(0, 10, b"a" * 13), (10, 20, b"b" * 8)]
        assert kept(after, ONE, 10) == [(10, 20, b"b" * 8)]
        assert kept(after, TWO) == [(5, 9, b"")]
        assert (after.bytes, after.end_of(ONE), after.rings) == (21, 20, {ONE, TWO})
        assert [after.end_before(ONE, place) for place in (9, 10, 19, 50)] == [9, 10, 19, 20]
    unread.close()


def test_half_a_batch_was_never_published(tmp_path: Path) -> None:
    unread = opened(tmp_path)
    unread.add(ONE, 0, 10, b"whole")
    unread.add(ONE, 10, 20, b"half")
    unread.close()
    (segment,) = tmp_path.iterdir()
    segment.write_bytes(segment.read_bytes()[:-1])
    unread = opened(tmp_path)
    unread.add(ONE, 10, 30, b"again")
    unread.close()
    assert kept(opened(tmp_path), ONE) == [(0, 10, b"whole"), (10, 30, b"again")]


def test_what_all_have_read_leaves_the_disk(tmp_path: Path) -> None:
    unread = opened(tmp_path)
    for ring_uuid in (ONE, TWO):
        for number in range(4):
            unread.add(ring_uuid, number, number + 1, bytes(6 << 20))
    assert len(list(tmp_path.iterdir())) == 3
    unread.release({ONE: 4, TWO: 1}.__getitem__)
    assert (len(list(tmp_path.iterdir())), unread.rings) == (2, {TWO})
    unread.release({TWO: 4}.__getitem__)
    assert (list(tmp_path.iterdir()), unread.bytes) == ([], 0)
    unread.add(ONE, 4, 5, b"goes on")
    assert kept(opened(tmp_path), ONE) == [(4, 5, b"goes on")]
    unread.close()


def test_a_batch_that_the_disk_has_damaged_is_not_sent(tmp_path: Path) -> None:
    unread = opened(tmp_path)
    unread.add(ONE, 0, 10, b"x" * 100)
    unread.close()
    (segment,) = tmp_path.iterdir()
    data = bytearray(segment.read_bytes())
    data[-3] ^= 1
    segment.write_bytes(data)
    unread = opened(tmp_path)
    with pytest.raises(TransportError, match=r"0000000001\.unread: the batch at \d+ is damaged"):
        kept(unread, ONE)
    segment.unlink()
    with pytest.raises(TransportError, match=r"0000000001\.unread: No such file"):
        kept(unread, ONE)


def test_others_cannot_read_it(tmp_path: Path) -> None:
    unread = opened(tmp_path / "kept")
    unread.add(ONE, 0, 10, b"x")
    (segment,) = (tmp_path / "kept").iterdir()
    assert (segment.stat().st_mode & 0o777, segment.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    unread.close()


def test_a_disk_that_refuses_keeps_no_garbage(tmp_path: Path, monkeypatch: Any) -> None:
    unread = opened(tmp_path)
    unread.add(ONE, 0, 10, b"x")

    def refuse(descriptor: int, head: bytes, data: bytes) -> None:
        os.write(descriptor, head)
        raise OSError(errno.EDQUOT, "no more")

    with monkeypatch.context() as patched:
        patched.setattr(unread_module, "_write_all", refuse)
        for _ in range(3):
            with pytest.raises(OSError, match="no more"):
                unread.add(ONE, 10, 20, b"y")
    assert len(list(tmp_path.iterdir())) == 1
    unread.add(ONE, 10, 20, b"y")
    assert kept(opened(tmp_path), ONE) == [(0, 10, b"x"), (10, 20, b"y")]
    unread.close()


def test_below_the_floor_nothing_is_kept(tmp_path: Path) -> None:
    unread = Unread(tmp_path, FreeSpaceFloor(tmp_path, 1e9))
    with pytest.raises(OSError, match="floor"):
        unread.add(ONE, 0, 10, b"x")
    assert not list(tmp_path.iterdir())
