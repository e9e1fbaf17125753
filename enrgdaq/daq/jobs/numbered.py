"""A producer that numbers every row and notes what it was promised: for ``enrgdaq chaos``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal

import numpy as np
import pyarrow as pa
from msgspec import Meta

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.models import DAQJobStopError
from enrgdaq.daq.numbered_rows import COLUMNS, FINISH, Notes, Rows, make_rows
from enrgdaq.daq.store.models import (
    DAQJobMessageStore,
    DAQJobMessageStorePyArrow,
    DAQJobMessageStoreRaw,
    DAQJobMessageStoreTabular,
    StorableDAQJobConfig,
)

_LARGE_ROWS: Final = 8_000  # 320 kB: cut into parts in a ring of 1 MB
_LARGE_ONE_IN: Final = 100


class DAQJobNumberedConfig(StorableDAQJobConfig, kw_only=True):
    """Config of :class:`DAQJobNumbered`."""

    lane: Annotated[
        Literal["arrow", "rows", "raw"], Meta(description="tables, lists of rows, or bytes")
    ]
    producer: Annotated[int, Meta(ge=0, description="number of this producer, in every row")]
    notes: Annotated[str, Meta(min_length=1, description="folder for the notes of each life")]
    most_rows: Annotated[int, Meta(ge=1, description="rows in a message: 1 to this")] = 200
    most_in_burst: Annotated[int, Meta(ge=1, description="messages in a burst: 1 to this")] = 20
    pause_seconds: Annotated[float, Meta(ge=0, description="between bursts, s")] = 0.1
    sends_large: Annotated[
        bool, Meta(description="now and then a message that is cut into parts")
    ] = True


class DAQJobNumbered(DAQJob):
    """Sends numbered rows in bursts of random length, for trials."""

    config_type = DAQJobNumberedConfig
    config: DAQJobNumberedConfig

    def start(self) -> None:
        """Send until told to stop, or until the trial is over."""
        config = self.config
        folder = Path(config.notes)
        notes = Notes.begin(folder, self.unique_id)
        random = np.random.default_rng((config.producer, notes.life))
        number = 0
        while not self.stopping:
            if (folder / FINISH).exists():
                raise DAQJobStopError("the trial is over")
            blocks = list(self._burst(random, notes.life, number))
            # One by one, or all in one call.
            size = len(blocks) if random.integers(2) else 1
            for begin in range(0, len(blocks), size):
                together = blocks[begin : begin + size]
                number += sum(len(rows) for rows in together)
                notes.attempted(number)
                self.publish_many([self._message(rows) for rows in together])
                notes.acknowledged(number)
            self.sleep(config.pause_seconds)

    def _burst(self, random: np.random.Generator, life: int, number: int) -> Iterator[Rows]:
        config = self.config
        for _ in range(int(random.integers(1, config.most_in_burst, endpoint=True))):
            count = int(random.integers(1, config.most_rows, endpoint=True))
            if config.sends_large and random.integers(_LARGE_ONE_IN) == 0:
                count = _LARGE_ROWS
            yield make_rows(config.producer, life, number, count)
            number += count

    def _message(self, rows: Rows) -> DAQJobMessageStore:
        store = self.config.store_config
        if self.config.lane == "raw":
            return DAQJobMessageStoreRaw(store_config=store, data=rows.tobytes())
        if self.config.lane == "rows":
            return DAQJobMessageStoreTabular(
                store_config=store, keys=list(COLUMNS), data=[list(row) for row in rows.tolist()]
            )
        columns = [pa.array(np.ascontiguousarray(rows[name])) for name in COLUMNS]
        return DAQJobMessageStorePyArrow(
            store_config=store, table=pa.RecordBatch.from_arrays(columns, list(COLUMNS))
        )
