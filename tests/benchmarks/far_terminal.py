"""A console at the far end of a pseudo terminal."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Sequence

import psutil


class FarTerminal:
    """A console at the far end of a pseudo terminal that is read as fast as it writes."""

    def __init__(
        self, arguments: Sequence[str], state: str, size: tuple[int, int] = (80, 24)
    ) -> None:
        """``arguments``: of Python; ``state``: folder of what consoles remember."""
        self._near, far = pty.openpty()
        fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "XDG_STATE_HOME": state}
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=far,
            stdout=far,
            stderr=far,
            env=environment,
            start_new_session=True,
        )
        os.close(far)
        self.bytes = 0
        self._is_stalled = False
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

    def delay(self, keys: bytes, pattern: bytes) -> float:
        """Milliseconds from a key to what it brings onto the screen."""
        pressed = time.perf_counter()
        self.press(keys)
        return 1000 * (self.until(pattern) - pressed)

    def stall(self) -> None:
        """Read nothing more."""
        self._is_stalled = True

    def read_on(self) -> None:
        """Read again."""
        self._is_stalled = False

    def cpu_seconds(self) -> float:
        """CPU time of the console's process."""
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def leave(self) -> None:
        """Detach."""
        self.press(b"d")
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
            if self._is_stalled:
                time.sleep(0.05)
                continue
            if not select.select([self._near], [], [], 0.05)[0]:
                continue
            try:
                data = os.read(self._near, 65_536)
            except OSError:
                return
            with self._lock:
                self.bytes += len(data)
                self._recent = (self._recent + data)[-200_000:]
