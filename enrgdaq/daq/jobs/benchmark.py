"""A producer at full speed: for ``enrgdaq bench``."""

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Meta

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.models import DAQJobStopError
from enrgdaq.daq.numbered_words import make_words, number_many, number_words
from enrgdaq.daq.store.journal import replace_file
from enrgdaq.daq.store.models import (
    DAQJobMessageStorePyArrow,
    DAQJobMessageStoreRaw,
    DAQJobMessageStoreTabular,
    StorableDAQJobConfig,
)

_WORD: Final = 8  # bytes
_ROW: Final = 16  # bytes: a number and a value
_BATCH_BYTES: Final = 1 << 19  # handed in by one publish_many
_MOST_IN_BATCH: Final = 512
_GATHERED: Final = 1_000  # rows between two looks at the clock


class DAQJobBenchmarkConfig(StorableDAQJobConfig, kw_only=True):
    """Config of :class:`DAQJobBenchmark`."""

    payload_size: Annotated[int, Meta(ge=16, description="bytes a message, in words of 8")] = (
        160_000
    )
    lane: Annotated[
        Literal["arrow", "raw", "rows", "table"],
        Meta(
            description="arrow: tables of one column of words; raw: such words as bytes; rows:"
            " one row a message; table: tables of numbered rows of 16 bytes"
        ),
    ] = "arrow"
    hand_in: Annotated[
        Literal["publish", "many", "gather", "reserve"],
        Meta(
            description="publish: message by message; many: with publish_many (raw lane);"
            " gather: with gather_rows (rows lane); reserve: filled in the ring (arrow lane)"
        ),
    ] = "publish"
    seconds: Annotated[
        float, Meta(gt=0, description="how long to send, s; the time runs from start_at")
    ] = 5.0
    start_at: Annotated[float, Meta(description="unix time at which to begin, s; 0: at once")] = 0.0
    rate: Annotated[float, Meta(ge=0, description="messages per second; 0: as fast as it goes")] = (
        0.0
    )
    use_shm: Annotated[
        bool, Meta(description="accepted from old files; memory is always shared")
    ] = True
    result_file: Annotated[
        str, Meta(description="where to write what was sent, JSON; none if empty")
    ] = ""


class ProducerResult(msgspec.Struct):
    """What a producer sent: numbered messages, or numbered rows. Times: monotonic s."""

    numbers: int
    first: float
    last: float
    cpu_seconds: float


class DAQJobBenchmark(DAQJob):
    """Sends numbered messages as fast as it can, or at a rate."""

    config_type = DAQJobBenchmarkConfig
    config: DAQJobBenchmarkConfig

    def start(self) -> None:
        """Send for the configured time, write the result, and be done."""
        config = self.config
        send = self._sender()
        self.sleep(config.start_at - time.time())
        first = now = time.monotonic()
        number = 0
        seconds, rate = config.seconds, config.rate
        while now - first < seconds and not self.stopping:
            number += send(number)
            now = time.monotonic()
            if rate and (ahead := first + number / rate - now) > 0:
                self.sleep(ahead)
                now = time.monotonic()
        self.send_gathered()
        result = ProducerResult(number, first, now, cpu_seconds())
        if config.result_file:
            replace_file(Path(config.result_file), msgspec.json.encode(result))
        raise DAQJobStopError(f"sent {number} numbers")

    def _sender(self) -> Callable[[int], int]:
        """What sends from a number on, and tells how many numbers it has sent."""
        lane, hand_in = self.config.lane, self.config.hand_in
        if hand_in == "many":
            return self._send_many()
        if hand_in == "gather":
            return self._send_gathered_rows()
        if hand_in == "reserve":
            return self._send_reserved()
        return {
            "arrow": self._send_words,
            "raw": self._send_raw,
            "rows": self._send_row,
            "table": self._send_tables,
        }[lane]()

    def _send_words(self) -> Callable[[int], int]:
        words = make_words(self.config.payload_size)

        def send(number: int) -> int:
            number_words(words, number)
            column = pa.Array.from_buffers(pa.uint64(), len(words), [None, pa.py_buffer(words)])
            table = pa.RecordBatch.from_arrays([column], ["word"])
            store = self.config.store_config
            self.publish(DAQJobMessageStorePyArrow(store_config=store, table=table))
            return 1

        return send

    def _send_raw(self) -> Callable[[int], int]:
        words, store = make_words(self.config.payload_size), self.config.store_config
        data = words.data

        def send(number: int) -> int:
            number_words(words, number)
            self._put_message_out(DAQJobMessageStoreRaw(store_config=store, data=data))
            return 1

        return send

    def _send_row(self) -> Callable[[int], int]:
        store, keys = self.config.store_config, ["number", "value"]

        def send(number: int) -> int:
            row = [number, number * 0.5]
            self._put_message_out(
                DAQJobMessageStoreTabular(store_config=store, keys=keys, data=[row])
            )
            return 1

        return send

    def _send_tables(self) -> Callable[[int], int]:
        rows = max(1, self.config.payload_size // _ROW)
        steps = np.arange(rows, dtype=np.int64)

        def send(number: int) -> int:
            numbers = steps + number
            table = pa.RecordBatch.from_arrays(
                [pa.array(numbers), pa.array(numbers * 0.5)], ["number", "value"]
            )
            store = self.config.store_config
            self.publish(DAQJobMessageStorePyArrow(store_config=store, table=table))
            return rows

        return send

    def _send_many(self) -> Callable[[int], int]:
        size = self.config.payload_size
        count = max(1, min(_MOST_IN_BATCH, _BATCH_BYTES // size))
        words = np.tile(make_words(size), (count, 1))
        steps = np.arange(count, dtype=np.uint64)
        store = self.config.store_config
        messages = [
            DAQJobMessageStoreRaw(store_config=store, data=row.view(np.uint8).data) for row in words
        ]

        def send(number: int) -> int:
            number_many(words, steps + np.uint64(number))
            self.publish_many(messages)
            return count

        return send

    def _send_gathered_rows(self) -> Callable[[int], int]:
        gatherer = self.gather_rows(self.config.store_config, ["number", "value"])

        def send(number: int) -> int:
            add = gatherer.add
            for one in range(number, number + _GATHERED):
                add((one, one * 0.5))
            return _GATHERED

        return send

    def _send_reserved(self) -> Callable[[int], int]:
        store, rows = self.config.store_config, self.config.payload_size // _WORD

        def send(number: int) -> int:
            with self.reserve(store, {"same": np.uint64}, rows) as table:
                table.columns["same"].fill(number)
            return 1

        return send


def cpu_seconds() -> float:
    """Processor time of this process, s."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
