"""A real supervisor whose consoles come and go."""

import csv
import datetime as dt
import itertools
import sys
import time

import psutil
from terminal_driver import OnTerminal

from tests.system.node import Node, wait_until

STORE = 'daq_job_type = "DAQJobStoreCSV"\nflush_interval_seconds = 0.1\n'
TICKS = (
    'daq_job_type = "DAQJobTest"\nrand_min = 1\nrand_max = 9\ninterval_seconds = 0.02\n'
    '[store_config.csv]\nfile_path = "ticks.csv"\n'
)
# With a controlling terminal, as a shell gives it.
START = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
{patch}
from tui.cli import main
sys.exit(main(sys.argv[1:]))
"""
LONGEST_GAP_SECONDS = 1.5  # between two ticks of 20 ms, on a machine that is busy


class Life:
    """A node whose supervisor is started by its consoles."""

    def __init__(self, node: Node) -> None:
        self.node = node
        node.add("csv", STORE)
        node.add("ticks", TICKS)
        self.consoles: list[OnTerminal] = []

    def console(self, *options: str, patch: str = "") -> OnTerminal:
        """One more console; it has drawn its first picture."""
        command = [sys.executable, "-c", START.format(patch=patch), *options]
        opened = OnTerminal(command, cwd=self.node.folder, environment=self.node.environment)
        self.consoles.append(opened)
        return opened

    def ticks(self) -> list[float]:
        """Times of all rows that are stored."""
        path = self.node.out / "ticks.csv"
        if not path.exists():
            return []
        with path.open(newline="") as file:
            return [_seconds(row["timestamp"]) for row in csv.DictReader(file) if row["timestamp"]]

    def goes_on(self) -> None:
        """Rows are stored that were taken after this moment."""
        began = time.time()
        wait_until(
            lambda: (ticks := self.ticks()) and ticks[-1] > began + 0.2, what="rows of later"
        )

    def longest_gap(self) -> float:
        """The longest time without a row."""
        ticks = self.ticks()
        return max(b - a for a, b in itertools.pairwise(ticks))

    def supervisors(self) -> list[int]:
        """Processes of `enrgdaq run` of this node."""
        found = []
        for process in psutil.process_iter(["cmdline", "environ"]):
            runtime = (process.info["environ"] or {}).get("XDG_RUNTIME_DIR")
            if runtime == str(self.node.runtime) and "run" in (process.info["cmdline"] or []):
                found.append(process.pid)
        return found

    def close(self) -> None:
        """End what still runs."""
        for console in self.consoles:
            console.close()
        if self.supervisors():
            said = self.node.run("shutdown")
            assert said.returncode == 0, said.stderr
        wait_until(lambda: not self.node.leftovers(), what="everything to be gone")


def _seconds(text: str) -> float:
    try:
        value = float(text)
        return value / 1000 if value > 1e11 else value
    except ValueError:
        return dt.datetime.fromisoformat(text).timestamp()
