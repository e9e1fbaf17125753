"""What the HDF5 store keeps between two flushes, group by group."""

import logging
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from enrgdaq.daq.store.columns import check_items
from enrgdaq.daq.store.hdf5.file import HDF5File
from enrgdaq.daq.store.hdf5.group import Group, create_group
from enrgdaq.daq.store.hdf5.layout import filters, kinds_of
from enrgdaq.daq.store.journal import Journal, Position
from enrgdaq.daq.store.models import DAQJobStoreConfigHDF5
from enrgdaq.transport import faults


class HDF5Place(NamedTuple):
    """A group in a file."""

    path: Path
    group: str

    def __str__(self) -> str:
        return f"{self.path} ({self.group})"


class HDF5Files:
    """The files that are open, each shared by its groups."""

    def __init__(self, log: logging.Logger, *, syncs: bool = False) -> None:
        self._log = log
        self._syncs = syncs
        self._open: dict[Path, HDF5File] = {}

    def file(self, path: Path) -> HDF5File:
        """The file at a path; not opened before its first flush."""
        if path not in self._open:
            self._open[path] = HDF5File(path, self._log, syncs=self._syncs)
        return self._open[path]

    def release(self, path: Path, group: str) -> None:
        """A group is done with."""
        if path in self._open and self._open[path].close_group(group):
            del self._open[path]


class HDF5Target:
    """Rows for one group. See :class:`enrgdaq.daq.store.files.StoreTarget`."""

    def __init__(
        self,
        place: HDF5Place,
        files: HDF5Files,
        settings: DAQJobStoreConfigHDF5,
        schema: pa.Schema,
        attributes: dict[str, str],
    ) -> None:
        kinds_of(schema)  # what no group can hold is refused before anything is kept
        self._place = place
        self._files = files
        self._settings = settings
        self._schema = schema
        self._attributes = attributes
        self._waiting: list[tuple[pa.Table, Position]] = []
        self._group: Group | None = None

    def put(self, body: pa.Table, position: Position) -> None:
        """See :class:`StoreTarget`. Raises :class:`StoreError` for rows that cannot be written."""
        check_items(body)
        self._waiting.append((body, position))

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
        fresh = [(rows, position) for rows, position in self._waiting if not marks.has(position)]
        if fresh:
            faults.hit("store.rows")
            file.write(group, pa.concat_tables([rows for rows, _ in fresh]))
            file.flush()
            faults.hit("store.journal")
            for _, position in fresh:
                marks.note(position)
            marks.forget_rings(known_rings)
            group.note(file.descriptor, marks.watermarks)
            file.sync()
        self._waiting.clear()

    def close(self) -> None:
        """See :class:`StoreTarget`."""
        self._group = None
        self._files.release(self._place.path, self._place.group)

    def _create(self, file: Any) -> None:
        first = pa.concat_tables([rows for rows, _ in self._waiting])
        create_group(file, self._place.group, first, self._attributes, filters(self._settings), {})
