"""Ring files on disk: which a supervisor has left, and how one is copied whole."""

import os
import shutil
from pathlib import Path
from typing import Final

from enrgdaq.supervisor.places import Places
from enrgdaq.transport import faults
from enrgdaq.transport.memory import MEGABYTE

SUFFIX: Final = ".ring"
UNFINISHED: Final = ".new"  # of a ring that is being made or copied


def left_behind(places: Places) -> list[Path]:
    """Ring files of a supervisor that does not run: in memory, in files, in its state folder."""
    folders = (places.memory, places.ring_files, places.state)
    return sorted(path for folder in folders for path in folder.glob(f"*{SUFFIX}"))


def copy_ring(source: Path, target: Path) -> None:
    """Copy a ring file; the target appears only when it is whole."""
    unfinished = target.with_name(target.name + UNFINISHED)
    # Left by a supervisor that was killed in the middle of this very copy.
    unfinished.unlink(missing_ok=True)
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with source.open("rb") as old, os.fdopen(descriptor, "wb") as new:
            shutil.copyfileobj(old, new, MEGABYTE)
        faults.hit("supervisor.copy")
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)
