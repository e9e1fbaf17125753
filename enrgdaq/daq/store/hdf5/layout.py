"""How a table's columns lie in an HDF5 group.

====================== =======================================================
``GROUP/x``            one entry per row; of lists, text and bytes all items
``GROUP/_offsets/x``   of those: where rows begin; row i is x[o[i]:o[i + 1]]
``GROUP/_nulls/x``     numbers of the rows without a value
``GROUP/_origins``     where rows come from, see ``provenance.py``
``GROUP/_commits``     how many rows are right, see ``commits.py``
====================== =======================================================

Not HDF5's own variable-length types: they cannot be read while they are written, and are
ten times slower.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from enrgdaq.daq.store.columns import ColumnKind, kind_of
from enrgdaq.daq.units import unit_of
from enrgdaq.errors import StoreError

COMMITS: Final = "_commits"
OFFSETS: Final = "_offsets"
NULLS: Final = "_nulls"
ORIGINS: Final = "_origins"
SCHEMA_ATTRIBUTE: Final = "arrow_schema"
FORMAT_ATTRIBUTE: Final = "enrgdaq_format"
FORMAT_VERSION: Final = 2
_RESERVED: Final = frozenset({COMMITS, OFFSETS, NULLS, ORIGINS})
_SMALLEST_CHUNK: Final = 8 * 1024  # bytes
_LARGEST_CHUNK: Final = 1024 * 1024  # bytes; what h5py's chunk cache holds
_OFFSET_TYPE: Final = np.dtype("u8")
_CONVENTION: Final = "row i is {name}[offsets[i]:offsets[i + 1]]"


class Stream(NamedTuple):
    """One dataset that grows."""

    path: str
    dtype: "np.dtype[Any]"
    shape: tuple[int, ...]
    attributes: dict[str, str]
    column: str
    role: str
    """``values``, ``offsets``, ``nulls``, or ``origins``, which belong to no column."""


def kinds_of(schema: pa.Schema) -> dict[str, ColumnKind]:
    """Column name -> what it becomes.

    Raises :class:`StoreError` for types and names that an HDF5 group cannot hold.
    """
    for name in schema.names:
        parts = name.split("/")
        if any(part in ("", ".", "..") for part in parts) or parts[0] in _RESERVED or "\0" in name:
            raise StoreError(f"column {name!r}: HDF5 cannot have a dataset of this name")
        if any(other.startswith(f"{name}/") for other in schema.names):
            raise StoreError(f"column {name!r} is also the beginning of another column's name")
    return {field.name: kind_of(field) for field in schema}


def streams(schema: pa.Schema) -> list[Stream]:
    """The datasets of a group with these columns."""
    found = []
    for field, (name, kind) in zip(schema, kinds_of(schema).items(), strict=True):
        attributes = _meaning(field, kind)
        if kind.is_ragged:
            attributes["offsets"] = f"{OFFSETS}/{name}"
            attributes["convention"] = _CONVENTION.format(name=name)
            path = f"{OFFSETS}/{name}"
            found.append(Stream(path, _OFFSET_TYPE, (), {"of": name}, name, "offsets"))
        if field.nullable:
            attributes["nulls"] = f"{NULLS}/{name}"
            path = f"{NULLS}/{name}"
            found.append(Stream(path, _OFFSET_TYPE, (), {"of": name}, name, "nulls"))
        found.append(Stream(name, kind.dtype, kind.shape, attributes, name, "values"))
    meaning = {"content": "where rows come from: a line of JSON for each origin"}
    found.append(Stream(ORIGINS, np.dtype("u1"), (), meaning, "", "origins"))
    return found


def has_own_length(stream: Stream, kinds: dict[str, ColumnKind]) -> bool:
    """Whether the rows of the group do not tell how long a dataset is."""
    if stream.role == "values":
        return kinds[stream.column].is_ragged
    return stream.role in ("nulls", "origins")


def length_of(
    stream: Stream, rows: int, lengths: dict[str, int], kinds: dict[str, ColumnKind]
) -> int:
    """Entries of a dataset when the group has so many rows; ``lengths`` of what varies."""
    if has_own_length(stream, kinds):
        return lengths.get(stream.path, 0)
    return rows + 1 if stream.role == "offsets" else rows


def chunk_length(entries: int, entry_bytes: int) -> int:
    """Entries in a chunk, from what the first flush brings.

    About one flush to a chunk: each flush writes anew the chunk that it goes on in, so larger
    ones would be written many times, and smaller ones make a long index.
    """
    wanted = max(_SMALLEST_CHUNK, min(_LARGEST_CHUNK, entries * entry_bytes))
    # The power of two below.
    return 1 << max(0, (wanted // max(1, entry_bytes)).bit_length() - 1)


def _meaning(field: pa.Field, kind: ColumnKind) -> dict[str, str]:
    attributes = {"content": kind.content}
    unit = kind.unit or unit_of(field)
    if unit:
        attributes["units"] = unit
    if kind.content in ("time", "date"):
        attributes["since"] = "1970-01-01"
        attributes["time_zone"] = kind.zone or "none"
    return attributes
