"""Named places at which a trial can kill, stop or trip the very process that passes there.

Off, unless the environment variable :data:`FOLDER_VARIABLE` names a folder when the process
starts. A trial then *arms* a point for one process by writing the file ``POINT@PROCESS``
there. A point in a cold path is a call that looks at one module variable; the words of a ring
are watched from outside (:func:`watch_words`), so that the path of a record, at 1 to 2 µs, has
no line more than it needs.
"""

import errno
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal, cast

import msgspec

FOLDER_VARIABLE: Final = "ENRGDAQ_FAULT_FOLDER"

POINTS: Final[Mapping[str, str]] = {
    "ring.due": "a record's bytes are written; nobody is owed it yet",
    "ring.head": "a record is owed to its consumers, and not visible yet",
    "ring.sequence": "a record is visible, and its number not counted yet",
    "ring.pad": "the pad at the end of a lap is visible, the record after it not written",
    "ring.tail": "room for a record was found, and the tail not moved yet",
    "ring.repair": "a new producer mends what the one before it left half done",
    "ring.cursor": "rows and watermark are durable, and the ring not released yet",
    "ring.reserve": "the memory of a new ring is about to be reserved",
    "store.rows": "rows are about to be written into a file",
    "store.torn": "half of a flush is in the file",
    "store.journal": "rows are in the file, their watermark is not",
    "store.replace": "a new journal or snapshot is written, and not yet in its place",
    "store.snapshot": "a snapshot is in its place, its watermark is not",
    "store.roll": "a file is closed because it is full, the next is not begun",
    "store.rolled": "the next file is begun, and nothing in it",
    "store.seal": "a finished file is about to be given its sidecar",
    "store.recover": "a file was cut back after a crash, the journal not written again",
    "server.insert": "some rows of a transaction are with the server, others are not",
    "server.commit": "a flush is ready at the server but for its COMMIT, or its MULTI/EXEC",
    "server.committed": "the server has rows and watermark, and the store does not act on it yet",
    "spool.torn": "half of a block is in the spool",
    "spool.block": "a block is in the spool, and its records not released from their rings",
    "spool.drained": "records are durable at the server, and still in the spool",
    "spool.removed": "a segment that is used up was removed",
    "supervisor.ring": "a ring is made, and its job not started",
    "supervisor.launch": "a job's process is about to be asked for",
    "supervisor.copy": "a ring that is owed to somebody is copied, and not yet in its place",
    "supervisor.kept": "a ring is kept in the state folder, and still in memory",
    "supervisor.drained": "an old ring is drained, one of its two copies removed",
}
"""Every point, and what is done and not done there."""

Action = Literal["kill", "stop", "no_space", "slow", "clock"]


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What happens at an armed point, from the ``nth`` pass on.

    ``kill`` and ``stop`` (SIGSTOP) happen once, and so does ``clock``: from then on this
    process's wall clock (``time.time``, ``time.time_ns``) is ``seconds`` behind. ``no_space``
    raises ``OSError`` and ``slow`` sleeps ``seconds`` at each pass, while the file is there.
    """

    action: Action
    nth: int = 1
    seconds: float = 0.0


def fault_path(folder: Path, point: str, process: str) -> Path:
    """The file that arms a point for a process: a job's id, or ``supervisor``."""
    return folder / f"{point}@{process}"


def arm(folder: Path, point: str, process: str, fault: Fault) -> Path:
    """Arm a point; returns the file, which is gone when a fault that comes once has come."""
    path = fault_path(folder, point, process)
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.write_bytes(msgspec.json.encode(fault))
    unfinished.replace(path)
    return path


def enter(process: str) -> None:
    """Say which process this is. Without the environment variable nothing is ever armed."""
    global _trial  # noqa: PLW0603 - one per process, and `hit` must cost nothing
    folder = os.environ.get(FOLDER_VARIABLE)
    _trial = _Trial(Path(folder), process) if folder else None


def hit(point: str, first: Callable[[], object] | None = None) -> None:
    """Pass a point. ``first``: what is done before the fault, such as half of a write.

    Raises ``OSError`` where a full disk is played.
    """
    if _trial is not None:
        _trial.hit(point, first)


def watch_words(words: memoryview, points: Mapping[int, str]) -> memoryview:
    """Shared words with a point before each write of some of them; ``words`` itself when off."""
    if _trial is None:
        return words
    return cast(memoryview, _WatchedWords(words, points, _trial))


class _Trial:
    def __init__(self, folder: Path, process: str) -> None:
        self._folder = folder
        self._process = process
        self._passes: Counter[str] = Counter()

    def hit(self, point: str, first: Callable[[], object] | None = None) -> None:
        path = fault_path(self._folder, point, self._process)
        try:
            fault = msgspec.json.decode(path.read_bytes(), type=Fault)
        except FileNotFoundError:
            return
        self._passes[point] += 1
        if self._passes[point] < fault.nth:
            return
        if fault.action == "slow":
            time.sleep(fault.seconds)
            return
        if fault.action == "no_space":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        self._passes[point] = 0
        if first is not None:
            first()
        path.unlink(missing_ok=True)
        if fault.action == "clock":
            _set_clock_back(fault.seconds)
        else:
            os.kill(os.getpid(), signal.SIGKILL if fault.action == "kill" else signal.SIGSTOP)


class _WatchedWords:
    """Stands where the words' memoryview is, as far as readers and writers of rings use it."""

    def __init__(self, words: memoryview, points: Mapping[int, str], trial: _Trial) -> None:
        self._words = words
        self._points = points
        self._trial = trial

    def __getitem__(self, index: int) -> int:
        value: int = self._words[index]
        return value

    def __setitem__(self, index: int, value: int) -> None:
        point = self._points.get(index)
        if point is not None:
            self._trial.hit(point)
        self._words[index] = value


def _set_clock_back(seconds: float) -> None:
    """For this process only: a trial must not change the clock of the machine."""
    real, real_ns = time.time, time.time_ns
    time.time = lambda: real() - seconds
    time.time_ns = lambda: real_ns() - int(seconds * 1e9)


_trial: _Trial | None = None
