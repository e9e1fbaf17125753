"""A small file that is written often: two slots in turn, of which the last whole one counts.

A kill in the middle of a write leaves the other slot. Putting a new file in the place of the old
one each time would say the same; but file systems write a file to the disk when it replaces
another, which took a fifth of a receiver's time.

Each slot: magic, length, CRC-32 of number and data, number of the write, data.
"""

import contextlib
import errno
import os
import struct
import zlib
from pathlib import Path
from typing import Final

from enrgdaq.daq.store.journal import replace_file

_MAGIC: Final = b"ESF1"
_HEAD: Final = struct.Struct("<4sIIQ")
_NUMBER: Final = struct.Struct("<Q")
_SMALLEST_SLOT: Final = 4_096


class SlotFile:
    """Data that are read once and then replaced again and again. Raises ``OSError``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._slot_bytes = 0
        self._number = 0

    def read(self) -> bytes:
        """What was written last; empty when there is nothing whole."""
        found = b""
        with contextlib.suppress(FileNotFoundError):
            whole = self._path.read_bytes()
            self._slot_bytes = len(whole) // 2
            for begin in (0, self._slot_bytes):
                number, data = _parse(whole[begin : begin + self._slot_bytes])
                if number > self._number:
                    self._number, found = number, data
        return found

    def write(self, data: bytes) -> None:
        """Replace what is there; when this returns it survives a kill."""
        number = self._number + 1
        crc = zlib.crc32(data, zlib.crc32(_NUMBER.pack(number)))
        slot = _HEAD.pack(_MAGIC, len(data), crc, number) + data
        if len(slot) > self._slot_bytes or not self._path.exists():
            # Twice as much as is needed now, so that this is seldom.
            size = max(_SMALLEST_SLOT, 2 * len(slot))
            whole = bytes(number % 2 * size) + slot
            replace_file(self._path, whole.ljust(2 * size, b"\0"))
            self._slot_bytes = size
        else:
            self._put(slot, number % 2 * self._slot_bytes)
        self._number = number

    def _put(self, slot: bytes, offset: int) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            if os.pwrite(descriptor, slot, offset) < len(slot):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        finally:
            os.close(descriptor)


def _parse(slot: bytes) -> tuple[int, bytes]:
    """Number and data of a slot; number 0 for one that is not whole."""
    if len(slot) < _HEAD.size:
        return 0, b""
    magic, length, crc, number = _HEAD.unpack_from(slot)
    data = slot[_HEAD.size : _HEAD.size + length]
    is_whole = magic == _MAGIC and zlib.crc32(data, zlib.crc32(_NUMBER.pack(number))) == crc
    return (number, data) if is_whole and len(data) == length else (0, b"")
