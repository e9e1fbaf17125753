"""File systems that can be made full: real ones where the host allows it.

As root the trial moves into a mount namespace of its own and puts small tmpfs file systems
over its output folder and over ``/dev/shm``. Nobody else sees them, they are gone with the
trial's last process, and shrinking one to what it holds makes it full at once. Elsewhere the
error of a full disk is raised at the fault points where it would come up.
"""

import contextlib
import ctypes
import errno
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from enrgdaq.transport import faults

_CLONE_NEWNS: Final = 0x20000
_MS_PRIVATE_REC: Final = 0x40000 | 0x4000
_MS_NOSUID_NODEV: Final = 2 | 4
_MS_REMOUNT: Final = 32
_DETACH: Final = 2
_LIMIT_BYTES: Final = 16 << 30  # a limit, not a reservation
_SHRINK_TRIES: Final = 200


class Room(Protocol):
    """A place that can be full."""

    kind: str

    def fill(self) -> None:
        """Leave no room from now on."""

    def relieve(self) -> None:
        """Give room again; idempotent."""

    def close(self) -> None:
        """Undo everything; idempotent."""


class TmpfsRoom:
    """A tmpfs mounted over a folder, in this process's own namespace."""

    kind = "tmpfs"

    def __init__(self, path: Path, *, limit_bytes: int = _LIMIT_BYTES) -> None:
        self.path = path
        self._limit = limit_bytes
        self._is_mounted = True
        mode = path.stat().st_mode & 0o7777
        _mount(path, _MS_NOSUID_NODEV, f"size={limit_bytes},mode={mode:o}")

    def fill(self) -> None:
        """See :class:`Room`."""
        for _ in range(_SHRINK_TRIES):
            disk = os.statvfs(self.path)
            used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
            try:
                # A size of 0 would be no limit at all.
                _mount(self.path, _MS_REMOUNT | _MS_NOSUID_NODEV, f"size={max(used, 4096)}")
            except OSError as error:
                # Somebody wrote in between: it holds more than that now.
                if error.errno != errno.EINVAL:
                    raise
                time.sleep(0.001)
                continue
            return
        raise OSError(errno.EBUSY, "the file system grows too fast to be made full", self.path)

    def relieve(self) -> None:
        """See :class:`Room`."""
        if self._is_mounted:
            _mount(self.path, _MS_REMOUNT | _MS_NOSUID_NODEV, f"size={self._limit}")

    def close(self) -> None:
        """See :class:`Room`."""
        if self._is_mounted:
            self._is_mounted = False
            _libc_call("umount2", os.fsencode(self.path), _DETACH)

    def move_out(self, target: Path) -> None:
        """Copy what it holds to an ordinary folder, for inspection."""
        with contextlib.suppress(shutil.Error):
            # Sockets and the like are no evidence.
            shutil.copytree(self.path, target, dirs_exist_ok=True)


class PlayedRoom:
    """A full disk played at a fault point of some processes."""

    kind = "played"

    def __init__(self, folder: Path, point: str, processes: Sequence[str]) -> None:
        self._folder = folder
        self._point = point
        self.processes = processes
        """Job ids, or ``supervisor``."""

    def fill(self) -> None:
        """See :class:`Room`."""
        for process in self.processes:
            faults.arm(self._folder, self._point, process, faults.Fault(action="no_space"))

    def relieve(self) -> None:
        """See :class:`Room`."""
        for process in self.processes:
            faults.fault_path(self._folder, self._point, process).unlink(missing_ok=True)

    def close(self) -> None:
        """See :class:`Room`."""
        self.relieve()


def enter_private_mounts() -> bool:
    """Give this thread and what it starts mounts of their own; whether the host allows it."""
    try:
        _libc_call("unshare", _CLONE_NEWNS)
        _libc_call("mount", b"none", b"/", None, ctypes.c_ulong(_MS_PRIVATE_REC), None)
    except OSError:
        return False
    return True


def _mount(path: Path, flags: int, options: str) -> None:
    _libc_call(
        "mount", b"tmpfs", os.fsencode(path), b"tmpfs", ctypes.c_ulong(flags), options.encode()
    )


def _libc_call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    function = getattr(libc, name, None)
    if function is None:
        raise OSError(errno.ENOSYS, f"this system has no {name}()")
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
