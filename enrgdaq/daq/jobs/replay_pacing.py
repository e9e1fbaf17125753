"""When each row of a recording is due. Nothing here reads a clock or sleeps."""

from typing import Any, Literal, Protocol

import numpy as np
import pyarrow as pa

from enrgdaq.errors import ConfigurationError

TimeUnit = Literal["s", "ms", "us", "ns"]

_PER_SECOND: dict[str, int] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


class Pacing(Protocol):
    """Gives the rows of a recording their positions in time, batch after batch."""

    def positions(self, batch: Any) -> "np.ndarray[Any, np.dtype[np.float64]]":
        """When each row is due, s since the first row; never decreasing."""

    def begin_pass(self) -> None:
        """The recording begins again, right after its end."""


class RatePacing:
    """Rows at ``rows_per_second``, whatever they hold."""

    def __init__(self, rows_per_second: float) -> None:
        self._rate = rows_per_second
        self._rows = 0

    def positions(self, batch: Any) -> "np.ndarray[Any, np.dtype[np.float64]]":
        """See :meth:`Pacing.positions`."""
        first = self._rows
        self._rows += batch.num_rows
        return np.arange(first, self._rows, dtype=np.float64) / self._rate

    def begin_pass(self) -> None:
        """Nothing changes: the rate is kept from one pass to the next."""


class OriginalPacing:
    """Rows as far apart as in ``time_column``, divided by ``speed``.

    A row whose time is before that of its predecessor, or missing, is due together with it.
    """

    def __init__(self, time_column: str, unit: TimeUnit, speed: float) -> None:
        self._column = time_column
        self._unit = unit
        self._speed = speed
        self._origin: Any = None
        self._begin = 0.0
        self._last = 0.0

    def positions(self, batch: Any) -> "np.ndarray[Any, np.dtype[np.float64]]":
        """See :meth:`Pacing.positions`. Raises ``ConfigurationError``."""
        if batch.num_rows == 0:
            return np.zeros(0)
        times, per_second = self._times(batch)
        is_known = np.isfinite(times) if times.dtype.kind == "f" else np.ones(len(times), bool)
        if isinstance(times, np.ma.MaskedArray):
            is_known &= ~np.ma.getmaskarray(times)
            times = times.data
        if self._origin is None and is_known.any():
            self._origin = times[is_known][0]
        if self._origin is None:
            return np.full(len(times), self._last)
        # Integers are subtracted as integers: ns since 1970 do not fit a float.
        since = (times - self._origin).astype(np.float64) / per_second / self._speed
        since = np.where(is_known, self._begin + since, self._last)
        positions = np.maximum(np.maximum.accumulate(since), self._last)
        self._last = float(positions[-1])
        return positions

    def begin_pass(self) -> None:
        """See :meth:`Pacing.begin_pass`."""
        self._origin = None
        self._begin = self._last

    def _times(self, batch: Any) -> tuple[Any, int]:
        if self._column not in batch.schema.names:
            raise ConfigurationError(
                f"time_column = {self._column!r} is not in the rows; "
                f"they have {', '.join(batch.schema.names)}"
            )
        column = batch.column(self._column)
        unit: str = self._unit
        if pa.types.is_timestamp(column.type):
            unit = column.type.unit
            column = column.cast(pa.int64())
        is_number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
        if not is_number:
            raise ConfigurationError(
                f"time_column = {self._column!r} has type {column.type}; "
                "it must hold numbers or timestamps"
            )
        is_missing = column.is_null().to_numpy(zero_copy_only=False)
        values = column.fill_null(0).to_numpy(zero_copy_only=False)
        if values.dtype.kind in "iu":
            # Differences of 64-bit integers are right even where the sign bit is used up.
            values = values.astype(np.int64)
        return np.ma.MaskedArray(values, mask=is_missing), _PER_SECOND[unit]
