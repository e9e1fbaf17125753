"""Has closed rolls finished by a process of their own, one after the other."""

import logging
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from enrgdaq.daq.store.floor import FreeSpaceFloor
from enrgdaq.daq.store.root.finish import LATER, Outcome

_RETRY_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.02


class Finisher:
    """Closed rolls become files off the store's thread.

    The process stays, since importing uproot takes a second.
    """

    def __init__(self, log: logging.Logger, floor: FreeSpaceFloor) -> None:
        self._log = log
        self._floor = floor
        self._waiting: deque[Path] = deque()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_busy = False
        self._answer = b""
        self._next_try = 0.0

    def add(self, folders: Iterable[Path]) -> None:
        """Folders of closed rolls."""
        self._waiting.extend(folders)

    @property
    def waiting(self) -> list[Path]:
        """Folders that are left to do."""
        return list(self._waiting)

    def prepare(self) -> None:
        """Start the process before it is needed, so that a stop need not wait for its imports."""
        if self._process is None and time.monotonic() >= self._next_try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "enrgdaq.daq.store.root.finish"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            assert self._process.stdout is not None  # noqa: S101 - as asked for
            os.set_blocking(self._process.stdout.fileno(), False)

    def look(self) -> None:
        """Hand the next one over, or see what became of the last."""
        if not self._waiting or time.monotonic() < self._next_try:
            return
        if self._is_busy:
            self._hear()
        elif lack := self._floor.lack():
            self._note(Outcome(code=LATER, text=lack), self._waiting[0])
        else:
            self._hand_over(self._waiting[0])

    def wait(self, seconds: float) -> None:
        """Go on until all are done, so long at most."""
        deadline = time.monotonic() + seconds
        while self._waiting and time.monotonic() < deadline:
            self.look()
            time.sleep(_LOOK_SECONDS)

    def close(self) -> None:
        """End the process; a roll that it is at stays as it is. Idempotent."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
        self._is_busy = False

    def _hand_over(self, folder: Path) -> None:
        self.prepare()
        assert self._process is not None  # noqa: S101 - prepared
        assert self._process.stdin is not None  # noqa: S101 - as asked for
        try:
            self._process.stdin.write(f"{folder}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            self._lose(folder)
            return
        self._is_busy = True
        self._answer = b""

    def _hear(self) -> None:
        assert self._process is not None  # noqa: S101 - it is busy
        assert self._process.stdout is not None  # noqa: S101 - as asked for
        try:
            said = os.read(self._process.stdout.fileno(), 65_536)
        except BlockingIOError:
            return
        if not said:
            self._lose(self._waiting[0])
            return
        self._answer += said
        if self._answer.endswith(b"\n"):
            self._is_busy = False
            self._note(msgspec.json.decode(self._answer, type=Outcome), self._waiting[0])

    def _lose(self, folder: Path) -> None:
        self.close()
        self._note(Outcome(code=LATER, text="the finisher's process has ended"), folder)

    def _note(self, outcome: Outcome, folder: Path) -> None:
        if outcome.code == LATER:
            self._next_try = time.monotonic() + _RETRY_SECONDS
            self._log.error("%s waits to be finished: %s", folder, outcome.text)
            return
        self._waiting.popleft()
        if outcome.code:
            self._log.error("%s cannot be finished, and is kept: %s", folder, outcome.text)
        elif outcome.text:
            self._log.info("finished %s", outcome.text)
