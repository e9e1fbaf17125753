"""To the disk itself, past the kernel's memory: what a power cut cannot take back."""

import os
from pathlib import Path


def sync_path(path: Path) -> None:
    """A file's content, or the names in a folder. Raises ``OSError``."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path, *, syncs: bool) -> None:
    """Make a folder and those above it; with ``syncs`` their names survive a power cut."""
    if path.is_dir():
        return
    make_folder(path.parent, syncs=syncs)
    path.mkdir(exist_ok=True)
    if syncs:
        sync_path(path.parent)
