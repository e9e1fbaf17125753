"""A program at the far end of a pseudo terminal."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


class OnTerminal:
    """The console in a process and session of its own, at the far end of a terminal."""

    def __init__(
        self,
        command: list[str],
        *,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.near, far = pty.openpty()
        fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before: list[Any] = termios.tcgetattr(far)
        self.far = far
        self.output = b""
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=far,
            stdout=far,
            stderr=far,
            start_new_session=True,
        )
        self.until(lambda: b"ALL WELL" in self.output)

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self.near, keys)

    def until(self, condition: Callable[[], bool], limit_seconds: float = 20.0) -> None:
        """Read what is drawn until something is true."""
        deadline = time.monotonic() + limit_seconds
        while not condition():
            assert time.monotonic() < deadline, self.output[-2000:]
            if select.select([self.near], [], [], 0.02)[0]:
                self.output += os.read(self.near, 65536)

    def ended(self) -> int:
        """Wait for the program's end; its exit code."""
        self.until(lambda: self.process.poll() is not None)
        while select.select([self.near], [], [], 0)[0]:
            self.output += os.read(self.near, 65536)
        return self.process.returncode

    def is_as_before(self) -> bool:
        """Modes as they were; main screen, cursor on, no reports: by the last word on each."""
        said = {mode: bool(on == b"h") for mode, on in MODES.findall(self.output)}
        usual = {b"1049": False, b"25": True, b"1004": False, b"2004": False, b"7": True}
        return (
            all(said.get(mode, usual[mode]) is usual[mode] for mode in usual)
            and b"1000" not in said
            and termios.tcgetattr(self.far) == self.before
        )

    def clog(self) -> None:
        """Fill the line with blanks until it takes no more: the program's next picture waits."""
        # Opened anew: a flag set on the program's own descriptors would be set for it too.
        line = os.open(os.ttyname(self.far), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            while True:
                os.write(line, b" " * 4096)
        except BlockingIOError:
            return
        finally:
            os.close(line)

    def cut(self) -> None:
        """The line is gone, from one moment to the next."""
        os.close(self.far)
        os.close(self.near)
        self.far = self.near = -1

    def close(self) -> None:
        """End the program, if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for descriptor in (self.near, self.far):
            if descriptor >= 0:
                os.close(descriptor)


MODES = re.compile(rb"\x1b\[\?(\d+)([hl])")
