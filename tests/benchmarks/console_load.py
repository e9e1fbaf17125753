"""Measures what the console costs and how quickly it answers, on real terminals.

    uv run python -m tests.benchmarks.console_load [--quick] [PART ...]

Parts: ``start`` (first picture, attach), ``idle`` (20 jobs at one message a second: share of a
core, bytes to the terminal), ``flood`` (50 000 log lines/s and 50 000 messages/s: delay of keys),
``rate`` (a producer at full speed, in turns with and without a console), ``many`` (200 jobs and
500 topics whose figures all change: delay of keys that scroll), ``stall`` (a line that takes
nothing for a minute: CPU of the console, longest pause in the data).
"""

import argparse
import csv
import itertools
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from enrgdaq.trials.scratch import ScratchNode
from tests.benchmarks.far_terminal import FarTerminal

WATCH = """
import sys
from pathlib import Path
from tui import session
session.run(Path(sys.argv[1]), readonly=False, own_pid=None, refresh_seconds=0.5)
"""
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


def start(quick: bool, state: str) -> None:
    """Time from the command to the first picture with jobs in it."""
    with ScratchNode("console") as node:
        _jobs(node, 3)
        first, attach = [], []
        for _ in range(2 if quick else 5):
            terminal = _console(node, state)
            first.append(terminal.until(rb"ALL WELL|STARTING|NOT ALL") - terminal.began)
            terminal.until(rb"ALL WELL")
            terminal.leave()
            for _ in range(2):
                terminal = _console(node, state)
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
            terminal = _console(node, state, size)
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


KEYS: tuple[tuple[str, bytes, bytes], ...] = (
    # What the key brings onto the screen, and only that key. The cursor's mark is drawn anew when
    # it moves, and when a page goes away.
    ("j", b"j", "▌".encode()),
    ("k", b"k", "▌".encode()),
    ("r", b"r", b"any other key"),
    ("r x", b"x", b"left as it is"),
    ("?", b"?", b"Everywhere"),
    ("? q", b"q", "▌".encode()),
    ("E", b"E", b"supervisor started"),
    ("E q", b"q", "▌".encode()),
    ("q", b"q", b"Leave it running"),
    ("q q", b"q", "▌".encode()),
)


def flood(quick: bool, state: str) -> None:
    """Delay from a key to its effect on the terminal, under load."""
    rounds = 12 if quick else 60
    with ScratchNode("console") as node:
        _jobs(node, 3)
        jobs = node.configs / "jobs"
        jobs.mkdir()
        (jobs / "flood.py").write_text(FLOOD)
        node.add("flood", {"daq_job_type": "DAQJobFlood"})
        _stream(node, rate=50_000.0)
        node.start()
        terminal = _console(node, state)
        terminal.until(rb"jobs run")
        time.sleep(5.0)
        before, began = _lines_and_messages(node), time.perf_counter()
        used = terminal.cpu_seconds()
        delays = _press(terminal, KEYS, rounds)
        after, passed = _lines_and_messages(node), time.perf_counter() - began
        share = 100 * (terminal.cpu_seconds() - used) / passed
        terminal.leave()
        lines, messages = ((b - a) / passed for a, b in zip(before, after, strict=True))
        _say_delays("key to picture under flood", delays)
        _say(
            "  meanwhile",
            f"{lines:.0f} lines/s",
            f"taken or counted, {messages:.0f} msg/s, console {share:.0f} % of a core",
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
            terminal = _console(node, state)
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


def many(quick: bool, state: str) -> None:
    """200 jobs and 500 topics, all of whose figures change with every picture."""
    rounds = 30 if quick else 150
    mark = "▌".encode()
    scroll = (("j", b"j", mark), ("page down", b"\x1b[6~", mark), ("page up", b"\x1b[5~", mark))
    script = Path(__file__).with_name("many_jobs.py")
    with subprocess.Popen(
        [sys.executable, str(script), "200", "500"], stdout=subprocess.PIPE, text=True
    ) as crowd:
        try:
            assert crowd.stdout is not None
            socket_path = crowd.stdout.readline().strip()
            for size in ((80, 24), (200, 50)):
                terminal = FarTerminal(["-c", WATCH, socket_path], state, size)
                terminal.until(rb"jobs run")
                time.sleep(3.0)
                used, began = terminal.cpu_seconds(), time.perf_counter()
                delays = _press(terminal, scroll, rounds)
                terminal.press(b"\t")
                time.sleep(0.5)
                delays |= {
                    f"topics {key}": d for key, d in _press(terminal, scroll, rounds).items()
                }
                passed = time.perf_counter() - began
                share = 100 * (terminal.cpu_seconds() - used) / passed
                terminal.leave()
                _say_delays(f"200 jobs, {size[0]}x{size[1]}", delays)
                _say("  meanwhile", f"{share:.0f} % of a core", "with 10 keys a second")
        finally:
            crowd.send_signal(signal.SIGINT)


def stall(quick: bool, state: str) -> None:
    """A line that takes nothing more for a minute."""
    seconds = 10.0 if quick else 60.0
    with ScratchNode("console") as node:
        _jobs(node, 1)
        node.add(
            "ticks",
            {
                "daq_job_type": "DAQJobTest",
                "rand_min": 1,
                "rand_max": 9,
                "interval_seconds": 0.02,
                "store_config": {"csv": {"file_path": "ticks.csv"}},
            },
        )
        node.start()
        terminal = _console(node, state)
        terminal.until(rb"ALL WELL")
        time.sleep(2.0)
        terminal.stall()
        time.sleep(10.0)
        used, began = terminal.cpu_seconds(), time.perf_counter()
        time.sleep(seconds)
        passed = time.perf_counter() - began
        share = 100 * (terminal.cpu_seconds() - used) / passed
        terminal.read_on()
        back = terminal.delay(b"?", b"Everywhere")
        terminal.press(b"q")
        terminal.leave()
        node.stop()
        with (node.out / "ticks.csv").open(newline="") as file:
            times = [float(row["timestamp"]) for row in csv.DictReader(file)]
        gap = max(b - a for a, b in itertools.pairwise(times))
        _say(
            f"line stalled for {passed:.0f} s",
            f"{share:.1f} % of a core",
            f"longest pause between rows {1000 * gap:.0f} ms, first key after it {back:.0f} ms",
        )


PARTS: dict[str, Callable[[bool, str], None]] = {
    "start": start,
    "idle": idle,
    "flood": flood,
    "rate": rate,
    "many": many,
    "stall": stall,
}


def _console(node: ScratchNode, state: str, size: tuple[int, int] = (80, 24)) -> FarTerminal:
    return FarTerminal(["-m", "tui.cli", "--daq-job-config-path", str(node.configs)], state, size)


def _press(
    terminal: FarTerminal, keys: Sequence[tuple[str, bytes, bytes]], rounds: int
) -> dict[str, list[float]]:
    delays: dict[str, list[float]] = {name: [] for name, _, _ in keys}
    for number in range(rounds):
        for name, pressed, pattern in keys:
            delays[name].append(terminal.delay(pressed, pattern))
            time.sleep(0.05 + 0.013 * (number % 7))
    return delays


def _say_delays(what: str, delays: dict[str, list[float]]) -> None:
    everything = sorted(delay for some in delays.values() for delay in some)
    _say(what, f"p50 {statistics.median(everything):.0f} ms", f"p99 {_p99(everything):.0f} ms")
    for name, some in delays.items():
        figures = f"p99 {_p99(some):.0f} ms, max {max(some):.0f} ms"
        _say(f"  {name}", f"p50 {statistics.median(some):.0f} ms", figures)


def _p99(delays: list[float]) -> float:
    return sorted(delays)[int(0.99 * len(delays))]


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
