"""Recorded rows, sent as if they were taken now."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta, field

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.jobs.pacing import Timeline, percent
from enrgdaq.daq.jobs.replay_pacing import OriginalPacing, Pacing, RatePacing, TimeUnit
from enrgdaq.daq.jobs.replay_sources import ReplayError, ReplayFormat, RowSource, open_source
from enrgdaq.daq.models import DAQJobStopError
from enrgdaq.daq.store.models import DAQJobMessageStorePyArrow, StorableDAQJobConfig

_REPORT_SECONDS = 5.0
# Rows that are due within this are sent together: a message for each would cost more.
_GATHER_SECONDS = 0.02


class DAQJobReplayConfig(StorableDAQJobConfig, kw_only=True):
    """Config of :class:`DAQJobReplay`."""

    file_path: Annotated[str, Meta(min_length=1, description="file whose rows are sent")]
    format: Annotated[
        ReplayFormat | None, Meta(description="format of the file; by its extension if unset")
    ] = None
    object_path: Annotated[
        str | None,
        Meta(
            description="dataset or group (hdf5) or TTree (root); may be left out when the file "
            "has only one"
        ),
    ] = None
    columns: Annotated[
        list[str] | None, Meta(description="columns to send, in this order; all if unset")
    ] = None
    column_types: Annotated[
        dict[str, str],
        Meta(description="csv: Arrow types of columns that are guessed wrongly, a = 'float64'"),
    ] = field(default_factory=dict)
    mode: Annotated[
        Literal["original", "rate", "fast"],
        Meta(
            description="original: as far apart as in time_column; rate: rows_per_second; "
            "fast: as fast as the stores take them"
        ),
    ] = "fast"
    time_column: Annotated[
        str | None, Meta(description="original: column that holds the time of a row")
    ] = None
    time_unit: Annotated[
        TimeUnit, Meta(description="unit of time_column when it holds plain numbers")
    ] = "s"
    speed: Annotated[
        float, Meta(gt=0, description="original: 2.0 is twice as fast as it was taken")
    ] = 1.0
    rows_per_second: Annotated[
        float, Meta(gt=0, le=1e9, description="rate: rows to send in a second")
    ] = 1000.0
    batch_rows: Annotated[
        int, Meta(ge=1, le=10_000_000, description="most rows in memory and in a message")
    ] = 10_000
    loop: Annotated[bool, Meta(description="begin again at the end, for ever")] = False

    def __post_init__(self) -> None:
        if self.mode == "original" and self.time_column is None:
            raise ValueError('mode = "original" needs time_column')
        if self.columns is not None:
            if not self.columns or len(set(self.columns)) < len(self.columns):
                raise ValueError(
                    f"columns = {self.columns}; name each column once, or leave it out"
                )
            if self.mode == "original" and self.time_column not in self.columns:
                raise ValueError(
                    f"columns does not hold time_column = {self.time_column!r}; add it"
                )


class DAQJobReplay(DAQJob):
    """Sends the rows of a CSV, Parquet, Arrow, HDF5 or ROOT file.

    The values are those of the file, times included. When all rows were sent the job is
    done, and stays so. A replay that crashes and is started again begins at the first row:
    stores then hold the rows before the crash twice.
    """

    config_type = DAQJobReplayConfig
    config: DAQJobReplayConfig

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rows_sent = 0
        self._next_report = 0.0

    def start(self) -> None:
        """Send the file's rows; raises :class:`DAQJobStopError` when it is done."""
        config = self.config
        source = open_source(
            Path(config.file_path),
            format=config.format,
            object_path=config.object_path,
            columns=config.columns,
            column_types=config.column_types,
            batch_rows=config.batch_rows,
        )
        pacing = self._make_pacing()
        timeline = Timeline(time.monotonic())
        self._next_report = time.monotonic() + _REPORT_SECONDS
        with contextlib.closing(source):
            while not self.stopping:
                sent_before = self._rows_sent
                self._send_pass(source, pacing, timeline)
                if not config.loop or self._rows_sent == sent_before:
                    break
                if pacing:
                    pacing.begin_pass()
        if not self.stopping:
            raise DAQJobStopError(f"replayed {self._rows_sent} rows of {config.file_path}")

    def _make_pacing(self) -> Pacing | None:
        config = self.config
        if config.mode == "original" and config.time_column is not None:
            return OriginalPacing(config.time_column, config.time_unit, config.speed)
        return RatePacing(config.rows_per_second) if config.mode == "rate" else None

    def _send_pass(self, source: RowSource, pacing: Pacing | None, timeline: Timeline) -> None:
        for batch in self._read(source):
            if pacing is None:
                self._send(batch, timeline, source.total_rows)
            else:
                self._send_paced(batch, pacing.positions(batch), timeline, source.total_rows)
            if self.stopping:
                return

    def _read(self, source: RowSource) -> Iterator[Any]:
        batches = source.batches()
        while True:
            # Only reading is guarded, so that errors of sending keep their own name.
            try:
                batch = next(batches, None)
            except (OSError, ValueError) as error:
                raise ReplayError(
                    f"file_path = {self.config.file_path!r} cannot be read beyond the rows sent "
                    f"so far ({self._rows_sent}): {error}"
                ) from error
            if batch is None:
                return
            yield batch

    def _send_paced(
        self, batch: Any, positions: Any, timeline: Timeline, total_rows: int | None
    ) -> None:
        sent = 0
        while sent < batch.num_rows and not self.stopping:
            timeline.resume(positions[sent], time.monotonic())
            wait = timeline.wait_seconds(positions[sent], time.monotonic())
            if wait > 0 and not self.sleep(max(wait, _GATHER_SECONDS)):
                return
            due = timeline.position(time.monotonic())
            upto = int(np.searchsorted(positions, due, side="right"))
            if upto > sent:
                self._send(batch.slice(sent, upto - sent), timeline, total_rows)
                sent = upto

    def _send(self, rows: Any, timeline: Timeline, total_rows: int | None) -> None:
        if rows.num_rows:
            self.publish(
                DAQJobMessageStorePyArrow(store_config=self.config.store_config, table=rows)
            )
        self._rows_sent += rows.num_rows
        if time.monotonic() >= self._next_report:
            self._next_report = time.monotonic() + _REPORT_SECONDS
            passed = self._rows_sent % total_rows if total_rows else 0
            late = timeline.shifted_seconds
            self.log.info(
                "%d rows sent%s%s",
                self._rows_sent,
                percent(passed, total_rows),
                f", {late:.1f} s behind the recording's pace" if late else "",
            )
