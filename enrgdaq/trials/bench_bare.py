"""What cores and memory allow: the same copies and looks by processes with nothing between them.

Producers copy payloads into memory that they share with consumers, consumers add up every word, and
whoever has nothing to do sleeps for a moment. No headers, no bells, no messages: what the real
system is compared with where more processes than cores share the memory.
"""

import mmap
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from enrgdaq.errors import EnrgdaqError
from enrgdaq.trials.scratch import ScratchNode, tmpfs

_SECONDS: Final = 1.5
_SETTLE_SECONDS: Final = 0.2
_NAP_SECONDS: Final = 0.0001
_PAGE: Final = 4096
_LINE: Final = 8  # words of a cache line
_LONGEST_SECONDS: Final = 30
_MODULE: Final = "enrgdaq.trials.bench_bare"

Words = np.ndarray[Any, np.dtype[np.uint64]]


class _Shape(NamedTuple):
    payload_bytes: int
    slots: int
    producers: int
    consumers: int

    @property
    def workers(self) -> list[str]:
        return [f"p{n}" for n in range(self.producers)] + [f"c{n}" for n in range(self.consumers)]

    @property
    def counters(self) -> int:
        return self.producers * (1 + self.consumers) + len(self.workers) + 1

    @property
    def counter_bytes(self) -> int:
        return -(-self.counters * _LINE * 8 // _PAGE) * _PAGE

    @property
    def size(self) -> int:
        return self.counter_bytes + self.producers * self.slots * self.payload_bytes


class _Shared:
    """Memory of all processes: counters ``written`` and ``read``, and payloads.

    Each counter has a cache line of its own. ``begin`` is a time, monotonic ns, set once all
    workers are ``ready``.
    """

    def __init__(self, path: Path, shape: _Shape) -> None:
        with path.open("r+b") as file:
            mapping = mmap.mmap(file.fileno(), 0)
        counters = np.frombuffer(mapping, np.uint64, shape.counters * _LINE)[::_LINE]
        payloads = np.frombuffer(mapping, np.uint64, offset=shape.counter_bytes)
        self.begin: Words = counters[:1]
        self.ready: Words = counters[1 : 1 + len(shape.workers)]
        written_and_read = counters[1 + len(shape.workers) :]
        self.written: Words = written_and_read[: shape.producers]
        self.read: Words = written_and_read[shape.producers :].reshape(
            shape.consumers, shape.producers
        )
        self.payloads: Words = payloads.reshape(shape.producers, shape.slots, -1)


def bare_rate(payload_bytes: int, producers: int, consumers: int, ring_bytes: int) -> float:
    """GB/s of payloads that all consumers have read, in rings of so many bytes.

    Raises :class:`EnrgdaqError` when a process fails.
    """
    payload_bytes -= payload_bytes % 8
    shape = _Shape(payload_bytes, max(2, ring_bytes // payload_bytes), producers, consumers)
    with ScratchNode("bare", tmpfs()) as scratch:
        path = scratch.folder / "m"
        with path.open("wb") as file:
            file.truncate(shape.size)
        shared = _Shared(path, shape)
        given = [str(path), *map(str, shape)]
        _run_all([[sys.executable, "-m", _MODULE, name, *given] for name in shape.workers], shared)
        return float(shared.read.sum()) / consumers * payload_bytes / _SECONDS / 1e9


def _run_all(commands: list[list[str]], shared: _Shared) -> None:
    """Run them, at work from one moment on."""
    workers = [subprocess.Popen(command, stdin=subprocess.DEVNULL) for command in commands]
    give_up_at = time.monotonic() + _LONGEST_SECONDS
    try:
        while not shared.ready.all() and time.monotonic() < give_up_at:
            if any(worker.poll() is not None for worker in workers):
                break
            time.sleep(_NAP_SECONDS)
        shared.begin[0] = time.monotonic_ns() + int(_SETTLE_SECONDS * 1e9)
        codes = [worker.wait(timeout=_LONGEST_SECONDS) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    if any(codes):
        raise EnrgdaqError(f"processes without ENRGDAQ failed: exit codes {codes}")


def _work_until(shared: _Shared, worker: int) -> float:
    """Say that this worker is ready, wait for the beginning, and tell the end, monotonic s."""
    shared.ready[worker] = 1
    while not (begin := int(shared.begin[0]) / 1e9):
        time.sleep(_NAP_SECONDS)
    time.sleep(max(0.0, begin - time.monotonic()))
    return begin + _SECONDS


def _produce(shared: _Shared, number: int) -> None:
    ring = shared.payloads[number]
    ring.fill(1)  # the first touch of a page is no copy
    source = np.ones(ring.shape[1], np.uint64)
    end = _work_until(shared, number)
    done = 0
    while time.monotonic() < end:
        if done - min(shared.read[:, number].tolist()) >= len(ring):
            time.sleep(_NAP_SECONDS)
            continue
        ring[done % len(ring)] = source
        done += 1
        shared.written[number] = done


def _consume(shared: _Shared, number: int) -> None:
    end = _work_until(shared, len(shared.written) + number)
    done = [0] * len(shared.written)
    while time.monotonic() < end:
        is_idle = True
        for producer, ring in enumerate(shared.payloads):
            while done[producer] < int(shared.written[producer]) and time.monotonic() < end:
                if int(ring[done[producer] % len(ring)].sum()) != ring.shape[1]:
                    raise AssertionError("a payload was overwritten")
                done[producer] += 1
                shared.read[number, producer] = done[producer]
                is_idle = False
        if is_idle:
            time.sleep(_NAP_SECONDS)


def _main(name: str, path: str, *shape: str) -> None:
    shared = _Shared(Path(path), _Shape(*map(int, shape)))
    work = _produce if name[0] == "p" else _consume
    work(shared, int(name[1:]))


if __name__ == "__main__":
    _main(*sys.argv[1:])
