"""The rows of one table in an HDF5 file."""

import os
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from enrgdaq.daq.origins import Origin
from enrgdaq.daq.store.columns import FlatColumn, flatten
from enrgdaq.daq.store.hdf5.codecs import CODEC_ATTRIBUTE, load_codec
from enrgdaq.daq.store.hdf5.commits import SLOTS, Commit, newest_first, packed, slot_bytes
from enrgdaq.daq.store.hdf5.layout import (
    COMMITS,
    ORIGINS,
    SCHEMA_ATTRIBUTE,
    Stream,
    chunk_length,
    has_own_length,
    kinds_of,
    length_of,
    streams,
)
from enrgdaq.daq.store.provenance import OriginRow, as_lines, from_lines
from enrgdaq.errors import StoreError


class Group:
    """A group's datasets, and how far they are right.

    Rows are written behind those of the newest commit, wherever an attempt that failed may
    have left the datasets' ends, so a flush can be tried again.
    """

    def __init__(self, name: str, schema: pa.Schema) -> None:
        self.name = name
        self.schema = schema
        self.commit = Commit(number=0, rows=0, lengths={}, watermarks={})
        self.origins: set[Origin] = set()
        """Those that the group names already."""
        self._kinds = kinds_of(schema)
        self._streams = streams(schema)
        self._datasets: list[Any] = []
        self._commits_at = 0
        self._slot_bytes = 0
        self._chunk_bytes = 0
        self._new: Commit | None = None
        self._new_origins: list[OriginRow] = []

    @property
    def chunk_bytes(self) -> int:
        """Size of one chunk of every dataset: what a single row may add to the file."""
        return self._chunk_bytes

    def bind(self, file: Any) -> None:
        """Take the datasets of a file that was opened just now."""
        group = file[self.name]
        load_codec(group.attrs[CODEC_ATTRIBUTE])
        self._datasets = [group[stream.path] for stream in self._streams]
        self._chunk_bytes = sum(
            int(np.prod(dataset.chunks)) * dataset.dtype.itemsize for dataset in self._datasets
        )
        self._commits_at = group[COMMITS].id.get_offset()
        self._slot_bytes = group[COMMITS].shape[1]
        self.commit = newest_fitting(group, self._streams, self._kinds)
        lines = group[ORIGINS][: self.commit.lengths.get(ORIGINS, 0)].tobytes()
        self.origins = {line.origin for line in from_lines(lines)}

    def write(self, rows: pa.Table, origins: list[OriginRow]) -> None:
        """Write rows behind the last commit's; they count with the next :meth:`note`.

        ``origins``: those of the rows that are not in :attr:`origins` yet.
        """
        before = self.commit
        lengths = dict(before.lengths)
        columns: dict[str, FlatColumn] = {}
        for stream, dataset in zip(self._streams, self._datasets, strict=True):
            name = stream.column
            if stream.role == "origins":
                values = np.frombuffer(as_lines(origins), np.uint8)
            else:
                if name not in columns:
                    columns[name] = flatten(rows.column(name), self._kinds[name])
                values = _entries(stream, columns[name], before)
            begin = length_of(stream, before.rows, before.lengths, self._kinds)
            _write_at(dataset, begin, values)
            if has_own_length(stream, self._kinds):
                lengths[stream.path] = begin + len(values)
        self._new_origins = origins
        self._new = Commit(
            number=before.number + 1,
            rows=before.rows + rows.num_rows,
            lengths=lengths,
            watermarks={},
        )

    def note(self, descriptor: int, watermarks: dict[str, int]) -> None:
        """Make what was written count. Only after HDF5 has flushed the file."""
        if self._new is None:
            return
        new = Commit(
            number=self._new.number,
            rows=self._new.rows,
            lengths=self._new.lengths,
            watermarks=watermarks,
        )
        data = packed(new, self._slot_bytes)
        place = self._commits_at + new.slot() * self._slot_bytes
        if os.pwrite(descriptor, data, place) != len(data):
            raise OSError("the commit was written in part only")
        self.commit = new
        self._new = None
        self.origins.update(row.origin for row in self._new_origins)


def create_group(
    file: Any,
    name: str,
    schema: pa.Schema,
    first: pa.Table,
    attributes: dict[str, str],
    filters: dict[str, Any],
) -> None:
    """Make an empty group; the size of its first rows decides the chunks."""
    kinds = kinds_of(schema)
    group = file.create_group(name)
    for key, text in attributes.items():
        group.attrs[key] = text
    group.attrs[SCHEMA_ATTRIBUTE] = np.void(schema.serialize().to_pybytes())
    for stream in streams(schema):
        entries = first.num_rows
        if stream.role == "values" and kinds[stream.column].is_ragged:
            entries = len(flatten(first.column(stream.column), kinds[stream.column]).values)
        entry_bytes = int(stream.dtype.itemsize * np.prod(stream.shape, dtype=int))
        dataset = group.create_dataset(
            stream.path,
            shape=(1 if stream.role == "offsets" else 0, *stream.shape),
            maxshape=(None, *stream.shape),
            dtype=stream.dtype,
            chunks=(chunk_length(entries, entry_bytes), *stream.shape),
            **filters,
        )
        for key, text in stream.attributes.items():
            dataset.attrs[key] = text
    size = slot_bytes(s.path for s in streams(schema) if has_own_length(s, kinds))
    slots = np.zeros((SLOTS, size), np.uint8)
    first_commit = packed(Commit(number=0, rows=0, lengths={}, watermarks={}), size)
    slots[0, : len(first_commit)] = np.frombuffer(first_commit, np.uint8)
    # Neither chunked nor growing: it has one place in the file for good.
    group.create_dataset(COMMITS, data=slots)


def cut_back(group: Any, schema: pa.Schema) -> None:
    """Shorten a group's datasets to its newest commit. Raises :class:`StoreError` for none."""
    kinds, found = kinds_of(schema), streams(schema)
    commit = newest_fitting(group, found, kinds)
    for stream in found:
        dataset = group[stream.path]
        length = length_of(stream, commit.rows, commit.lengths, kinds)
        if dataset.shape[0] != length:
            dataset.resize(length, axis=0)


def schema_of(group: Any) -> pa.Schema:
    """The columns of a group. Raises :class:`StoreError` for one that is not ours."""
    if SCHEMA_ATTRIBUTE not in group.attrs or COMMITS not in group:
        raise StoreError(f"group {group.name} was not written by ENRGDAQ")
    return pa.ipc.read_schema(pa.py_buffer(group.attrs[SCHEMA_ATTRIBUTE].tobytes()))


def newest_commit(group: Any) -> Commit:
    """The newest commit of a group that is closed. Raises :class:`StoreError`."""
    schema = schema_of(group)
    return newest_fitting(group, streams(schema), kinds_of(schema))


def newest_fitting(group: Any, found: list[Stream], kinds: dict[str, Any]) -> Commit:
    """The newest commit whose rows are all there. Raises :class:`StoreError` for none."""
    there = {stream.path: group[stream.path].shape[0] for stream in found}
    for commit in newest_first(group[COMMITS][()]):
        wanted = (
            (stream.path, length_of(stream, commit.rows, commit.lengths, kinds)) for stream in found
        )
        if all(there[path] >= length for path, length in wanted):
            return commit
    raise StoreError(f"group {group.name} has no commit that fits its datasets")


def _entries(stream: Stream, column: FlatColumn, before: Commit) -> NDArray[Any]:
    if stream.role == "offsets":
        assert column.offsets is not None  # noqa: S101 - ragged columns have them
        return column.offsets[1:] + before.lengths.get(stream.column, 0)
    if stream.role == "nulls":
        return column.nulls + np.uint64(before.rows)
    return column.values


def _write_at(dataset: Any, begin: int, values: NDArray[Any]) -> None:
    end = begin + len(values)
    if dataset.shape[0] < end:
        dataset.resize(end, axis=0)
    if len(values):
        dataset[begin:end] = values
