"""Reads lists, text and missing values of the groups that the HDF5 store writes.

For files that are complete, and for files that are being written: open those with
``h5py.File(path, "r", swmr=True)`` and call again for more rows.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from enrgdaq.daq.store.hdf5.commits import newest_first
from enrgdaq.daq.store.hdf5.layout import COMMITS, NULLS, OFFSETS, ORIGINS
from enrgdaq.daq.store.provenance import from_lines


def committed_rows(group: Any) -> int:
    """Rows that are right in all columns of an ``h5py.Group``."""
    return newest_first(_fresh(group[COMMITS])[()])[0].rows


def read_values(group: Any, name: str) -> NDArray[Any]:
    """A column of numbers, booleans or times: shape (rows,), or (rows, items of a row)."""
    rows = committed_rows(group)
    values: NDArray[Any] = _fresh(group[name])[:rows]
    return values


def read_lists(group: Any, name: str) -> list[NDArray[Any]]:
    """A column of lists: one array per row."""
    offsets = _fresh(group[OFFSETS][name])[: committed_rows(group) + 1]
    return np.split(_fresh(group[name])[: offsets[-1]], offsets[1:-1]) if len(offsets) > 1 else []


def read_texts(group: Any, name: str) -> list[str]:
    """A column of text: one string per row."""
    return [bytes(row).decode() for row in read_lists(group, name)]


def read_null_rows(group: Any, name: str) -> NDArray[np.uint64]:
    """Numbers of the rows in which a column has no value, in order."""
    rows = committed_rows(group)
    nulls: NDArray[np.uint64] = _fresh(group[NULLS][name])[()]
    return nulls[nulls < rows]


def read_origins(group: Any) -> list[dict[str, str | int]]:
    """Where rows come from: job, file, text and run, each with the first row that is of it."""
    return [row.in_words() for row in from_lines(_fresh(group[ORIGINS])[()].tobytes())]


def _fresh(dataset: Any) -> Any:
    # A reader of a growing file sees the lengths of when it opened the dataset.
    if dataset.file.swmr_mode:
        dataset.refresh()
    return dataset
