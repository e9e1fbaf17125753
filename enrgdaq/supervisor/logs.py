"""The log of a node: a bounded book in memory for displays, rotated files on disk."""

import contextlib
import datetime as dt
import logging
import os
import queue
import threading
import time
from collections import deque
from pathlib import Path
from typing import Final

from enrgdaq.control.protocol import LogLine
from enrgdaq.supervisor.rotated import RotatedFile
from enrgdaq.text import clean, clean_lines

_KEPT_LINES: Final = 20_000
_FILE_BYTES: Final = 20_000_000
_FILES: Final = 5
_TAIL_BYTES: Final = 2_000_000
_ECHO_LINES: Final = 2_000
_LATEST: Final = 253_402_300_799.0  # the last second of the year 9999: no date is later
_GRADES: Final = logging.getLevelNamesMapping()


class LogBook:
    """Every line of supervisor and jobs, numbered.

    Text is made safe on entry: what a job prints reaches no terminal raw.
    """

    def __init__(self, file: Path, *, echo: bool) -> None:
        self.path = file
        self.dropped = 0
        self._dropped_by: dict[str, int] = {}
        self._lines: deque[LogLine] = deque(maxlen=_KEPT_LINES)
        self._next = 1
        self._echo = Echo() if echo else None
        self._file = RotatedFile(file, max_bytes=_FILE_BYTES, files=_FILES)

    def add(self, job: str, level: str, text: str, moment: float) -> None:
        """Add a text; each of its lines becomes a line of the log.

        A moment that is none becomes that of the arrival: jobs make records as they like.
        """
        if not 0 <= moment < _LATEST:
            moment = time.time()
        level = clean(level)
        for line in clean_lines(text):
            entry = LogLine(number=self._next, time=moment, level=level, job=job, text=line)
            self._next += 1
            self._lines.append(entry)
            self._write(entry)

    def note_dropped(self, sender: str, total: int) -> None:
        """A sender says how many of its records were dropped since it started."""
        before = self._dropped_by.get(sender, 0)
        self._dropped_by[sender] = total
        # A restarted sender counts from zero again.
        self.dropped += total - before if total >= before else total

    def after(
        self, number: int, limit: int, *, job: str | None = None, level: str = "DEBUG"
    ) -> tuple[list[LogLine], int]:
        """Lines after ``number`` (-1: the newest), and how many of those are gone already.

        What is gone is counted only for who reads all of it: whose the lines were is not known.
        """
        found: list[LogLine] = []
        # From the end: who has read nearly all of the book pays for the rest only.
        for line in reversed(self._lines):
            if line.number <= number or (number < 0 and len(found) == limit):
                break
            if (job is None or line.job == job) and _grade(line.level) >= _grade(level):
                found.append(line)
        found.reverse()
        if number < 0:
            return found, 0
        if job is not None or level != "DEBUG":
            return found[:limit], 0
        oldest = self._lines[0].number if self._lines else self._next
        return found[:limit], max(0, oldest - number - 1)

    def errors_of(self, job: str, limit: int) -> list[str]:
        """The newest error lines of a job."""
        found = [
            line.text
            for line in self._lines
            if line.job == job and line.level in ("ERROR", "CRITICAL")
        ]
        return found[-limit:]

    def close(self) -> None:
        """Close the file; idempotent."""
        self._file.close()
        if self._echo is not None:
            self._echo.close()

    def _write(self, line: LogLine) -> None:
        text = format_line(line)
        self._file.write_line(text)
        if self._echo is not None:
            self._echo.write(text)


class Echo:
    """Lines to stderr from a thread of its own.

    A terminal that stalls (Ctrl-S, a frozen SSH link) or is gone costs lines of the echo,
    never a moment of the supervisor.
    """

    def __init__(self) -> None:
        self._lines: queue.Queue[str | None] = queue.Queue(maxsize=_ECHO_LINES)
        self._thread = threading.Thread(target=self._run, name="echo", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Queue a line; dropped when the terminal is that far behind."""
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(line)

    def close(self) -> None:
        """Give what is queued a second to be written; idempotent."""
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(None)
        self._thread.join(timeout=1.0)

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            # Not through sys.stderr: its lock must not be held when this stalls at exit.
            with contextlib.suppress(OSError):
                os.write(2, (line + "\n").encode(errors="replace"))


class BookHandler(logging.Handler):
    """Brings the supervisor's own log records into the book."""

    def __init__(self, book: LogBook) -> None:
        super().__init__()
        self._book = book

    def emit(self, record: logging.LogRecord) -> None:
        """Add one record."""
        self._book.add("", record.levelname, self.format(record), record.created)


def _grade(level: str) -> int:
    # What a job printed is no grave matter.
    return _GRADES.get(level, logging.INFO)


def format_line(line: LogLine) -> str:
    """``2026-01-31T12:00:00.000Z INFO  job: text`` in UTC."""
    moment = dt.datetime.fromtimestamp(line.time, dt.UTC)
    stamp = moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
    return f"{stamp} {line.level:<7} {line.job or 'supervisor'}: {line.text}"


def last_lines(file: Path, limit: int, job: str | None = None) -> list[str]:
    """The newest lines of a log file, as far as they are in its last 2 MB.

    Raises ``OSError`` when it cannot be read.
    """
    with file.open("rb") as log:
        start = max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES)
        log.seek(start)
        lines = log.read().decode(errors="replace").splitlines()
    # What a start in the middle cuts off is no line.
    found = lines[1:] if start else lines
    return [line for line in found if job is None or _is_of(line, job)][-limit:]


def _is_of(line: str, job: str) -> bool:
    _, _, text = line.partition(" ")
    return text.partition(" ")[2].lstrip().startswith(f"{job}: ")
