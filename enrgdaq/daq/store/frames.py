"""Frames of raw files with ``framing = "length"``: so many bytes follow, then the bytes.

The length takes 8 bytes, little-endian: four would be enough for a camera, and make a blob of
4 GiB impossible to store.
"""

import os
import struct
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Final

_LENGTH: Final = struct.Struct("<Q")


def frame_head(length: int) -> bytes:
    """What stands before a blob of so many bytes."""
    return _LENGTH.pack(length)


def read_frames(path: str | PathLike[str]) -> Iterator[bytes]:
    """The blobs of a file, in their order; of one that is being written, those that are whole."""
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        while len(head := file.read(_LENGTH.size)) == _LENGTH.size:
            (length,) = _LENGTH.unpack(head)
            if file.tell() + length > size:
                return
            yield file.read(length)
