"""Disk space taken before it is needed."""

import ctypes
import errno
import os
from pathlib import Path
from typing import Final

_KEEP_SIZE: Final = 1  # FALLOC_FL_KEEP_SIZE of linux/falloc.h
_NOT_THERE: Final = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


def reserve(descriptor: int, path: Path, begin: int, count: int) -> None:
    """Take space for ``count`` bytes of a file from ``begin`` on; its length stays.

    For libraries that do not survive a full disk. Where the file system cannot reserve, its
    free space is looked at. Raises ``OSError`` (``ENOSPC``, ``EDQUOT``), which names the path.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    if libc.fallocate(descriptor, _KEEP_SIZE, begin, count) == 0:
        return
    number = ctypes.get_errno()
    if number in _NOT_THERE:
        found = os.fstatvfs(descriptor)
        if found.f_bavail * found.f_frsize >= count:
            return
        number = errno.ENOSPC
    raise OSError(number, os.strerror(number), str(path))


def give_back(path: Path) -> None:
    """Free what was reserved behind the end of a file."""
    os.truncate(path, path.stat().st_size)
