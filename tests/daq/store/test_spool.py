"""Spool files: order, kills in the middle of a write, limits, spoiled disks."""

import os
import resource
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enrgdaq.daq.store.floor import FreeSpaceFloor
from enrgdaq.daq.store.journal import Position
from enrgdaq.daq.store.spool import Spool, SpooledRecord

RINGS = ("a" * 32, "b" * 32)
MANY = 1 << 40


def record(number: int, *, ring: str = RINGS[0], size: int = 10) -> SpooledRecord:
    return SpooledRecord(
        ring_uuid=ring,
        producer="p",
        producer_type="DAQJobTest",
        start=number * 64,
        end=number * 64 + 64,
        sequence=number,
        kind=3,
        timestamp_ns=1_000 + number,
        header=b"header",
        payload=bytes([number % 256]) * size,
    )


def make(
    folder: Path,
    *,
    limit: int = MANY,
    damage: list[tuple[Path, int]] | None = None,
    floor_mb: float | None = None,
) -> Spool:
    found = [] if damage is None else damage
    floor = FreeSpaceFloor(folder, floor_mb)
    return Spool(folder, limit, lambda path, count: found.append((path, count)), floor)


def numbers(spool: Spool, most_bytes: int = MANY) -> list[int]:
    return [found.sequence for found in spool.read(most_bytes)]


def test_records_come_back_in_order_and_are_gone_when_committed(tmp_path: Path) -> None:
    spool = make(tmp_path)
    for number in range(10):
        spool.add([record(number), record(number, ring=RINGS[1])])
    assert numbers(spool) == [n for n in range(10) for _ in RINGS]
    spool.rewind()
    again = list(spool.read(MANY))
    assert again[1] == record(0, ring=RINGS[1])
    spool.commit()
    assert spool.is_empty
    assert spool.bytes == 0
    assert list(tmp_path.iterdir()) == []
    assert spool.has(Position(RINGS[1], 640))
    assert not spool.has(Position(RINGS[1], 704))


def test_half_a_block_that_found_no_room_is_no_damage(tmp_path: Path) -> None:
    damage: list[tuple[Path, int]] = []
    spool = make(tmp_path, damage=damage)
    large = msgspec.structs.replace(record(1), payload=os.urandom(100_000))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            spool.add([large])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    spool.add([record(1)])
    spool.close()
    assert numbers(make(tmp_path, damage=damage)) == [1]
    assert damage == []


def test_files_are_private(tmp_path: Path) -> None:
    spool = make(tmp_path / "spool")
    spool.add([record(1)])
    (file,) = (tmp_path / "spool").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_a_batch_ends_near_its_size(tmp_path: Path) -> None:
    spool = make(tmp_path)
    for number in range(10):
        spool.add([record(number, size=1_000)])
    assert numbers(spool, 2_500) == [0, 1, 2]
    assert numbers(spool, 1) == [3]
    spool.commit()
    assert numbers(spool) == [4, 5, 6, 7, 8, 9]


def test_segments_are_removed_one_by_one(tmp_path: Path) -> None:
    spool = make(tmp_path)
    for number in range(5):
        big = msgspec.structs.replace(record(number), payload=os.urandom(9 << 20))
        spool.add([big])
    assert len(list(tmp_path.iterdir())) == 3
    assert spool.bytes > 45e6
    assert numbers(spool, 10 << 20) == [0, 1]
    spool.commit()
    assert len(list(tmp_path.iterdir())) == 2
    assert spool.oldest_ns == 1_002
    again = make(tmp_path)
    assert numbers(again) == [2, 3, 4]


def test_a_full_spool_and_a_full_disk_say_so(tmp_path: Path) -> None:
    spool = make(tmp_path, limit=(16 << 20) + 100)
    assert spool.full_reason() == ""
    spool.add([record(1)])
    assert "spool_size_mb" in spool.full_reason()
    roomy = make(tmp_path / "other", floor_mb=1e9)
    assert "free, floor 1e+09 MiB" in roomy.full_reason()


@settings(max_examples=60, deadline=None)
@given(blocks=st.integers(1, 5), cut=st.integers(0, 400), data=st.data())
def test_a_kill_in_the_middle_of_a_write_loses_only_what_was_not_yet_added(
    tmp_path_factory: pytest.TempPathFactory, blocks: int, cut: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    spool = make(folder)
    sizes = [0]
    for number in range(blocks):
        spool.add([record(number)])
        sizes.append(spool.bytes)
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: max(0, len(whole) - cut)])
    damage: list[tuple[Path, int]] = []
    again = make(folder, damage=damage)
    kept = max(n for n, size in enumerate(sizes) if size <= len(whole) - cut or n == 0)
    assert numbers(again) == list(range(kept))
    assert damage == []
    again.add([record(99)])
    again.rewind()
    assert numbers(again) == [*range(kept), 99]


def test_a_spoiled_block_is_set_apart_and_the_others_go_on(tmp_path: Path) -> None:
    spool = make(tmp_path)
    ends = []
    for number in range(3):
        spool.add([record(number), record(number, ring=RINGS[1])])
        ends.append(spool.bytes)
    (file,) = tmp_path.iterdir()
    spoiled = bytearray(file.read_bytes())
    spoiled[ends[1] - 3] ^= 0xFF
    file.write_bytes(spoiled)
    damage: list[tuple[Path, int]] = []
    again = make(tmp_path, damage=damage)
    assert numbers(again) == [0, 0, 2, 2]
    ((path, count),) = damage
    assert count == 2
    assert path.read_bytes() == spoiled[ends[0] : ends[1]]


def test_a_spoiled_head_sets_the_rest_apart(tmp_path: Path) -> None:
    spool = make(tmp_path)
    spool.add([record(0)])
    end = spool.bytes
    spool.add([record(1)])
    (file,) = tmp_path.iterdir()
    spoiled = bytearray(file.read_bytes())
    spoiled[end + 5] ^= 0xFF
    file.write_bytes(spoiled)
    damage: list[tuple[Path, int]] = []
    again = make(tmp_path, damage=damage)
    assert numbers(again) == [0]
    assert damage[0][0].read_bytes() == spoiled[end:]
