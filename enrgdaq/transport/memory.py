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
    if not _TMPFS.is_dir() or not os.access(_TMPFS, os.W_OK):
        return file_folder(runtime)
    # One folder a supervisor, no common parent: that could only be removed in a race.
    return private_folder(_TMPFS / f"enrgdaq-{os.getuid()}-{supervisor_id}")


def file_folder(runtime: Path) -> Path:
    """Folder for rings of jobs with ``use_shm_when_possible = false``."""
    return private_folder(runtime / "rings")


def private_folder(path: Path) -> Path:
    """Make a folder of mode 0700, or check that it is ours alone.

    Raises :class:`TransportError` when somebody else owns it or may look inside.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise TransportError(f"{path} belongs to somebody else; remove it or choose another folder")
    if found.st_mode & 0o077:
        raise TransportError(f"{path} is open to other users; run: chmod 700 {path}")
    return path


def _whole_pages(size: int) -> int:
    return (size + layout.PAGE - 1) // layout.PAGE * layout.PAGE
