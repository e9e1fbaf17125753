"""``enrgdaq bench``: how fast is the real system on this machine?"""

import mmap
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from enrgdaq.errors import EnrgdaqError
from enrgdaq.trials.scratch import ScratchNode

_MEGABYTE: Final = 1 << 20
_REFERENCE_BYTES: Final = 96 * _MEGABYTE  # larger than the caches that would flatter the copy
_SETTLE_SECONDS: Final = 1.0
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

    @property
    def ring_mb(self) -> int:
        """A ring that holds at least eight messages and 64 MiB."""
        return max(64, -(-8 * self.payload_bytes // _MEGABYTE))


class BenchResult(msgspec.Struct, kw_only=True):
    """What one measurement gave. Delays from publish to handler; rates over all producers."""

    payload_bytes: int
    lane: str
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
    ratio: float


class _Producer(msgspec.Struct):
    messages: int
    bytes: int
    first: float
    last: float
    cpu_seconds: float


class _Reader(msgspec.Struct):
    messages: int
    bytes: int
    rows: int
    last: float
    lost: int
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
    with ScratchNode("bench") as node:
        producers, readers = _configure(node, plan)
        node.start()
        backpressure = _wait(node, producers, plan, say)
        node.stop()
        try:
            sent = [_read(node.out / f"{name}.json", _Producer) for name in producers]
            seen = [_read(node.out / f"{name}.json", _Reader) for name in readers]
        except FileNotFoundError as error:
            raise EnrgdaqError(f"no result: {error}\n{node.words()}\n{node.log()}") from error
    return _evaluate(plan, sent, seen, backpressure, memcpy_rate(plan.payload_bytes))


def memcpy_rate(payload_bytes: int) -> float:
    """GB/s of plain copies of such payloads into memory of the ring's kind.

    The copies cycle through 96 MiB, like a ring, and the best of three rounds counts: a copy
    into a cache is faster and compares nothing.
    """
    source = memoryview(bytes(payload_bytes))
    size = max(_REFERENCE_BYTES, 2 * payload_bytes)
    with ScratchNode("memcpy", _tmpfs()) as scratch, (scratch.folder / "m").open("w+b") as file:
        file.truncate(size)
        mapping = mmap.mmap(file.fileno(), size)
        target = memoryview(mapping)
        best = 0.0
        for _ in range(4):  # the first round pays for the pages
            began = time.perf_counter()
            for offset in range(0, size - payload_bytes + 1, payload_bytes):
                target[offset : offset + payload_bytes] = source
            best = max(best, size // payload_bytes * payload_bytes / (time.perf_counter() - began))
        target.release()
        mapping.close()
    return best / 1e9


def table_lines(results: list[BenchResult]) -> list[str]:
    """The results as a table for people."""
    header = (
        f"{'bytes':>10} {'lane':>5} {'p>c':>4} {'GB/s':>7} {'msg/s':>9} {'rows/s':>11}"
        f" {'p50 µs':>8} {'p99 µs':>9} {'memcpy':>7} {'ratio':>6} {'lost':>5} {'wrong':>5}"
    )
    lines = [header]
    for r in results:
        wrong = r.duplicated + r.out_of_order + r.corrupted
        lines.append(
            f"{r.payload_bytes:>10} {r.lane:>5} {r.producers}>{r.consumers:<2} {r.GB_per_s:>7.2f}"
            f" {r.messages_per_s:>9.0f} {r.rows_per_s:>11.0f} {r.p50_us:>8.0f} {r.p99_us:>9.0f}"
            f" {r.memcpy_GB_per_s:>7.2f} {r.ratio:>6.2f} {r.lost:>5} {wrong:>5}"
        )
    return lines


def _configure(node: ScratchNode, plan: BenchPlan) -> tuple[list[str], list[str]]:
    node.configure({"stop_grace_seconds": 30.0})
    producers = [f"producer{n}" for n in range(plan.producers)]
    readers = [f"reader{n}" for n in range(plan.consumers)]
    for name in readers:
        folder = node.out / name
        node.add(
            name,
            {
                "daq_job_type": "DAQJobBenchmarkReader",
                "out_dir": str(folder),
                "flush_size_mb": plan.ring_mb / 16,
                "result_file": str(node.out / f"{name}.json"),
            },
        )
    start_at = time.time() + _SETTLE_SECONDS + 0.2 * len(producers + readers)
    for name in producers:
        node.add(
            name,
            {
                "daq_job_type": "DAQJobBenchmark",
                "payload_size": plan.payload_bytes,
                "lane": plan.lane,
                "seconds": plan.seconds,
                "rate": plan.rate,
                "start_at": start_at,
                "ring_size_mb": plan.ring_mb,
                "result_file": str(node.out / f"{name}.json"),
                "store_config": {"memory": {}},
            },
        )
    return producers, readers


def _wait(
    node: ScratchNode, producers: list[str], plan: BenchPlan, say: Callable[[str], None]
) -> float:
    """Wait until all producers are done; returns how long they had waited for room."""
    deadline = time.monotonic() + 60 + 3 * plan.seconds
    while time.monotonic() < deadline:
        snapshot = node.snapshot()
        if snapshot is not None:
            jobs = [job for job in snapshot.jobs if job.id in producers]
            rate = sum(job.rate_bytes_out for job in jobs)
            say(f"{plan.payload_bytes} bytes, {plan.lane}: {rate / 1e9:.2f} GB/s")
            if any(job.state in ("failed", "backoff") for job in snapshot.jobs):
                raise EnrgdaqError(f"the benchmark's jobs fail:\n{node.log()}")
            if all(job.state == "stopped" for job in jobs):
                return sum(job.backpressure_seconds for job in jobs)
        time.sleep(0.25)
    raise EnrgdaqError(f"the benchmark did not end:\n{node.log()}")


def _evaluate(
    plan: BenchPlan,
    sent: list[_Producer],
    seen: list[_Reader],
    backpressure: float,
    memcpy: float,
) -> BenchResult:
    messages = sum(producer.messages for producer in sent)
    size = sum(reader.bytes for reader in seen) // len(seen)
    seconds = max(r.last for r in seen) - min(p.first for p in sent)
    rates = [p.messages / max(p.last - p.first, 1e-9) for p in sent]
    in_all = messages * len(seen)
    return BenchResult(
        payload_bytes=plan.payload_bytes,
        lane=plan.lane,
        producers=plan.producers,
        consumers=plan.consumers,
        messages=messages,
        bytes=size,
        seconds=seconds,
        GB_per_s=size / seconds / 1e9,
        messages_per_s=messages / seconds,
        rows_per_s=sum(r.rows for r in seen) / len(seen) / seconds,
        **{f"{name}_us": max(r.delays_us.get(name, 0.0) for r in seen) for name in _DELAYS},
        cpu_seconds=sum(p.cpu_seconds for p in sent) + sum(r.cpu_seconds for r in seen),
        backpressure_seconds=backpressure,
        lost=in_all - sum(r.messages for r in seen) + sum(r.duplicated for r in seen),
        duplicated=sum(r.duplicated for r in seen),
        out_of_order=sum(r.out_of_order for r in seen),
        corrupted=sum(r.corrupted for r in seen),
        slowest_to_fastest=min(rates) / max(rates),
        memcpy_GB_per_s=memcpy,
        ratio=size / seconds / 1e9 / memcpy,
    )


_DELAYS: Final = ("p50", "p95", "p99", "max")


def _read(path: Path, kind: type[T]) -> T:
    return msgspec.json.decode(path.read_bytes(), type=kind)


def _tmpfs() -> Path | None:
    path = Path("/dev/shm")  # noqa: S108 - a scratch file of mode 0600 in a folder of mode 0700
    return path if path.is_dir() else None


def say_on_terminal(text: str) -> None:
    """A progress line that the next one replaces; nothing where there is no terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text:<70}")
        sys.stderr.flush()


def as_json(result: BenchResult) -> str:
    """One result on one line."""
    plain: dict[str, Any] = msgspec.to_builtins(result)
    return msgspec.json.encode(plain).decode()
