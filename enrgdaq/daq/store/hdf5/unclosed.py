"""Which files are open for writing, so that the next start mends what a crash has left.

A file is mended too when rows come for it again. But those of a crash may have been the last
ones, and already durable: then nobody would write there any more, and no reader opens a file
that says that it is being written.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

_NAME: Final = ".hdf5-files-in-use"


class UnclosedFiles:
    """A list beside the files. It may name more than are open, and never less."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / _NAME

    def read(self) -> list[Path]:
        """What is listed and still there."""
        try:
            names = msgspec.json.decode(self._path.read_bytes(), type=list[str])
        except (FileNotFoundError, msgspec.MsgspecError):
            # A power cut may have spoiled it; files are mended all the same when rows come.
            return []
        # Only files of this folder: the list may be anybody's who may write here.
        inside = [name for name in names if not {"/", ".."} & set(Path(name).parts)]
        return [path for name in inside if (path := self._folder / name).is_file()]

    def write(self, paths: Iterable[Path]) -> None:
        """List these. Raises ``OSError``."""
        # Names from the folder on, since data is moved and mounted elsewhere.
        names = sorted(os.path.relpath(path, self._folder) for path in paths)
        if not names:
            self._path.unlink(missing_ok=True)
            return
        unfinished = self._path.with_name(f"{_NAME}.new")
        self._folder.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(msgspec.json.encode(names))
        unfinished.replace(self._path)
