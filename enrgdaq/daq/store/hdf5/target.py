"""What the HDF5 store keeps between two flushes, group by group."""

import contextlib
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from enrgdaq.daq.origins import Origin
from enrgdaq.daq.store.columns import check_values, columns_to_check
from enrgdaq.daq.store.hdf5.codecs import codec_attributes, filters
from enrgdaq.daq.store.hdf5.file import HDF5File, mend
from enrgdaq.daq.store.hdf5.group import Group, create_group
from enrgdaq.daq.store.hdf5.layout import kinds_of
from enrgdaq.daq.store.hdf5.unclosed import UnclosedFiles
from enrgdaq.daq.store.journal import Journal, Position
from enrgdaq.daq.store.models import DAQJobStoreConfigHDF5
from enrgdaq.daq.store.provenance import Rows, together, unseen
from enrgdaq.daq.store.reserve import give_back
from enrgdaq.errors import StoreError
from enrgdaq.transport import faults


class HDF5Place(NamedTuple):
    """A group in a file."""

    path: Path
    group: str

    def __str__(self) -> str:
        return f"{self.path} ({self.group})"


def check_groups(place: HDF5Place, others: Iterable[HDF5Place]) -> None:
    """Raise :class:`StoreError` for a group that lies in another one of its file, or around it."""
    for other in others:
        inner, outer = sorted((place.group, other.group), key=len, reverse=True)
        if place.path == other.path and inner.startswith(f"{outer}/"):
            raise StoreError(
                f"{place.path}: {inner!r} would lie among the columns of {outer!r}; use names"
                " neither of which is the beginning of the other"
            )


class HDF5Files:
    """The files that are open, each shared by its groups."""

    def __init__(
        self, log: logging.Logger, *, syncs: bool = False, folder: Path | None = None
    ) -> None:
        """``folder``: where it is noted which files are open, for :meth:`mend_unclosed`."""
        self._log = log
        self._syncs = syncs
        self._unclosed = UnclosedFiles(folder) if folder is not None else None
        self._open: dict[Path, HDF5File] = {}
        self._left: list[Path] | None = None
        """What an earlier life left open and nobody has mended yet; ``None``: not looked."""

    def file(self, path: Path) -> HDF5File:
        """The file at a path; not opened before its first flush."""
        if path not in self._open:
            self._note(path)
            self._open[path] = HDF5File(path, self._log, syncs=self._syncs)
        return self._open[path]

    def release(self, path: Path, group: str) -> None:
        """A group is done with."""
        if path in self._open and self._open[path].close_group(group):
            del self._open[path]
            with contextlib.suppress(OSError):  # it may name more than are open
                self._note()

    def mend_unclosed(self) -> None:
        """Mend what an earlier life has left open, so that it can be read. Raises ``OSError``.

        What cannot be mended is left: when rows come for it, it is set aside.
        """
        for path in [*self._files_left()]:
            if path not in self._open:
                try:
                    mend(path, syncs=self._syncs)
                except StoreError as error:
                    self._log.warning("%s was not closed and cannot be mended: %s", path, error)
                else:
                    give_back(path)
            self._files_left().remove(path)
            self._note()

    def _files_left(self) -> list[Path]:
        if self._left is None:
            self._left = self._unclosed.read() if self._unclosed is not None else []
        return self._left

    def _note(self, *more: Path) -> None:
        if self._unclosed is not None:
            self._unclosed.write({*self._open, *self._files_left(), *more})


class HDF5Target:
    """Rows for one group. See :class:`enrgdaq.daq.store.files.StoreTarget`."""

    def __init__(
        self,
        place: HDF5Place,
        files: HDF5Files,
        settings: DAQJobStoreConfigHDF5,
        schema: pa.Schema,
        attributes: dict[str, str],
        origin: Callable[[], Origin],
    ) -> None:
        """``attributes`` of the group if it is new; ``origin`` of the rows at hand."""
        kinds_of(schema)  # what no group can hold is refused before anything is kept
        self._place = place
        self._files = files
        self._settings = settings
        self._schema = schema
        self._checked = columns_to_check(schema)
        self._attributes = attributes
        self._origin = origin
        self._waiting: list[Rows] = []
        self._group: Group | None = None

    def check(self, body: pa.Table) -> None:
        """See :class:`StoreTarget`."""
        check_values(body, self._checked)

    def put(self, body: pa.Table, position: Position) -> None:
        """See :class:`StoreTarget`."""
        self._waiting.append(Rows(body, position, self._origin()))

    def flush(self, known_rings: set[str]) -> None:
        """See :class:`StoreTarget`. What a replay brings a second time is dropped."""
        if not self._waiting:
            return
        file = self._files.file(self._place.path)
        group = self._group
        if group is None:
            group = self._group = file.open_group(self._place.group, self._schema, self._create)
        file.ensure_open()
        marks = Journal(watermarks=dict(group.commit.watermarks))
        fresh = [rows for rows in self._waiting if not marks.has(rows.position)]
        if fresh:
            faults.hit("store.rows")
            origins = unseen(group.origins, fresh, group.commit.rows)
            file.write(group, together(fresh), origins)
            file.flush()
            faults.hit("store.journal")
            for rows in fresh:
                marks.note(rows.position)
            marks.forget_rings(known_rings)
            group.note(file.descriptor, marks.watermarks)
            file.sync()
        self._waiting.clear()

    def close(self) -> None:
        """See :class:`StoreTarget`."""
        self._group = None
        self._files.release(self._place.path, self._place.group)

    def _create(self, file: Any) -> None:
        create_group(
            file,
            self._place.group,
            self._schema,
            together(self._waiting),
            {**self._attributes, **codec_attributes(self._settings)},
            filters(self._settings),
        )
