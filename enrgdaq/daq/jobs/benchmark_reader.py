"""A reader that checks every word that a benchmark sends: for ``enrgdaq bench``."""

import array
import time
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import msgspec
import numpy as np
from msgspec import Meta

from enrgdaq.daq.jobs.benchmark import cpu_seconds
from enrgdaq.daq.numbered_words import are_whole, is_whole
from enrgdaq.daq.store.base import DAQJobStore, DAQJobStoreJobConfig
from enrgdaq.daq.store.journal import replace_file
from enrgdaq.daq.store.models import (
    DAQJobMessageStore,
    DAQJobMessageStorePyArrow,
    DAQJobMessageStoreRaw,
    DAQJobMessageStoreTabular,
)
from enrgdaq.daq.topics import Topic

_SMALL: Final = 1 << 16  # bytes; such payloads are added up together: one by one a sum takes 2 µs

Numbers = np.ndarray[Any, np.dtype[Any]]


class ReaderResult(msgspec.Struct):
    """What a reader saw. Times: monotonic s of this host; delays: publish to handler, µs.

    What is numbered is a message, or in tables of numbered rows a row. What is lost shows
    only against what was sent.
    """

    numbers: int = 0
    messages: int = 0
    bytes: int = 0
    rows: int = 0
    last: float = 0.0
    duplicated: int = 0
    out_of_order: int = 0
    corrupted: int = 0
    cpu_seconds: float = 0.0
    by_producer: dict[str, int] = msgspec.field(default_factory=dict)
    delays_us: dict[str, float] = msgspec.field(default_factory=dict)


class DAQJobBenchmarkReaderConfig(DAQJobStoreJobConfig, kw_only=True):
    """Config of :class:`DAQJobBenchmarkReader`."""

    result_file: Annotated[str, Meta(description="where to write what was seen, JSON")]


class DAQJobBenchmarkReader(DAQJobStore):
    """Reads every word that a benchmark sends, and checks numbers and content."""

    config_type = DAQJobBenchmarkReaderConfig
    config: DAQJobBenchmarkReaderConfig
    writes_files: ClassVar[bool] = False
    topics_to_subscribe: ClassVar[list[str]] = [Topic.store("DAQJobStoreMemory")]  # type: ignore[misc]

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self._result = ReaderResult()
        self._next: dict[str, int] = {}
        self._delays = array.array("q")
        # Looked at when all is flushed, as stores write. To add up a large payload pushes the
        # code that reads messages out of the cache, and that would be read again for each.
        self._small: dict[str, list[Any]] = {}
        self._large: list[tuple[str, Numbers]] = []
        self._rows: dict[str, list[Any]] = {}

    def store(self, message: DAQJobMessageStore) -> None:
        """Keep one message, to be looked at before it is let go of."""
        self._delays.append(time.time_ns() - self.sent_ns)
        producer = message.daq_job_info.unique_id if message.daq_job_info else ""
        if isinstance(message, DAQJobMessageStoreRaw):
            if len(message.data) <= _SMALL:
                self._small.setdefault(producer, []).append(message.data)
            else:
                self._large.append((producer, np.frombuffer(message.data, dtype=np.uint64)))
        elif isinstance(message, DAQJobMessageStoreTabular):
            self._rows.setdefault(producer, []).extend(message.data or ())
            self._result.messages += 1
        elif isinstance(message, DAQJobMessageStorePyArrow):
            self._look_at_table(producer, message)

    def flush(self) -> None:
        """Look at all that was kept; then it may be reused."""
        for producer, payloads in self._small.items():
            for size in {len(payload) for payload in payloads}:
                alike = [payload for payload in payloads if len(payload) == size]
                words = np.frombuffer(b"".join(alike), dtype=np.uint64).reshape(len(alike), -1)
                self._count(producer, words[:, 0], messages=len(alike), size=words.nbytes)
                self._result.corrupted += int(np.count_nonzero(~are_whole(words)))
        for producer, rows in self._rows.items():
            numbers, values = (np.array(column) for column in zip(*rows, strict=True))
            self._count(producer, numbers, messages=0, size=16 * len(rows))
            self._result.corrupted += int(np.count_nonzero(values != numbers * 0.5))
        for producer, words in self._large:
            self._look_at_words(producer, words)
        self._small.clear()
        self._large.clear()
        self._rows.clear()
        self._result.last = time.monotonic()

    def free(self) -> None:
        """Write the result."""
        result = self._result
        result.cpu_seconds = cpu_seconds()
        result.by_producer = self._next
        if self._delays:
            delays = np.frombuffer(self._delays, dtype=np.int64) / 1e3
            p50, p95, p99, longest = np.percentile(delays, [50, 95, 99, 100]).tolist()
            result.delays_us = {"p50": p50, "p95": p95, "p99": p99, "max": longest}
        replace_file(Path(self.config.result_file), msgspec.json.encode(result))
        super().free()

    def _look_at_words(self, producer: str, words: Numbers) -> None:
        self._count_one(producer, int(words[0]), words)
        self._result.corrupted += not is_whole(words)

    def _look_at_table(self, producer: str, message: DAQJobMessageStorePyArrow) -> None:
        table = message.get_table()
        # One batch, so one chunk; combine_chunks() would copy it.
        columns = [column.chunk(0).to_numpy() for column in table.columns]
        if table.column_names == ["word"]:
            self._large.append((producer, columns[0]))
        elif table.column_names == ["same"]:
            words = columns[0]
            number = int(words[0])
            self._count_one(producer, number, words)
            is_same = int(words.sum(dtype=np.uint64)) == number * len(words) % 2**64
            self._result.corrupted += not (is_same and int(words[-1]) == number)
        else:
            numbers, values = columns
            self._count(producer, numbers, messages=1, size=16 * len(numbers))
            self._result.corrupted += int(np.count_nonzero(values != numbers * 0.5))

    def _count_one(self, producer: str, number: int, words: Numbers) -> None:
        """The same as :meth:`_count` for one message, without numpy: it takes 15 µs."""
        result, expected = self._result, self._next.get(producer, 0)
        result.numbers += 1
        result.messages += 1
        result.bytes += words.nbytes
        result.rows += len(words)
        result.duplicated += number == expected - 1
        result.out_of_order += number < expected - 1
        self._next[producer] = number + 1

    def _count(
        self, producer: str, numbers: Numbers, *, messages: int, size: int, rows: int | None = None
    ) -> None:
        """Count numbers that came in this order."""
        result, expected = self._result, self._next.get(producer, 0)
        result.numbers += len(numbers)
        result.messages += messages
        result.bytes += size
        result.rows += len(numbers) if rows is None else rows
        steps = np.diff(numbers.astype(np.int64), prepend=expected - 1)
        result.duplicated += int(np.count_nonzero(steps == 0))
        result.out_of_order += int(np.count_nonzero(steps < 0))
        self._next[producer] = int(numbers[-1]) + 1
