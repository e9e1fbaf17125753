"""Runs the finisher's process for one closed roll after the other."""

import logging
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_LATER: Final = 75  # exit code of the finisher for what may be better later
_RETRY_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.02


class Finisher:
    """Closed rolls become files, one at a time and off the store's thread."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._waiting: deque[Path] = deque()
        self._process: subprocess.Popen[str] | None = None
        self._next_try = 0.0

    def add(self, folders: Iterable[Path]) -> None:
        """Folders of closed rolls."""
        self._waiting.extend(folders)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left to do."""
        return not self._waiting

    def look(self) -> None:
        """Start the next one, or see what became of the last."""
        if self._process is None:
            if self._waiting and time.monotonic() >= self._next_try:
                self._start(self._waiting[0])
            return
        if self._process.poll() is not None:
            self._bury(self._process, self._waiting[0])
            self._process = None

    def wait(self, seconds: float) -> bool:
        """Go on until all are done, so long at most; whether they are."""
        deadline = time.monotonic() + seconds
        while self._waiting and time.monotonic() < deadline:
            self.look()
            time.sleep(_LOOK_SECONDS)
        return self.is_idle

    def close(self) -> None:
        """End what runs; the roll stays as it is. Idempotent."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "enrgdaq.daq.store.root.finish", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _bury(self, process: "subprocess.Popen[str]", folder: Path) -> None:
        said, complained = process.communicate()
        reason = (complained.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
        if process.returncode == _LATER:
            self._next_try = time.monotonic() + _RETRY_SECONDS
            self._log.error("%s waits to be finished: %s", folder, reason)
            return
        self._waiting.popleft()
        if process.returncode:
            self._log.error("%s cannot be finished, and is kept: %s", folder, reason)
        elif said.strip():
            self._log.info("finished %s", said.strip())
