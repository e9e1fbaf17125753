"""What is durable in a group, and up to which ring positions: its commit slots.

``GROUP/_commits`` holds eight slots, used in turn. A slot is written with one ``pwrite``
past libhdf5, into space that the library never writes again; a CRC tells a torn one from a
whole one, and the one before it still stands. Kept in the file, it cannot be separated from
the rows, as a journal beside it could be.
"""

import struct
import zlib
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from numpy.typing import NDArray

from enrgdaq.errors import StoreError

SLOTS: Final = 8
_SMALLEST_SLOT: Final = 16_384  # some 300 rings, beside few columns
_PAGE: Final = 4096
_NUMBER: Final = 20  # digits of the longest
_HEADER: Final = struct.Struct("<II")  # crc of the rest, length of the JSON


class Commit(msgspec.Struct, kw_only=True, frozen=True):
    """The state of a group after a flush."""

    number: int
    """Counts the commits of the group from 0."""
    rows: int
    lengths: dict[str, int]
    """Dataset within the group -> entries that are right."""
    watermarks: dict[str, int]
    """Ring uuid -> position up to which its records are in the file."""

    def slot(self) -> int:
        """The slot that this commit goes to."""
        return self.number % SLOTS


def slot_bytes(paths: Iterable[str]) -> int:
    """Size of a group's slots: room for the lengths of these datasets, whatever they become."""
    lengths = dict.fromkeys(paths, 10 ** (_NUMBER - 1))
    needed = len(msgspec.json.encode(lengths)) + _SMALLEST_SLOT // 2
    return max(_SMALLEST_SLOT, -(-needed // _PAGE) * _PAGE)


def packed(commit: Commit, slot_bytes: int) -> bytes:
    """A commit as it stands in its slot. Raises :class:`StoreError` when it does not fit."""
    body = msgspec.json.encode(commit)
    if _HEADER.size + len(body) > slot_bytes:
        raise StoreError(
            f"{len(commit.watermarks)} rings write into one HDF5 group, too many for its commit"
            " record: spread the jobs over several files"
        )
    checked = struct.pack("<I", len(body)) + body
    return struct.pack("<I", zlib.crc32(checked)) + checked


def unpacked(slot: bytes) -> Commit | None:
    """The commit in a slot; ``None`` for an unused or torn one."""
    crc, length = _HEADER.unpack_from(slot)
    if length == 0 or length > len(slot) - _HEADER.size:
        return None
    checked = slot[4 : _HEADER.size + length]
    if zlib.crc32(checked) != crc:
        return None
    return msgspec.json.decode(checked[4:], type=Commit)


def newest_first(slots: NDArray[Any]) -> list[Commit]:
    """All whole commits of a group. ``slots``: bytes, shape (slots, bytes of one)."""
    found = (unpacked(slot.tobytes()) for slot in slots)
    return sorted((c for c in found if c is not None), key=lambda c: c.number, reverse=True)
