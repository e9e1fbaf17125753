"""Rows handed in one by one, sent in batches."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import pyarrow as pa

from enrgdaq.daq.models import DAQJobMessage, DAQJobStopError
from enrgdaq.daq.store.models import DAQJobMessageStorePyArrow, DAQJobStoreConfig
from enrgdaq.daq.store.names import check_distinct
from enrgdaq.daq.store.rows import column_of
from enrgdaq.daq.units import unit_of, with_units

_FIRST_BATCH_ROWS: Final = 100  # until the size of a row is known


class RowGatherer:
    """Makes batches of rows; see :meth:`DAQJob.gather_rows`, which makes one.

    A batch is sent when it has ``max_rows`` rows, about ``max_bytes`` bytes, or when its first
    row is ``max_milliseconds`` old. Until then its rows are in this process only and end with
    it when it is killed. Safe to use from all threads of the job.
    """

    def __init__(
        self,
        publish: Callable[[DAQJobMessage], None],
        store_config: DAQJobStoreConfig,
        columns: Sequence[str] | pa.Schema,
        *,
        tag: str | None,
        max_rows: int,
        max_bytes: int,
        max_milliseconds: float,
        log: logging.Logger,
    ) -> None:
        self._publish = publish
        self._store_config = store_config
        self._tag = tag
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._max_seconds = max_milliseconds / 1e3
        self._log = log
        self._units = (
            {field.name: unit for field in columns if (unit := unit_of(field))}
            if isinstance(columns, pa.Schema)
            else {}
        )
        self._names = columns.names if isinstance(columns, pa.Schema) else list(columns)
        check_distinct(self._names)
        self._types: list[pa.DataType | None] = (
            list(columns.types) if isinstance(columns, pa.Schema) else [None] * len(self._names)
        )
        self._rows: list[Sequence[Any]] = []
        self._limit = min(max_rows, _FIRST_BATCH_ROWS)
        self._lock = threading.RLock()
        self._error: Exception | None = None
        self._due = 0.0
        self._begun = threading.Event()
        self._is_closed = False
        threading.Thread(target=self._send_in_time, name="gather", daemon=True).start()

    def add(self, row: Sequence[Any]) -> None:
        """Hand in one row: a value per column.

        Waits and raises as :meth:`DAQJob.publish` does when the row fills a batch; raises also
        what went wrong when the batch before was sent for its age.
        """
        with self._lock:
            rows = self._rows
            rows.append(row)
            if len(rows) >= self._limit:
                self.flush()
            elif len(rows) == 1:
                self._due = time.monotonic() + self._max_seconds
                self._begun.set()

    def extend(self, rows: Iterable[Sequence[Any]]) -> None:
        """Hand in rows; the same as :meth:`add` for each."""
        for row in rows:
            self.add(row)

    def flush(self) -> None:
        """Send the rows that are gathered, if there are any."""
        with self._lock:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            rows, self._rows = self._rows, []
            right = [row for row in rows if len(row) == len(self._names)]
            if right:
                self._send(right)
        wrong = next((row for row in rows if len(row) != len(self._names)), None)
        if wrong is not None:
            # The good rows of the batch are on their way.
            raise ValueError(
                f"row of {len(wrong)} values for columns {', '.join(self._names)}: {wrong!r:.200}"
            )

    def close(self) -> None:
        """Send the rest and end; what cannot be sent any more is logged. Idempotent."""
        with self._lock:
            self._is_closed = True
            self._begun.set()
            left = len(self._rows)
            try:
                self.flush()
            except DAQJobStopError as error:
                self._log.error("%d gathered rows were not sent: %s", left, error)

    def _send(self, rows: list[Sequence[Any]]) -> None:
        columns = [self._column(at, values) for at, values in enumerate(zip(*rows, strict=True))]
        batch = pa.RecordBatch.from_arrays(columns, self._names)
        if self._units:
            batch = with_units(batch, self._units)
        bytes_a_row = max(1, batch.nbytes // len(rows))
        self._limit = max(1, min(self._max_rows, self._max_bytes // bytes_a_row))
        self._publish(
            DAQJobMessageStorePyArrow(store_config=self._store_config, table=batch, tag=self._tag)
        )

    def _column(self, index: int, values: Sequence[Any]) -> pa.Array:
        """The values in the type that the column had before, as long as it holds them."""
        if self._types[index] is not None:
            try:
                return pa.array(values, self._types[index])
            except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
                pass
        column = column_of(values)
        if not pa.types.is_null(column.type):
            self._types[index] = column.type
        return column

    def _send_in_time(self) -> None:
        while not self._is_closed:
            self._begun.wait()
            self._begun.clear()
            while (left := self._flush_if_due()) > 0:
                time.sleep(left)

    def _flush_if_due(self) -> float:
        """Seconds until the rows that are gathered are due; 0 when there are none."""
        with self._lock:
            if not self._rows or self._is_closed:
                return 0.0
            left = self._due - time.monotonic()
            if left > 0:
                return left
            try:
                self.flush()
            except Exception as error:  # noqa: BLE001 - raised in the job's own thread
                self._error = error
            return 0.0
