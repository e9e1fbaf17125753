"""``enrgdaq bench``: how fast is the real system on this machine?"""

import mmap
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import numpy as np

from enrgdaq.errors import ConfigurationError, EnrgdaqError
from enrgdaq.trials.bench_bare import bare_rate
from enrgdaq.trials.bench_stores import OUTPUTS, Output
from enrgdaq.trials.scratch import ScratchNode, tmpfs

_MEGABYTE: Final = 1 << 20
_REFERENCE_BYTES: Final = 96 * _MEGABYTE  # larger than the caches that would flatter the copy
_REFERENCE_SECONDS: Final = 0.5  # before, and once more after
_SETTLE_SECONDS: Final = 1.0
_SMALLEST_RING_MB: Final = 16
_LEAST_BARE_BYTES: Final = 100_000  # with less, such processes measure their own loops
_LANE_OF: Final = {"many": "raw", "gather": "rows", "reserve": "arrow"}
T = TypeVar("T")


@dataclass(frozen=True)
class BenchPlan:
    """One measurement."""

    payload_bytes: int
    lane: str
    producers: int = 1
    consumers: int = 1
    seconds: float = 5.0
    rate: float = 0.0
    hand_in: str = "publish"
    store: str = "memory"
    ring_size_mb: int = 0

    def __post_init__(self) -> None:
        """Raise :class:`ConfigurationError` for what does not go together."""
        lane = _LANE_OF.get(self.hand_in, self.lane)
        if lane != self.lane:
            raise ConfigurationError(
                f"--hand-in {self.hand_in} is for --lane {lane}, not {self.lane}"
            )
        if self.store != "memory" and (self.store == "raw") != (self.lane == "raw"):
            raise ConfigurationError(
                f"--store {self.store} does not take --lane {self.lane}: raw goes with raw"
            )
        if self.store != "memory" and (self.consumers != 1 or self.hand_in == "reserve"):
            raise ConfigurationError("--consumers and --hand-in reserve go with --store memory")

    @property
    def ring_mb(self) -> int:
        """The given size, or one that holds two messages and as much as stays in caches.

        A ring that the processor's cache can hold is up to twice as fast as one of 64 MiB:
        what the producer writes is still there when the consumer reads it.
        """
        return self.ring_size_mb or max(
            _SMALLEST_RING_MB, -(-9 * self.payload_bytes // _MEGABYTE // 4)
        )

    @property
    def producer_lane(self) -> str:
        """What the producer sends: for stores tables of rows, which can be read back."""
        return "table" if self.lane == "arrow" and self.store != "memory" else self.lane


class BenchResult(msgspec.Struct, kw_only=True):
    """What one measurement gave. Delays from publish to handler; rates over all producers."""

    payload_bytes: int
    lane: str
    hand_in: str
    store: str
    ring_mb: int
    producers: int
    consumers: int
    messages: int
    bytes: int
    seconds: float
    GB_per_s: float
    messages_per_s: float
    rows_per_s: float
    p50_us: float
    p95_us: float
    p99_us: float
    max_us: float
    cpu_seconds: float
    backpressure_seconds: float
    lost: int
    duplicated: int
    out_of_order: int
    corrupted: int
    slowest_to_fastest: float
    memcpy_GB_per_s: float
    library_rows_per_s: float
    ratio: float
    """To the store's library used alone; without a store, to the copies."""
    bare_GB_per_s: float
    """What as many processes reach that only copy and add up, before and after the measurement;
    0 where that was not measured."""


class _Producer(msgspec.Struct):
    numbers: int
    first: float
    last: float
    cpu_seconds: float


class _Reader(msgspec.Struct):
    numbers: int
    messages: int
    bytes: int
    rows: int
    last: float
    duplicated: int
    out_of_order: int
    corrupted: int
    cpu_seconds: float
    by_producer: dict[str, int]
    delays_us: dict[str, float]


def measure(plan: BenchPlan, say: Callable[[str], None]) -> BenchResult:
    """Run one measurement on a system of its own.

    Raises :class:`EnrgdaqError` with the system's log when it does not come to its end.
    """
    memcpy_before, bare_before = memcpy_rate(plan.payload_bytes), _bare_rate(plan, say)
    with ScratchNode("bench") as node:
        output = None if plan.store == "memory" else OUTPUTS[plan.store](node.out, plan)
        library = 0.0
        if output is not None:
            say(f"{plan.store} by its library alone")
            library = output.library_rate()
        producers, readers = _configure(node, plan, output)
        node.start()
        waited, drained_at = _wait(node, producers, plan, say)
        node.stop()
        try:
            sent = [_read(node.out / f"{name}.json", _Producer) for name in producers]
            seen = [_read(node.out / f"{name}.json", _Reader) for name in readers]
        except FileNotFoundError as error:
            raise EnrgdaqError(f"no result: {error}\n{node.words()}\n{node.log()}") from error
        if output is not None:
            say(f"reading back {plan.store}")
            seen = [_seen_in(output, name, drained_at) for name in producers]
            last = max(producer.numbers for producer in sent)
            library = (library + output.library_rate(last)) / 2
    memcpy = (memcpy_before + memcpy_rate(plan.payload_bytes)) / 2
    result = _evaluate(plan, sent, seen, waited, memcpy, library)
    result.bare_GB_per_s = (bare_before + _bare_rate(plan, say)) / 2
    return result


def _bare_rate(plan: BenchPlan, say: Callable[[str], None]) -> float:
    """GB/s of processes alone; 0 where that says nothing."""
    if plan.store != "memory" or plan.payload_bytes < _LEAST_BARE_BYTES or plan.rate:
        return 0.0
    say("the same copies and looks by processes alone")
    ring_bytes = plan.ring_mb * _MEGABYTE
    return bare_rate(plan.payload_bytes, plan.producers, plan.consumers, ring_bytes)


def memcpy_rate(payload_bytes: int) -> float:
    """GB/s of plain copies of such payloads into memory of the ring's kind.

    The copies cycle through 96 MiB, like a large ring: a copy into a cache is faster and
    compares nothing. They go on for a while, since what a machine gives varies.
    """
    source = memoryview(bytes(payload_bytes))
    size = max(_REFERENCE_BYTES, 2 * payload_bytes)
    offsets = range(0, size - payload_bytes + 1, payload_bytes)
    with ScratchNode("memcpy", tmpfs()) as scratch, (scratch.folder / "m").open("w+b") as file:
        file.truncate(size)
        mapping = mmap.mmap(file.fileno(), size)
        target = memoryview(mapping)
        target[:] = bytes(size)  # the first touch of a page is no copy
        copied, began = 0, time.perf_counter()
        while (took := time.perf_counter() - began) < _REFERENCE_SECONDS:
            for offset in offsets:
                target[offset : offset + payload_bytes] = source
            copied += len(offsets) * payload_bytes
        target.release()
        mapping.close()
    return copied / took / 1e9


def table_lines(results: list[BenchResult]) -> list[str]:
    """The results as a table for people."""
    lines = [
        f"{'bytes':>9} {'lane':>5} {'hand in':>8} {'store':>7} {'p>c':>4} {'GB/s':>7}"
        f" {'msg/s':>8} {'rows/s':>10} {'p50 µs':>8} {'p99 µs':>8} {'ref':>10} {'ratio':>6}"
        f" {'bare':>6} {'wrong':>5}"
    ]
    for r in results:
        wrong = r.lost + r.duplicated + r.out_of_order + r.corrupted
        reference = f"{r.library_rows_per_s:.0f}/s" if r.store != "memory" else ""
        reference = reference or f"{r.memcpy_GB_per_s:.2f} GB/s"
        bare = f"{r.GB_per_s / r.bare_GB_per_s:.2f}" if r.bare_GB_per_s else ""
        lines.append(
            f"{r.payload_bytes:>9} {r.lane:>5} {r.hand_in:>8} {r.store:>7}"
            f" {r.producers}>{r.consumers:<2} {r.GB_per_s:>7.2f} {r.messages_per_s:>8.0f}"
            f" {r.rows_per_s:>10.0f} {r.p50_us:>8.0f} {r.p99_us:>8.0f} {reference:>10}"
            f" {r.ratio:>6.2f} {bare:>6} {wrong:>5}"
        )
    return lines


def _configure(
    node: ScratchNode, plan: BenchPlan, output: Output | None
) -> tuple[list[str], list[str]]:
    node.configure({"stop_grace_seconds": 60.0})
    producers = [f"producer{n}" for n in range(plan.producers)]
    readers = [f"reader{n}" for n in range(plan.consumers)] if output is None else []
    for name in readers:
        folder = node.out / name
        node.add(
            name,
            {
                "daq_job_type": "DAQJobBenchmarkReader",
                "out_dir": str(folder),
                "flush_size_mb": plan.ring_mb / 4,
                "flush_interval_seconds": 0.05,  # the end is seen by so much too late
                "result_file": str(node.out / f"{name}.json"),
            },
        )
    if output is not None:
        settings = {
            "daq_job_type": output.job_type,
            "out_dir": str(output.folder),
            # The rows of the last flush wait for so long, in which nothing is written.
            "flush_interval_seconds": 0.2,
        }
        node.add("store", settings)
    start_at = time.time() + _SETTLE_SECONDS + 0.2 * len(producers + readers)
    for name in producers:
        node.add(
            name,
            {
                "daq_job_type": "DAQJobBenchmark",
                "payload_size": plan.payload_bytes,
                "lane": plan.producer_lane,
                "hand_in": plan.hand_in,
                "seconds": plan.seconds,
                "rate": plan.rate,
                "start_at": start_at,
                "ring_size_mb": plan.ring_mb,
                "result_file": str(node.out / f"{name}.json"),
                "store_config": {"memory": {}} if output is None else output.store_config(name),
            },
        )
    return producers, readers


def _wait(
    node: ScratchNode, producers: list[str], plan: BenchPlan, say: Callable[[str], None]
) -> tuple[float, float]:
    """Wait until all is sent and taken.

    Returns how long the producers had waited for room, and when (monotonic s) the last row
    was durable, to 50 ms when a store writes it.
    """
    deadline = time.monotonic() + 60 + 10 * plan.seconds
    while time.monotonic() < deadline:
        snapshot = node.snapshot()
        if snapshot is not None:
            jobs = [job for job in snapshot.jobs if job.id in producers]
            rate = sum(job.rate_bytes_out for job in jobs)
            say(f"{plan.payload_bytes} bytes, {plan.lane}: {rate / 1e9:.2f} GB/s")
            if any(job.state in ("failed", "backoff") for job in snapshot.jobs):
                raise EnrgdaqError(f"the benchmark's jobs fail:\n{node.log()}")
            lag = sum(c.lag_bytes for ring in snapshot.rings for c in ring.consumers)
            if all(job.state == "stopped" for job in jobs) and not lag:
                return sum(job.backpressure_seconds for job in jobs), time.monotonic()
        # Each look costs the two cores some milliseconds; only files need to be timed by it.
        time.sleep(0.5 if plan.store == "memory" else 0.05)
    raise EnrgdaqError(f"the benchmark did not end:\n{node.log()}")


def _seen_in(output: Output, producer: str, drained_at: float) -> _Reader:
    """What a store's output holds of a producer, read with the library that users have."""
    numbers, whole = output.read(producer)
    steps = np.diff(numbers, prepend=-1)
    return _Reader(
        numbers=len(numbers),
        messages=0,
        bytes=len(numbers) * output.bytes_a_number,
        rows=len(numbers),
        last=drained_at,
        duplicated=int(np.count_nonzero(steps == 0)),
        out_of_order=int(np.count_nonzero(steps < 0)),
        corrupted=len(numbers) - whole,
        cpu_seconds=0.0,
        by_producer={producer: len(numbers)},
        delays_us={},
    )


def _evaluate(
    plan: BenchPlan,
    sent: list[_Producer],
    seen: list[_Reader],
    waited: float,
    memcpy: float,
    library: float,
) -> BenchResult:
    copies = plan.consumers  # of every number
    numbers = sum(producer.numbers for producer in sent)
    size = sum(reader.bytes for reader in seen) // copies
    rows = sum(reader.rows for reader in seen) / copies
    seconds = max(r.last for r in seen) - min(p.first for p in sent)
    rates = [p.numbers / max(p.last - p.first, 1e-9) for p in sent]
    messages = sum(reader.messages for reader in seen) // copies
    if plan.store != "memory":
        messages = numbers // max(1, plan.payload_bytes // 16 if plan.lane == "arrow" else 1)
    ratio = size / seconds / 1e9 / memcpy
    return BenchResult(
        payload_bytes=plan.payload_bytes,
        lane=plan.lane,
        hand_in=plan.hand_in,
        store=plan.store,
        ring_mb=plan.ring_mb,
        producers=plan.producers,
        consumers=plan.consumers,
        messages=messages,
        bytes=size,
        seconds=seconds,
        GB_per_s=size / seconds / 1e9,
        messages_per_s=messages / seconds,
        rows_per_s=rows / seconds,
        **{f"{name}_us": max(r.delays_us.get(name, 0.0) for r in seen) for name in _DELAYS},
        cpu_seconds=sum(p.cpu_seconds for p in sent) + sum(r.cpu_seconds for r in seen),
        backpressure_seconds=waited,
        lost=numbers * copies - sum(r.numbers for r in seen) + sum(r.duplicated for r in seen),
        duplicated=sum(r.duplicated for r in seen),
        out_of_order=sum(r.out_of_order for r in seen),
        corrupted=sum(r.corrupted for r in seen),
        slowest_to_fastest=min(rates) / max(rates),
        memcpy_GB_per_s=memcpy,
        library_rows_per_s=library,
        ratio=rows / seconds / library if library else ratio,
        bare_GB_per_s=0.0,
    )


_DELAYS: Final = ("p50", "p95", "p99", "max")


def _read(path: Path, kind: type[T]) -> T:
    return msgspec.json.decode(path.read_bytes(), type=kind)


def say_on_terminal(text: str) -> None:
    """A progress line that the next one replaces; nothing where there is no terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text:<70}")
        sys.stderr.flush()


def as_json(result: BenchResult) -> str:
    """One result on one line."""
    plain: dict[str, Any] = msgspec.to_builtins(result)
    return msgspec.json.encode(plain).decode()
