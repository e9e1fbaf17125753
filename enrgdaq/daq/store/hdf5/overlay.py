"""Changes to a file that happen as a whole or not at all.

HDF5 changes a file's structure in many writes; killed between two of them, it leaves a file
that nobody can open. So cutting a crashed file back, and adding a group to a file with data,
are done on an overlay in memory. What has changed is then written to a redo file beside it
(renamed into place: whole or not there), from there into the file, and the redo file is
removed. Whoever finds a redo file writes it again.
"""

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any, Final

from enrgdaq.daq.store.hdf5.superblock import SUPERBLOCK_BYTES, repaired
from enrgdaq.daq.store.syncing import sync_path

_PAGE: Final = 4096  # changes are kept by whole pages
_HEADER: Final = struct.Struct("<8sQQQI")  # magic, inode, file length, pages, crc of what follows
_MAGIC: Final = b"ENRGREDO"
_NUMBER: Final = struct.Struct("<Q")


class Overlay(io.RawIOBase):
    """A file as it would be after a repair and further changes; for h5py's file-like driver.

    Raises ``OSError`` when the file itself cannot be read; :attr:`read_error` keeps it, since
    HDF5 answers with an error of its own.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.read_error: OSError | None = None
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        found = os.fstat(self._descriptor)
        self._inode = found.st_ino
        self._disk_length = self._length = found.st_size
        self._pages: dict[int, bytearray] = {}
        self._at = 0
        self._load_redo()
        self._repair()

    def save(self, *, syncs: bool) -> None:
        """Make the changes durable in the file. Raises ``OSError``; can be called again."""
        changed = {
            number: page for number, page in self._pages.items() if page != self._disk_page(number)
        }
        if not changed and self._length == self._disk_length:
            redo_path(self.path).unlink(missing_ok=True)
            return
        self._write_redo(changed, syncs=syncs)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            for number, page in changed.items():
                os.pwrite(descriptor, page, number * _PAGE)
            os.ftruncate(descriptor, self._length)
            if syncs:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        redo_path(self.path).unlink()

    def close(self) -> None:
        """Let go of the file; idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        super().close()

    def readable(self) -> bool:
        """It is."""
        return True

    def writable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next read or write begins."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """See ``io.RawIOBase``."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """See ``io.RawIOBase``."""
        target = memoryview(buffer).cast("B")
        wanted = min(len(target), max(0, self._length - self._at))
        done = 0
        while done < wanted:
            number, begin = divmod(self._at, _PAGE)
            piece = self._page(number)[begin : begin + wanted - done]
            target[done : done + len(piece)] = piece
            done += len(piece)
            self._at += len(piece)
        return done

    def write(self, data: Any) -> int:
        """See ``io.RawIOBase``."""
        source = memoryview(data).cast("B")
        done = 0
        while done < len(source):
            number, begin = divmod(self._at, _PAGE)
            count = min(_PAGE - begin, len(source) - done)
            page = self._pages.setdefault(number, bytearray(self._page(number)))
            page[begin : begin + count] = source[done : done + count]
            done += count
            self._at += count
        self._length = max(self._length, self._at)
        return done

    def truncate(self, size: int | None = None) -> int:
        """See ``io.RawIOBase``."""
        self._length = self._at if size is None else size
        self._pages = {n: page for n, page in self._pages.items() if n * _PAGE < self._length}
        return self._length

    def _page(self, number: int) -> bytes | bytearray:
        found = self._pages.get(number)
        return self._disk_page(number) if found is None else found

    def _disk_page(self, number: int) -> bytes:
        try:
            return os.pread(self._descriptor, _PAGE, number * _PAGE).ljust(_PAGE, b"\0")
        except OSError as error:
            self.read_error = error
            raise

    def _repair(self) -> None:
        found = repaired(bytes(self._page(0)[:SUPERBLOCK_BYTES]), self._length)
        if found is None:
            return
        superblock, length = found
        if superblock != self._page(0)[:SUPERBLOCK_BYTES]:
            self.write(superblock)
            self.seek(0)
        self._length = max(self._length, length)

    def _write_redo(self, pages: dict[int, bytearray], *, syncs: bool) -> None:
        body = b"".join(_NUMBER.pack(number) + page for number, page in pages.items())
        header = _HEADER.pack(_MAGIC, self._inode, self._length, len(pages), zlib.crc32(body))
        unfinished = redo_path(self.path).with_suffix(".new")
        with unfinished.open("wb") as file:
            file.write(header + body)
            if syncs:
                file.flush()
                os.fsync(file.fileno())
        unfinished.replace(redo_path(self.path))
        if syncs:
            sync_path(self.path.parent)

    def _load_redo(self) -> None:
        try:
            data = redo_path(self.path).read_bytes()
        except FileNotFoundError:
            return
        if len(data) < _HEADER.size:
            return
        magic, inode, length, count, crc = _HEADER.unpack_from(data)
        body = data[_HEADER.size :]
        # Of another file: somebody has put one in this one's place since.
        if magic != _MAGIC or inode != self._inode or zlib.crc32(body) != crc:
            return
        step = _NUMBER.size + _PAGE
        for begin in range(0, count * step, step):
            (number,) = _NUMBER.unpack_from(body, begin)
            self._pages[number] = bytearray(body[begin + _NUMBER.size : begin + step])
        self._length = length


def redo_path(path: Path) -> Path:
    """``.name.redo`` beside the data file."""
    return path.with_name(f".{path.name}.redo")
