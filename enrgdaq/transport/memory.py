"""Where ring files lie, and how large they are."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from enrgdaq.errors import MemoryBudgetError, TransportError
from enrgdaq.transport.ring import layout

MEGABYTE: Final = 1 << 20
SMALLEST_RING: Final = 1 * MEGABYTE
LARGEST_SHARE: Final = 64 * MEGABYTE
SHARED_MODE: Final = 0o710  # the owner everything, the group only to known names inside
_TMPFS: Final = Path("/dev/shm")  # noqa: S108 - files of our own in a folder of mode 0700


@dataclass(frozen=True)
class RingRequest:
    """What one job asks of the budget; sizes in bytes, ``None`` for its share."""

    producer: str
    asked: int | None
    is_small: bool = False  # stores publish little: the smallest ring is theirs


def ring_sizes(requests: list[RingRequest], budget: int) -> dict[str, int]:
    """Ring size in bytes per producer: what it asks for, else an equal share of the budget.

    A share lies between 1 and 64 MB. Sizes are whole pages.
    """
    sharing = [r for r in requests if r.asked is None and not r.is_small]
    share = budget // len(sharing) if sharing else 0
    share = max(SMALLEST_RING, min(LARGEST_SHARE, share))
    return {
        r.producer: _whole_pages(r.asked or (SMALLEST_RING if r.is_small else share))
        for r in requests
    }


def check_room(folder: Path, sizes: dict[str, int]) -> None:
    """Raise :class:`MemoryBudgetError`, showing the arithmetic, when the rings cannot fit."""
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    needed = sum(size + layout.DATA_OFFSET for size in sizes.values())
    if needed > free:
        raise MemoryBudgetError(
            f"{len(sizes)} rings need {needed / MEGABYTE:.1f} MiB"
            f" (largest: {max(sizes.values()) / MEGABYTE:.1f} MiB), {folder} has"
            f" {free / MEGABYTE:.1f} MiB free: lower ring_buffer_size_mb in supervisor.toml or"
            " ring_size_mb in the jobs' files, or make the file system larger"
            " (docker run --shm-size)"
        )


def memory_folder(supervisor_id: str, runtime: Path) -> Path:
    """Folder for rings in memory, made with mode 0700.

    Falls to the runtime folder where there is no usable tmpfs: the same ring in an ordinary
    file keeps the same promises, at the speed of the disk cache.
    """
    return private_folder(memory_path(supervisor_id, runtime))


def memory_path(supervisor_id: str, runtime: Path) -> Path:
    """Where :func:`memory_folder` is, whether or not it is there."""
    if not _TMPFS.is_dir() or not os.access(_TMPFS, os.W_OK):
        return file_path(runtime)
    # One folder a supervisor, no common parent: that could only be removed in a race.
    return _TMPFS / f"enrgdaq-{os.getuid()}-{supervisor_id}"


def file_folder(runtime: Path) -> Path:
    """Folder for rings of jobs with ``use_shm_when_possible = false``, made with mode 0700."""
    return private_folder(file_path(runtime))


def file_path(runtime: Path) -> Path:
    """Where :func:`file_folder` is, whether or not it is there."""
    return runtime / "rings"


def private_folder(path: Path, *, group_id: int | None = None) -> Path:
    """Make a folder of mode 0700, or check that it is ours alone.

    With ``group_id`` its members may go through it (mode 0710), but not look what is inside.
    Raises :class:`TransportError` when somebody else owns it or may look inside, or when the
    folder cannot be given to the group.
    """
    # Without parents, which would be open to everybody.
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise TransportError(f"{path} belongs to somebody else; remove it or choose another folder")
    is_shared = stat.S_IMODE(found.st_mode) == SHARED_MODE
    if found.st_mode & 0o077 and not is_shared:
        raise TransportError(f"{path} is open to other users; run: chmod 700 {path}")
    if group_id is None:
        if is_shared:
            path.chmod(0o700)
        return path
    try:
        # The group first: nobody else's group may come in for a moment.
        os.chown(path, -1, group_id)
        path.chmod(SHARED_MODE)
    except OSError as error:
        raise TransportError(
            f"{path} cannot be given to the group {group_id}: {error.strerror}; only root and"
            " members of a group can give it their folders"
        ) from error
    return path


def _whole_pages(size: int) -> int:
    return (size + layout.PAGE - 1) // layout.PAGE * layout.PAGE
