"""Space in the ring that a job fills itself: no copy at all."""

from collections.abc import Mapping
from functools import lru_cache
from types import TracebackType
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import DTypeLike

from enrgdaq.daq.units import with_units

Column = DTypeLike | tuple[DTypeLike, int]
"""A numpy type, or one with the number of values that every row has: ``(np.int16, 1024)``."""


class Slot(Protocol):
    """Reserved space, and what becomes of it."""

    space: memoryview

    def commit(self) -> None:
        """Send what the space holds."""

    def cancel(self) -> None:
        """Give the space back."""


class Reservation:
    """A table in the ring, to be filled; see :meth:`DAQJob.reserve`.

    ``columns`` are numpy views of the ring: shape ``(rows,)``, or ``(rows, n)`` for columns
    of ``n`` values a row. They hold whatever lay there before. Leaving the ``with`` block
    sends the table and makes the views read-only; an exception sends nothing.
    """

    def __init__(self, slot: Slot, layout: "TableLayout", rows: int) -> None:
        self._slot = slot
        self._layout = layout
        self.columns: dict[str, np.ndarray[Any, np.dtype[Any]]] = {}
        for name, place in layout.places.items():
            flat = np.frombuffer(slot.space, place.dtype, rows * place.width, place.offset)
            self.columns[name] = flat if place.width == 1 else flat.reshape(rows, place.width)

    def __enter__(self) -> "Reservation":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for view in self.columns.values():
            view.flags.writeable = False
        if kind is not None:
            self._slot.cancel()
            return
        layout = self._layout
        self._slot.space[: len(layout.before)] = layout.before
        self._slot.space[layout.size - len(layout.after) : layout.size] = layout.after
        self._slot.commit()


class _Place(NamedTuple):
    dtype: np.dtype[Any]
    width: int
    offset: int


class TableLayout(NamedTuple):
    """An Arrow IPC stream of one batch: its bytes before and after the columns' values."""

    places: dict[str, _Place]
    before: bytes
    after: bytes
    size: int


def table_layout(
    columns: Mapping[str, Column], rows: int, units: Mapping[str, str] | None = None
) -> TableLayout:
    """The stream for a table of ``rows`` rows.

    Raises ``TypeError`` for types whose values Arrow and numpy keep differently, such as
    booleans and text, and ``ValueError`` for a table of nothing.
    """
    if rows < 1 or not columns:
        raise ValueError(f"{rows} rows of {len(columns)} columns: nothing to reserve")
    fields = []
    for name, column in columns.items():
        kind, width = column if isinstance(column, tuple) else (column, 1)
        dtype = np.dtype(kind)
        if dtype.kind not in "iuf":
            raise TypeError(f"column {name!r} of {dtype}: only numbers can be reserved")
        fields.append((name, dtype.str, width, (units or {}).get(name, "")))
    return _layout(tuple(fields), rows)


@lru_cache(maxsize=64)
def _layout(fields: tuple[tuple[str, str, int, str], ...], rows: int) -> TableLayout:
    # Arrow itself lays the table out: a template is written, and read to see what lies where.
    arrays = []
    for _, dtype, width, _ in fields:
        values = pa.array(np.zeros(rows * width, dtype))
        if width > 1:
            values = pa.FixedSizeListArray.from_arrays(values, width)
        arrays.append(values)
    zeros = pa.RecordBatch.from_arrays(arrays, [name for name, *_ in fields])
    zeros = with_units(zeros, {name: unit for name, _, _, unit in fields if unit})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, zeros.schema) as out:
        out.write_batch(zeros)
    template = sink.getvalue()
    batch = pa.ipc.open_stream(template).read_next_batch()
    places, ends = {}, []
    for (name, dtype, width, _), array in zip(fields, batch.columns, strict=True):
        values = array.values if width > 1 else array
        buffer = values.buffers()[1]
        offset = buffer.address - template.address
        places[name] = _Place(np.dtype(dtype), width, offset)
        ends.append(offset + rows * width * np.dtype(dtype).itemsize)
    whole = template.to_pybytes()
    begin = min(place.offset for place in places.values())
    return TableLayout(places, whole[:begin], whole[max(ends) :], len(whole))
