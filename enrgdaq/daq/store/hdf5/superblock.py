"""The first 48 bytes of an HDF5 file, as a crash leaves them, put right.

Source of the layout: HDF5 File Format Specification 3.0, section II.A (version 3
superblock). The checksum is Bob Jenkins' lookup3, ``hashlittle`` with initial value 0.
"""

import struct
from typing import Final

SUPERBLOCK_BYTES: Final = 48
_MAGIC: Final = b"\x89HDF\r\n\x1a\n"
_VERSION_AT: Final = 8
_FLAGS_AT: Final = 11
_END_OF_FILE_AT: Final = 28
_CHECKSUM_AT: Final = 44
_WORD: Final = 0xFFFF_FFFF


def repaired(superblock: bytes, file_bytes: int) -> tuple[bytes, int] | None:
    """The superblock as if the file had been closed in order, and how long the file must be.

    ``None`` when this is no version 3 superblock of eight-byte addresses.
    """
    is_known = (
        len(superblock) == SUPERBLOCK_BYTES
        and superblock.startswith(_MAGIC)
        and superblock[_VERSION_AT : _VERSION_AT + 3] == b"\x03\x08\x08"
    )
    if not is_known:
        return None
    if superblock[_FLAGS_AT] == 0:
        return superblock, file_bytes
    mended = bytearray(superblock)
    mended[_FLAGS_AT] = 0  # "open for writing", which nobody has taken back
    (stored_end,) = struct.unpack_from("<Q", mended, _END_OF_FILE_AT)
    # While it is written the file is longer than its superblock knows.
    end = max(stored_end, file_bytes)
    struct.pack_into("<Q", mended, _END_OF_FILE_AT, end)
    struct.pack_into("<I", mended, _CHECKSUM_AT, lookup3(bytes(mended[:_CHECKSUM_AT])))
    return bytes(mended), end


def lookup3(data: bytes) -> int:
    """Bob Jenkins' ``hashlittle(data, len(data), 0)``."""
    a = b = c = (0xDEAD_BEEF + len(data)) & _WORD
    at = 0
    while len(data) - at > 12:
        a, b, c = _add(data[at : at + 12], a, b, c)
        a, b, c = _mix(a, b, c)
        at += 12
    if at == len(data):
        return c
    return _final(*_add(data[at:].ljust(12, b"\0"), a, b, c))


def _add(block: bytes, a: int, b: int, c: int) -> tuple[int, int, int]:
    x, y, z = struct.unpack("<III", block)
    return (a + x) & _WORD, (b + y) & _WORD, (c + z) & _WORD


def _rotated(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (32 - bits))) & _WORD


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    for bits in (4, 6, 8, 16, 19, 4):
        a = ((a - c) & _WORD) ^ _rotated(c, bits)
        c = (c + b) & _WORD
        a, b, c = b, c, a
    return a, b, c


def _final(a: int, b: int, c: int) -> int:
    for bits in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - _rotated(b, bits)) & _WORD
        a, b, c = b, c, a
    return b
