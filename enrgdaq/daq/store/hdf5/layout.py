"""How a table's columns lie in an HDF5 group.

====================== =======================================================
``GROUP/x``            one entry per row; of lists, text and bytes all items
``GROUP/_offsets/x``   of those: where rows begin; row i is x[o[i]:o[i + 1]]
``GROUP/_nulls/x``     numbers of the rows without a value
``GROUP/_commits``     how many rows are right, see ``commits.py``
====================== =======================================================

Not HDF5's own variable-length types: they cannot be read while they are written, and are
ten times slower.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from enrgdaq.daq.store.columns import ColumnKind, kind_of
from enrgdaq.daq.store.models import DAQJobStoreConfigHDF5
from enrgdaq.errors import StoreError

COMMITS: Final = "_commits"
OFFSETS: Final = "_offsets"
NULLS: Final = "_nulls"
SCHEMA_ATTRIBUTE: Final = "arrow_schema"
FORMAT_ATTRIBUTE: Final = "enrgdaq_format"
FORMAT_VERSION: Final = 1
_RESERVED: Final = frozenset({COMMITS, OFFSETS, NULLS})
_SMALLEST_CHUNK: Final = 8 * 1024  # bytes
_LARGEST_CHUNK: Final = 1024 * 1024  # bytes; what h5py's chunk cache holds
_OFFSET_TYPE: Final = np.dtype("u8")
_CONVENTION: Final = "row i is {name}[offsets[i]:offsets[i + 1]]"
_ZSTD_FILTER: Final = 32015  # registered with The HDF Group


class Stream(NamedTuple):
    """One dataset that grows."""

    path: str
    dtype: "np.dtype[Any]"
    shape: tuple[int, ...]
    attributes: dict[str, str]
    column: str
    role: str
    """``values``, ``offsets`` or ``nulls``."""


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
    return found


def length_of(stream: Stream, rows: int, lengths: dict[str, int], kind: ColumnKind) -> int:
    """Entries of a dataset when the group has so many rows; ``lengths`` of what varies."""
    if stream.role == "offsets":
        return rows + 1
    if stream.role == "nulls" or kind.is_ragged:
        return lengths.get(stream.path, 0)
    return rows


def chunk_length(entries: int, entry_bytes: int) -> int:
    """Entries in a chunk, from what the first flush brings.

    About one flush to a chunk: each flush writes anew the chunk that it goes on in, so larger
    ones would be written many times, and smaller ones make a long index.
    """
    wanted = max(_SMALLEST_CHUNK, min(_LARGEST_CHUNK, entries * entry_bytes))
    # The power of two below.
    return 1 << max(0, (wanted // max(1, entry_bytes)).bit_length() - 1)


def filters(settings: DAQJobStoreConfigHDF5) -> dict[str, Any]:
    """h5py's arguments for the compression that is asked for."""
    level = settings.compression_level
    if settings.compression == "none":
        return {}
    if settings.compression == "gzip":
        return {
            "shuffle": True,
            "compression": "gzip",
            "compression_opts": 4 if level is None else level,
        }
    if settings.compression == "lzf":
        return {"shuffle": True, "compression": "lzf"}
    import hdf5plugin  # noqa: F401 - registers the filter

    options = (3 if level is None else level,)
    return {"shuffle": True, "compression": _ZSTD_FILTER, "compression_opts": options}


def _meaning(field: pa.Field, kind: ColumnKind) -> dict[str, str]:
    attributes = {"content": kind.content}
    metadata = field.metadata or {}
    unit = metadata.get(b"unit") or metadata.get(b"units")
    if unit:
        attributes["unit"] = unit.decode(errors="replace")
    if kind.unit:
        attributes["unit"] = kind.unit
    if kind.content in ("time", "date"):
        attributes["since"] = "1970-01-01"
        attributes["time_zone"] = kind.zone or "none"
    return attributes
