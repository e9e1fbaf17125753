"""One HDF5 file: made, mended, read by others while it grows, closed."""

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from enrgdaq.daq.store.columns import buffer_bytes
from enrgdaq.daq.store.hdf5.codecs import CODEC_ATTRIBUTE, load_codec
from enrgdaq.daq.store.hdf5.group import Group, cut_back, newest_commit, schema_of
from enrgdaq.daq.store.hdf5.layout import COMMITS, FORMAT_ATTRIBUTE, FORMAT_VERSION
from enrgdaq.daq.store.hdf5.overlay import Overlay, redo_path
from enrgdaq.daq.store.provenance import OriginRow
from enrgdaq.daq.store.reserve import give_back, reserve
from enrgdaq.daq.store.syncing import make_folder, sync_path
from enrgdaq.errors import EnrgdaqError, StoreError
from enrgdaq.transport import faults

_LIBRARY_VERSIONS: Final = ("v110", "v110")  # what Debian's h5dump can read
_PAGES: Final = {"fs_strategy": "page", "fs_page_size": 4096}  # metadata is not torn by a kill
_SLACK: Final = 1 << 20  # bytes; for metadata
# What HDF5 raises for files that are not as they should be.
_FAULTS: Final = (OSError, RuntimeError, KeyError, ValueError)


class BrokenFileError(StoreError):
    """The file's structure cannot be read, however often it is tried."""


class ForeignFileError(StoreError):
    """An HDF5 file, or a group in it, that some other program has made."""


class HDF5WriteError(EnrgdaqError):
    """HDF5 could not write, and what it holds in memory is lost or wrong.

    Measured: going on with the file, or closing it, loses rows or crashes the process. The
    file on disk is as good as after a kill; so the job ends, and its next life mends it.
    """


class HDF5File:
    """A file with any number of groups, in SWMR mode: h5py reads it while it grows."""

    def __init__(self, path: Path, log: logging.Logger, *, syncs: bool = False) -> None:
        """Does not open anything. ``syncs``: what was flushed survives a power cut."""
        self.path = path
        self._log = log
        self._syncs = syncs
        self._file: Any = None
        self._descriptor = -1
        self._has_failed = False
        self._reserved = 0
        self._groups: dict[str, Group] = {}

    def open_group(self, name: str, schema: pa.Schema, create: Callable[[Any], None]) -> Group:
        """The group, made by ``create(file)`` where it is not there yet.

        Raises ``OSError`` and :class:`StoreError`.
        """
        self._close_file()
        make_folder(self.path.parent, syncs=self._syncs)
        if not self.path.exists() or self.path.stat().st_size == 0:
            self._make(create)
        else:
            try:
                self._mend(name, create)
            except BrokenFileError as error:
                self._set_aside(error)
                self._make(create)
        group = Group(name, schema)
        self._groups[name] = group
        self._open()
        return group

    def ensure_open(self) -> None:
        """Open the file again where an attempt with it has failed."""
        if self._file is None:
            self._open()

    def write(self, group: Group, rows: pa.Table, origins: list[OriginRow]) -> None:
        """Write rows; they count after :meth:`flush` and the group's commit.

        Raises ``OSError`` for a full disk, before anything is written.
        """
        self._reserve(2 * buffer_bytes(rows) + group.chunk_bytes + _SLACK)
        try:
            group.write(rows, origins)
        except _FAULTS as error:
            raise self._failure(error) from error

    def flush(self) -> None:
        """Hand all that was written to the kernel, and to the disk if asked to."""
        try:
            self._file.flush()
        except _FAULTS as error:
            raise self._failure(error) from error
        self.sync()

    def sync(self) -> None:
        """To the disk, if asked to."""
        if self._syncs:
            os.fsync(self._descriptor)

    @property
    def descriptor(self) -> int:
        """For writing commits."""
        return self._descriptor

    def close_group(self, name: str) -> bool:
        """Let go of a group, and of the file with the last one; whether it was that."""
        self._groups.pop(name, None)
        if not self._groups:
            self._close_file()
        return not self._groups

    def _reserve(self, count: int) -> None:
        end = os.fstat(self._descriptor).st_size
        if end + count > self._reserved:
            reserve(self._descriptor, self.path, end, 2 * count)
            self._reserved = end + 2 * count

    def _failure(self, error: BaseException) -> Exception:
        """What to raise for a write that HDF5 could not do."""
        self._has_failed = True
        return HDF5WriteError(f"{self.path}: {error}; starting anew from what is durable")

    def _open(self) -> None:
        import h5py

        # Without locks: a notebook that has the file open must not hold up data taking. That
        # only one store writes here is assured by the lock of its folder.
        try:
            self._file = h5py.File(self.path, "r+", libver=_LIBRARY_VERSIONS, locking=False)
            for group in self._groups.values():
                group.bind(self._file)
            self._file.swmr_mode = True
        except _FAULTS as error:
            self._close_file()
            raise StoreError(f"{self.path}: {error}") from error
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        self._reserved = 0

    def _close_file(self) -> None:
        if self._has_failed:
            # Closing would write what is wrong, or crash. The process ends now.
            return
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._file is not None:
            file, self._file = self._file, None
            try:
                file.close()
            except _FAULTS as error:
                raise self._failure(error) from error
            give_back(self.path)
            if self._syncs:
                sync_path(self.path)

    def _make(self, create: Callable[[Any], None]) -> None:
        import h5py

        unfinished = self.path.with_name(f".{self.path.name}.new")
        try:
            with h5py.File(
                unfinished, "w", libver=_LIBRARY_VERSIONS, locking=False, **_PAGES
            ) as file:
                file.attrs[FORMAT_ATTRIBUTE] = FORMAT_VERSION
                create(file)
        except _FAULTS as error:
            raise StoreError(f"{unfinished}: {error}") from error
        redo_path(self.path).unlink(missing_ok=True)
        if self._syncs:
            sync_path(unfinished)
        unfinished.replace(self.path)
        if self._syncs:
            sync_path(self.path.parent)

    def _mend(self, name: str, create: Callable[[Any], None]) -> None:
        """Mend the file, and add the group if it is new."""

        def add(file: Any) -> None:
            if name not in file:
                create(file)

        mend(self.path, add, syncs=self._syncs)

    def _set_aside(self, error: BrokenFileError) -> None:
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.broken{number}")).exists():
            number += 1
        self.path.rename(aside)
        redo_path(self.path).unlink(missing_ok=True)
        if self._syncs:
            sync_path(self.path.parent)
        self._log.error(
            "%s: cannot be read any more (%s); it was kept as %s, and a new file begins",
            self.path,
            error,
            aside,
        )


def mend(path: Path, add: Callable[[Any], None] | None = None, *, syncs: bool = False) -> None:
    """Cut every group of a file back to what is durable in it, and end a crashed writing.

    ``add`` is called with the file before. Raises as :meth:`HDF5File.open_group`.
    """
    with _overlaid(path) as (overlay, file):
        for group in _own_groups(file):
            load_codec(group.attrs[CODEC_ATTRIBUTE])  # its lack breaks no file
            try:
                cut_back(group, schema_of(group))
            except StoreError as error:
                raise BrokenFileError(str(error)) from error
        if add is not None:
            add(file)
        file.close()
        faults.hit("store.recover")
        overlay.save(syncs=syncs)


@contextlib.contextmanager
def _overlaid(path: Path) -> Iterator[tuple[Overlay, Any]]:
    """An overlay and its h5py file, open for writing whatever the file itself says.

    Raises ``OSError`` for what may be better later, :class:`BrokenFileError` for what will not.
    """
    import h5py

    with contextlib.closing(Overlay(path)) as overlay:
        try:
            with h5py.File(overlay, "r+", libver=_LIBRARY_VERSIONS) as file:
                if file.attrs.get(FORMAT_ATTRIBUTE) != FORMAT_VERSION:
                    raise ForeignFileError(f"{path} was not written by this store")
                yield overlay, file
        except _FAULTS as error:
            if overlay.read_error is not None:
                raise overlay.read_error from error
            # The kernel's errors have numbers, those of HDF5 have none.
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise BrokenFileError(str(error)) from error


def schema_in(path: Path, name: str) -> pa.Schema | None:
    """The columns of a group, also in a file that a crash has left; ``None`` for nothing.

    Changes nothing. Raises :class:`ForeignFileError`, ``OSError``, and
    :class:`BrokenFileError`.
    """
    if not path.exists() or path.stat().st_size == 0:
        return None
    with _overlaid(path) as (_, file):
        for outer in _around(name):
            if outer in file and COMMITS in file[outer]:
                raise ForeignFileError(f"{path}: {name} would lie among the columns of {outer}")
        if name not in file:
            return None
        try:
            return schema_of(file[name])
        except StoreError as error:
            raise ForeignFileError(f"{path}: {error}") from error


def marks_in(path: Path) -> dict[str, dict[str, int]]:
    """Group -> ring -> position up to which its records are in the file. Changes nothing.

    Raises ``OSError`` and :class:`StoreError`.
    """
    if not path.exists():
        return {}
    with _overlaid(path) as (_, file):
        return {
            group.name.strip("/"): newest_commit(group).watermarks for group in _own_groups(file)
        }


def _around(name: str) -> list[str]:
    """Groups that a group lies in: of ``a/b/c`` these are ``a`` and ``a/b``."""
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _own_groups(file: Any) -> list[Any]:
    """All groups with rows, however deep."""
    import h5py

    found: list[Any] = []

    def visit(_: str, item: Any) -> None:
        if isinstance(item, h5py.Group) and COMMITS in item:
            found.append(item)

    file.visititems(visit)
    return found
