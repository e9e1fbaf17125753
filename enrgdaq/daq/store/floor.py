"""The free space that stores leave on their disk, for all others who write there."""

import errno
import os
from pathlib import Path
from typing import Final

from enrgdaq.transport.memory import MEGABYTE

_FLOOR_BYTES: Final = 1 << 30
_FLOOR_SHARE: Final = 0.01


class FreeSpaceFloor:
    """Below it nothing is written. It is looked at before a flush, not at each write in it."""

    def __init__(self, folder: Path, floor_mb: float | None) -> None:
        """``None``: 1 GiB or 1 % of the disk, whichever is less; 0: no floor."""
        self._folder = folder
        self._floor_mb = floor_mb

    def lack(self) -> str:
        """What there is and what there should be; empty when that is enough. ``OSError``."""
        if self._floor_mb == 0:
            return ""
        disk = os.statvfs(self._folder)
        free = disk.f_bavail * disk.f_frsize
        if self._floor_mb is not None:
            floor = self._floor_mb * MEGABYTE
        else:
            floor = min(_FLOOR_BYTES, _FLOOR_SHARE * disk.f_blocks * disk.f_frsize)
        if free >= floor:
            return ""
        # Down for what there is, so that it never reads "32 MiB free, floor 32 MiB".
        return f"{free // MEGABYTE} MiB free, floor {floor / MEGABYTE:.4g} MiB"

    def check(self) -> None:
        """Raise ``OSError`` (``ENOSPC``) below the floor."""
        lack = self.lack()
        if lack:
            raise OSError(errno.ENOSPC, lack, str(self._folder))
