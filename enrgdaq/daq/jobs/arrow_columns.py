"""Numpy arrays, as HDF5 and ROOT files give them, as Arrow arrays."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from enrgdaq.errors import ConfigurationError

Columns = list[tuple[str, Any]]


def arrow_columns(name: str, values: "np.ndarray[Any, Any]") -> Columns:
    """The Arrow arrays for one numpy array; one row per entry of its first axis.

    - numbers keep their type and sign, in the byte order of this machine;
    - further axes become (nested) fixed-size lists;
    - byte strings and text become UTF-8 text, bytes that are no UTF-8 shown as ``\\xNN``;
    - arrays of objects hold text, or arrays of different lengths, which become lists;
    - the fields of a compound type become columns, those of a compound within it with
      dotted names.

    Raises ``ConfigurationError`` for types that Arrow does not have.
    """
    if values.dtype.names:
        prefix = f"{name}." if name else ""
        return [
            column
            for field in values.dtype.names
            for column in arrow_columns(f"{prefix}{field}", values[field])
        ]
    return [(name, _array(name, values))]


def _array(name: str, values: "np.ndarray[Any, Any]") -> Any:
    if values.ndim > 1:
        return _fixed_size_lists(name, values)
    kind = values.dtype.kind
    if kind in "iufb" and values.dtype.itemsize <= 8:
        native = values.dtype.newbyteorder("=")
        return pa.array(np.ascontiguousarray(values, dtype=native))
    if kind == "S":
        return pa.array([_text(value) for value in values.tolist()], pa.string())
    if kind in "UT":
        return pa.array(values.tolist(), pa.string())
    if kind == "V":
        return pa.array([bytes(value) for value in values], pa.binary(values.dtype.itemsize))
    if kind == "O":
        return _objects(name, values)
    raise ConfigurationError(
        f"column {name!r} has type {values.dtype}, which has no Arrow type; "
        "leave it out with columns = [...]"
    )


def _fixed_size_lists(name: str, values: "np.ndarray[Any, Any]") -> Any:
    *outer, size = values.shape
    flat = values.reshape(-1)
    if size == 0:
        # Arrow cannot tell the number of lists from their (no) values.
        inner = pa.list_(_array(name, flat).type)
        lists = pa.array([[]] * int(np.prod(outer)), inner)
    else:
        lists = pa.FixedSizeListArray.from_arrays(_array(name, flat), size)
    for width in reversed(outer[1:]):
        lists = pa.FixedSizeListArray.from_arrays(lists, width)
    return lists


def _objects(name: str, values: "np.ndarray[Any, Any]") -> Any:
    if all(isinstance(value, bytes | str) for value in values):
        return pa.array([_text(value) for value in values], pa.string())
    if all(isinstance(value, np.ndarray) and value.ndim == 1 for value in values):
        offsets = np.zeros(len(values) + 1, np.int32)
        np.cumsum([len(value) for value in values], out=offsets[1:])
        return pa.ListArray.from_arrays(offsets, _array(name, np.concatenate(list(values))))
    raise ConfigurationError(
        f"column {name!r} holds Python objects that are neither text nor arrays of numbers; "
        "leave it out with columns = [...]"
    )


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")


def record_batch(columns: Columns) -> Any:
    """Columns of one length as a ``pyarrow.RecordBatch``."""
    return pa.RecordBatch.from_arrays(
        [array for _, array in columns], names=[name for name, _ in columns]
    )


def slices(rows: Any, batch_rows: int) -> Iterator[Any]:
    """A table or record batch in pieces of at most ``batch_rows`` rows, none of them empty."""
    for begin in range(0, rows.num_rows, batch_rows):
        yield rows.slice(begin, batch_rows)


def check_names(wanted: list[str], known: list[str], where: str) -> None:
    """Raises ``ConfigurationError`` that lists what is there when a name is not."""
    for name in wanted:
        if name not in known:
            raise ConfigurationError(
                f"columns: {where} has no column {name!r}; it has {', '.join(known)}"
            )
