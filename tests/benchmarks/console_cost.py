"""What a console costs, and how soon it answers keys: on a real terminal, at a running supervisor.

``uv run python tests/benchmarks/console_cost.py configs/`` attaches read-only, and prints bytes a
second to the terminal, processor time, and times from a key to what it draws.
"""

import argparse
import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time
from pathlib import Path

import psutil

CURSOR = "▌".encode()


class Console:
    """``enrgdaq-console`` at the far end of a terminal."""

    def __init__(self, configs: Path, size: str) -> None:
        columns, rows = map(int, size.split("x"))
        self._near, far = pty.openpty()
        fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = psutil.Popen(
            [sys.executable, "-m", "tui.cli", "--readonly", "--daq-job-config-path", str(configs)],
            stdin=far,
            stdout=far,
            stderr=far,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color"},
        )
        os.close(far)

    def read(self, seconds: float, until: bytes = b"") -> tuple[int, float]:
        """Bytes that came, and after how long: all this time, or until something came."""
        began, seen = time.monotonic(), b""
        while (left := began + seconds - time.monotonic()) > 0:
            if select.select([self._near], [], [], left)[0]:
                seen += os.read(self._near, 65536)
                if until and until in seen:
                    break
        return len(seen), time.monotonic() - began

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._near, keys)

    def cpu_seconds(self) -> float:
        """Processor time used so far."""
        used = self.process.cpu_times()
        return float(used.user + used.system)

    def answers(self, keys: list[bytes], drawn: bytes, back: bytes = b"") -> str:
        """Times from key to picture. Keys fall everywhere between two pieces of news."""
        times = []
        for number, key in enumerate(keys):
            self.type(key)
            times.append(self.read(5.0, until=drawn)[1] * 1000)
            self.read(0.11 + 0.013 * (number % 9))
            if back:
                self.type(back)
                self.read(0.3)
        times.sort()
        half, most = times[len(times) // 2], times[int(len(times) * 0.99)]
        return f"p50 {half:.0f} ms, p99 {most:.0f} ms"


def main() -> None:
    """Measure, print, leave."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("configs", type=Path)
    parser.add_argument("--size", default="80x24")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--keys", type=int, default=100)
    options = parser.parse_args()
    console = Console(options.configs, options.size)
    try:
        first = console.read(30.0, until=b"UTC")[1]
        console.read(3.0)
        cpu = console.cpu_seconds()
        count, seconds = console.read(options.seconds)
        cpu = console.cpu_seconds() - cpu
        moves = [(b"j", b"k")[number % 2] for number in range(options.keys)]
        lines = (
            f"{options.size}: first picture after {first:.2f} s",
            f"{count / seconds:.0f} bytes/s, {100 * cpu / seconds:.1f} % of a core",
            f"cursor: {console.answers(moves, CURSOR)}",
            f"help:   {console.answers([b'?'] * (options.keys // 4), b'Everywhere', bytes([27]))}",
            f"load of this machine: {os.getloadavg()[0]:.1f}",
        )
        sys.stdout.write("\n".join(lines) + "\n")
    finally:
        console.process.kill()
        console.process.wait()


if __name__ == "__main__":
    main()
