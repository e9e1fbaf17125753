"""Measures what the console costs and how quickly it answers, on real terminals.

    uv run python -m tests.benchmarks.console_load [--quick] [PART ...]

Parts: ``start`` (first picture, attach), ``idle`` (20 jobs at one message a second: share of a
core, bytes to the terminal), ``flood`` (50 000 log lines/s and 50 000 messages/s: delay of keys),
``rate`` (a producer at full speed, in turns with and without a console).
"""

import argparse
import fcntl
import os
import pty
import re
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from enrgdaq.trials.scratch import ScratchNode

FLOOD = """
from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.models import DAQJobConfig

class FloodConfig(DAQJobConfig):
    lines_per_second: int = 50_000

class DAQJobFlood(DAQJob):
    config_type = FloodConfig

    def start(self):
        while self.sleep(0.01):
            for number in range(self.config.lines_per_second // 100):
                self.log.info("line %d of a job that has a lot to say about nothing", number)
"""


class Terminal:
    """A console at the far end of a pseudo terminal that is read as fast as it writes."""

    def __init__(self, node: ScratchNode, state: str, size: tuple[int, int] = (80, 24)) -> None:
        self._near, far = pty.openpty()
        fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "XDG_STATE_HOME": state}
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tui.cli", "--daq-job-config-path", str(node.configs)],
            stdin=far,
            stdout=far,
            stderr=far,
            env=environment,
            start_new_session=True,
        )
        os.close(far)
        self.bytes = 0
        self._recent = b""
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def press(self, keys: bytes) -> None:
        """Press keys; what came before does not count any more."""
        with self._lock:
            self._recent = b""
        os.write(self._near, keys)

    def until(self, pattern: bytes, seconds: float = 60.0) -> float:
        """Wait for output; the time at which it came (``perf_counter``)."""
        wanted = re.compile(pattern)
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline:
            with self._lock:
                if wanted.search(self._recent):
                    return time.perf_counter()
            time.sleep(0.0005)
        raise SystemExit(f"{pattern!r} did not come within {seconds:g} s: {self._recent[-500:]!r}")

    def cpu_seconds(self) -> float:
        """CPU time of the console's process."""
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def leave(self) -> None:
        """Detach."""
        self.press(b"\x1b\x1bd")
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._ended.set()
        self._reader.join()
        os.close(self._near)

    def _read(self) -> None:
        while not self._ended.is_set():
            if not select.select([self._near], [], [], 0.05)[0]:
                continue
            try:
                data = os.read(self._near, 65_536)
            except OSError:
                return
            with self._lock:
                self.bytes += len(data)
                self._recent = (self._recent + data)[-200_000:]


def start(quick: bool, state: str) -> None:
    """Time from the command to the first picture with jobs in it."""
    with ScratchNode("console") as node:
        _jobs(node, 3)
        first, attach = [], []
        for _ in range(2 if quick else 5):
            terminal = Terminal(node, state)
            first.append(terminal.until(rb"ALL WELL|STARTING|NOT ALL") - terminal.began)
            terminal.until(rb"ALL WELL")
            terminal.leave()
            for _ in range(2):
                terminal = Terminal(node, state)
                attach.append(terminal.until(rb"ALL WELL") - terminal.began)
                terminal.leave()
            _shut_down(node)
        _say("start to first picture", f"{statistics.median(first):.2f} s", f"max {max(first):.2f}")
        _say("attach", f"{statistics.median(attach):.2f} s", f"max {max(attach):.2f}")


def idle(quick: bool, state: str) -> None:
    """20 jobs at one message a second."""
    seconds = 15.0 if quick else 40.0
    with ScratchNode("console") as node:
        _jobs(node, 19)
        node.start()
        for size in ((80, 24), (200, 50)):
            terminal = Terminal(node, state, size)
            terminal.until(rb"ALL WELL")
            time.sleep(8.0)
            cpu, written, began = terminal.cpu_seconds(), terminal.bytes, time.perf_counter()
            time.sleep(seconds)
            passed = time.perf_counter() - began
            share = 100 * (terminal.cpu_seconds() - cpu) / passed
            rate = (terminal.bytes - written) / passed / 1000
            terminal.leave()
            _say(
                f"20 jobs, {size[0]}x{size[1]}",
                f"{share:.1f} % of a core",
                f"{rate:.2f} kB/s to the terminal",
            )


def flood(quick: bool, state: str) -> None:
    """Delay from a key to its effect on the terminal, under load."""
    presses = 60 if quick else 300
    with ScratchNode("console") as node:
        _jobs(node, 3)
        jobs = node.configs / "jobs"
        jobs.mkdir()
        (jobs / "flood.py").write_text(FLOOD)
        node.add("flood", {"daq_job_type": "DAQJobFlood"})
        _stream(node, rate=50_000.0)
        node.start()
        terminal = Terminal(node, state)
        terminal.until(rb"jobs run")
        time.sleep(5.0)
        before, began = _lines_and_messages(node), time.perf_counter()
        delays = []
        for number in range(presses):
            # The cursor's mark is drawn anew when it moves, and only then.
            pressed = time.perf_counter()
            terminal.press(b"jk"[number % 2 : number % 2 + 1])
            delays.append(1000 * (terminal.until("▌".encode()) - pressed))
            time.sleep(0.05 + 0.013 * (number % 7))
        after, passed = _lines_and_messages(node), time.perf_counter() - began
        terminal.leave()
        lines, messages = ((b - a) / passed for a, b in zip(before, after, strict=True))
        delays.sort()
        _say(
            "key to picture under flood",
            f"p50 {statistics.median(delays):.0f} ms",
            f"p99 {delays[int(0.99 * len(delays))]:.0f} ms, max {delays[-1]:.0f} ms;"
            f" {lines:.0f} log lines/s taken or counted, {messages:.0f} msg/s",
        )


def rate(quick: bool, state: str) -> None:
    """A producer at full speed, in turns with and without a console."""
    seconds = 4.0 if quick else 8.0
    with ScratchNode("console") as node:
        _stream(node, rate=0.0)
        node.start()
        time.sleep(4.0)
        alone, watched = [], []
        for _ in range(2 if quick else 5):
            alone.append(_bytes_per_second(node, seconds))
            terminal = Terminal(node, state)
            terminal.until(rb"jobs run")
            time.sleep(1.0)
            watched.append(_bytes_per_second(node, seconds))
            terminal.leave()
        loss = 100 * (1 - statistics.median(watched) / statistics.median(alone))
        _say(
            "data rate with a console",
            f"{loss:+.1f} % lost",
            f"{statistics.median(alone) / 1e6:.0f} MB/s without,"
            f" {statistics.median(watched) / 1e6:.0f} MB/s with",
        )


PARTS: dict[str, Callable[[bool, str], None]] = {
    "start": start,
    "idle": idle,
    "flood": flood,
    "rate": rate,
}


def _jobs(node: ScratchNode, sources: int) -> None:
    node.configure({"ring_buffer_size_mb": 64})
    node.add("csv", {"daq_job_type": "DAQJobStoreCSV", "out_dir": str(node.out)})
    for number in range(sources):
        node.add(
            f"source{number:02d}",
            {
                "daq_job_type": "DAQJobTest",
                "rand_min": 1,
                "rand_max": 9,
                "interval_seconds": 1.0,
                "store_config": {"csv": {"file_path": f"{number}.csv"}},
            },
        )


def _stream(node: ScratchNode, rate: float) -> None:
    node.configure({"stop_grace_seconds": 30.0})
    node.add(
        "reader",
        {
            "daq_job_type": "DAQJobBenchmarkReader",
            "out_dir": str(node.out / "r"),
            "result_file": str(node.out / "reader.json"),
        },
    )
    node.add(
        "stream",
        {
            "daq_job_type": "DAQJobBenchmark",
            "payload_size": 1600,
            "lane": "raw",
            "seconds": 86_400.0,
            "rate": rate,
            "ring_size_mb": 32,
            "store_config": {"memory": {}},
        },
    )


def _bytes_per_second(node: ScratchNode, seconds: float) -> float:
    def head() -> tuple[int, float]:
        snapshot = node.snapshot()
        if snapshot is None:
            raise SystemExit("the supervisor does not answer")
        return sum(r.head for r in snapshot.rings), time.perf_counter()

    first, began = head()
    time.sleep(seconds)
    last, ended = head()
    return (last - first) / (ended - began)


def _lines_and_messages(node: ScratchNode) -> tuple[int, int]:
    snapshot = node.snapshot()
    if snapshot is None:
        raise SystemExit("the supervisor does not answer")
    newest = node.client.logs(limit=1).lines
    lines = (newest[-1].number if newest else 0) + snapshot.supervisor.log_dropped
    return lines, sum(job.messages_out for job in snapshot.jobs)


def _shut_down(node: ScratchNode) -> None:
    subprocess.run(
        [sys.executable, "-m", "enrgdaq", "shutdown", "--daq-job-config-path", str(node.configs)],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def _say(what: str, figure: str, more: str) -> None:
    print(f"{what:<28} {figure:<18} {more}", flush=True)


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter measurements")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="enrgdaq-state-") as state:
        for name in options.parts or PARTS:
            PARTS[name](options.quick, str(Path(state) / name))


if __name__ == "__main__":
    main()
