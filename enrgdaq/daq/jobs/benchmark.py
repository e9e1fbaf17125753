"""A producer at full speed and a reader that checks every word: for ``enrgdaq bench``."""

import array
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Meta

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.models import DAQJobMessage, DAQJobStopError
from enrgdaq.daq.store.base import DAQJobStore, DAQJobStoreJobConfig
from enrgdaq.daq.store.journal import replace_file
from enrgdaq.daq.store.models import (
    DAQJobMessageStore,
    DAQJobMessageStorePyArrow,
    DAQJobMessageStoreRaw,
    DAQJobMessageStoreTabular,
    StorableDAQJobConfig,
)
from enrgdaq.daq.topics import Topic

_MIX: Final = 0x9E3779B97F4A7C15
_WORD: Final = 8  # bytes


class DAQJobBenchmarkConfig(StorableDAQJobConfig, kw_only=True):
    """Config of :class:`DAQJobBenchmark`."""

    payload_size: Annotated[int, Meta(ge=16, description="bytes a message, in words of 8")] = (
        160_000
    )
    lane: Annotated[
        Literal["arrow", "raw", "rows"], Meta(description="tables, bytes, or one row a message")
    ] = "arrow"
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
    """What a producer sent. Times: monotonic s of this host."""

    messages: int
    bytes: int
    first: float
    last: float
    cpu_seconds: float


class ReaderResult(msgspec.Struct):
    """What a reader saw. Times: monotonic s of this host; delays: publish to handler, µs."""

    messages: int = 0
    bytes: int = 0
    rows: int = 0
    last: float = 0.0
    lost: int = 0
    duplicated: int = 0
    out_of_order: int = 0
    corrupted: int = 0
    cpu_seconds: float = 0.0
    by_producer: dict[str, int] = msgspec.field(default_factory=dict)
    delays_us: dict[str, float] = msgspec.field(default_factory=dict)


class DAQJobBenchmark(DAQJob):
    """Sends numbered messages as fast as it can, or at a rate."""

    config_type = DAQJobBenchmarkConfig
    config: DAQJobBenchmarkConfig

    def start(self) -> None:
        """Send for the configured time, write the result, and be done."""
        config = self.config
        self.sleep(config.start_at - time.time())
        messages = self._messages()
        first = time.monotonic()
        count, now = 0, first
        while now - first < config.seconds and not self.stopping:
            self.publish(next(messages))
            count += 1
            now = time.monotonic()
            if config.rate and (ahead := first + count / config.rate - now) > 0:
                self.sleep(ahead)
                now = time.monotonic()
        result = ProducerResult(count, count * config.payload_size, first, now, _cpu_seconds())
        if config.result_file:
            replace_file(Path(config.result_file), msgspec.json.encode(result))
        raise DAQJobStopError(f"sent {count} messages")

    def _messages(self) -> Iterator[DAQJobMessage]:
        store, lane = self.config.store_config, self.config.lane
        words = make_words(self.config.payload_size)
        number = 0
        while True:
            number_words(words, number)
            if lane == "raw":
                yield DAQJobMessageStoreRaw(store_config=store, data=words.data)
            elif lane == "arrow":
                column = pa.Array.from_buffers(pa.uint64(), len(words), [None, pa.py_buffer(words)])
                yield DAQJobMessageStorePyArrow(
                    store_config=store, table=pa.RecordBatch.from_arrays([column], ["word"])
                )
            else:
                yield DAQJobMessageStoreTabular(
                    store_config=store, keys=["number", "value"], data=[[number, number * 0.5]]
                )
            number += 1


class DAQJobBenchmarkReaderConfig(DAQJobStoreJobConfig, kw_only=True):
    """Config of :class:`DAQJobBenchmarkReader`."""

    result_file: Annotated[str, Meta(description="where to write what was seen, JSON")]


class DAQJobBenchmarkReader(DAQJobStore):
    """Reads every word that a benchmark sends, and checks number and content."""

    config_type = DAQJobBenchmarkReaderConfig
    config: DAQJobBenchmarkReaderConfig
    topics_to_subscribe: ClassVar[list[str]] = [Topic.store("DAQJobStoreMemory")]  # type: ignore[misc]

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self._result = ReaderResult()
        self._next: dict[str, int] = {}
        self._delays = array.array("q")

    def store(self, message: DAQJobMessageStore) -> None:
        """Check one message."""
        self._delays.append(time.time_ns() - self.sent_ns)
        producer = message.daq_job_info.unique_id if message.daq_job_info else ""
        result = self._result
        number, size, rows = self._look_into(message)
        expected = self._next.get(producer, 0)
        if number > expected:
            result.lost += number - expected
        elif number == expected - 1:
            result.duplicated += 1
        elif number < expected:
            result.out_of_order += 1
        self._next[producer] = number + 1
        result.messages += 1
        result.rows += rows
        result.bytes += size

    def flush(self) -> None:
        """Nothing is kept: the words were read."""
        self._result.last = time.monotonic()

    def free(self) -> None:
        """Write the result."""
        result = self._result
        result.cpu_seconds = _cpu_seconds()
        result.by_producer = self._next
        if self._delays:
            delays = np.frombuffer(self._delays, dtype=np.int64) / 1e3
            p50, p95, p99, longest = np.percentile(delays, [50, 95, 99, 100]).tolist()
            result.delays_us = {"p50": p50, "p95": p95, "p99": p99, "max": longest}
        replace_file(Path(self.config.result_file), msgspec.json.encode(result))
        super().free()

    def _look_into(self, message: DAQJobMessageStore) -> tuple[int, int, int]:
        """Number, bytes and rows of a message; every word is read."""
        if isinstance(message, DAQJobMessageStoreTabular):
            ((number, value),) = message.data or [[-1, 0.0]]
            self._result.corrupted += value != number * 0.5
            return number, 16, 1
        if isinstance(message, DAQJobMessageStorePyArrow):
            words = message.get_table()["word"].chunk(0).to_numpy()
        elif isinstance(message, DAQJobMessageStoreRaw):
            words = np.frombuffer(message.data, dtype=np.uint64)
        else:
            raise TypeError(f"{type(message).__name__} is not sent by a benchmark")
        self._result.corrupted += not is_whole(words)
        return int(words[0]), words.nbytes, len(words)


def make_words(size: int) -> "np.ndarray[Any, np.dtype[np.uint64]]":
    """A payload of ``size`` bytes, rounded down to whole words: a pattern, not zeros."""
    return np.arange(size // _WORD, dtype=np.uint64)


def number_words(words: "np.ndarray[Any, np.dtype[np.uint64]]", number: int) -> None:
    """Write a message's number into its first word, and what follows from it into its last."""
    words[0] = number
    words[-1] = number ^ _MIX


def is_whole(words: "np.ndarray[Any, np.dtype[np.uint64]]") -> bool:
    """Whether every word is what the number says: checked by one sum over all of them."""
    number, inner = int(words[0]), len(words) - 2
    expected = number + (number ^ _MIX) + inner * (inner + 1) // 2
    return int(words.sum(dtype=np.uint64)) == expected % 2**64


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
