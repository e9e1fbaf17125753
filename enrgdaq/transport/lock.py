"""Locks by name: who may touch a ring, a store's files, a supervisor id.

``fcntl.lockf`` on a file per name: the kernel drops it when the process ends, even by
SIGKILL. Closing *any* descriptor of that file drops it too, so it is opened once per
process. Keep the runtime folder off NFS.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from enrgdaq.errors import NameInUseError


class NameLock:
    """An exclusive lock that lives as long as this object and its process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(
        self, *, wait_seconds: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the lock; the old holder may still be dying, so wait for it up to a limit.

        Raises :class:`NameInUseError` with the holder's process id.
        """
        deadline = clock() + wait_seconds
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            else:
                if self._is_still_there(descriptor):
                    break
                holder = ""
            os.close(descriptor)
            if clock() >= deadline:
                raise NameInUseError(
                    f"{self.path.stem!r} is in use by process {holder or 'unknown'}"
                )
            time.sleep(0.02)
        self._descriptor = descriptor
        # For whoever is refused; a full disk must not refuse the lock itself.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Remove the file and give the lock back; idempotent."""
        if self._descriptor is not None:
            self.path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None

    def _is_still_there(self, descriptor: int) -> bool:
        """Whether the locked file is the one at the path: its holder removes it at the end."""
        try:
            return os.path.samestat(os.fstat(descriptor), self.path.stat())
        except FileNotFoundError:
            return False
