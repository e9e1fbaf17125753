"""The processes of one supervisor, and signals that reach them and nobody else.

A process is looked for below the supervisor that the trial itself has started. It is opened
first and checked to be that child then: a process id that was given away in between belongs
to somebody else's parent, and what is signalled is the opened process, never a number.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil

from enrgdaq.trials.chaos.plan import FORKSERVER, SUPERVISOR

_FORKSERVER_MODULE: Final = "enrgdaq.supervisor.forkserver"
_NAME_PREFIX: Final = "daq:"  # given by the forkserver; the kernel keeps 15 characters
_NAME_LENGTH: Final = 15


class Opened:
    """A process that was opened, and can be signalled until it is closed."""

    def __init__(self, pid: int, descriptor: int) -> None:
        self.pid = pid
        self._descriptor = descriptor

    def signal(self, number: int) -> bool:
        """Send a signal; ``False`` when the process has ended."""
        try:
            signal.pidfd_send_signal(self._descriptor, number)
        except ProcessLookupError:
            return False
        return True

    def close(self) -> None:
        """Let go of it; idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def open_process(supervisor: int, target: str) -> Opened | None:
    """The supervisor, its forkserver, or one of its children by name; ``None``: not there."""
    if target == SUPERVISOR:
        return _open(supervisor, os.getpid())
    for parent, process in _below(supervisor):
        with contextlib.suppress(psutil.Error):
            if _name(process) == target:
                return _open(process.pid, parent)
    return None


def open_all(supervisor: int) -> list[Opened]:
    """The supervisor and everything below it, the supervisor first."""
    pairs = [(os.getpid(), supervisor)]
    pairs += [(parent, process.pid) for parent, process in _below(supervisor)]
    found = (_open(pid, parent) for parent, pid in pairs)
    return [process for process in found if process is not None]


def marked_with(variable: str, value: str) -> list[psutil.Process]:
    """Processes of this user whose environment has been given a variable at their start."""
    found = []
    marker = f"{variable}={value}".encode()
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            environment = Path(f"/proc/{process.pid}/environ").read_bytes()
            if marker in environment.split(b"\0") and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _below(supervisor: int) -> Iterator[tuple[int, psutil.Process]]:
    """The forkserver and its children, each with its parent's process id."""
    try:
        for process in psutil.Process(supervisor).children():
            if _FORKSERVER_MODULE in process.cmdline():
                yield supervisor, process
                for child in process.children():
                    yield process.pid, child
    except psutil.Error:
        return


def _name(process: psutil.Process) -> str:
    name: str = process.name()
    # psutil lengthens a name that the kernel has cut from the command line, which here is
    # the forkserver's.
    if name.startswith(_NAME_PREFIX):
        return name[len(_NAME_PREFIX) : _NAME_LENGTH]
    return FORKSERVER if _FORKSERVER_MODULE in process.cmdline() else ""


def _open(pid: int, parent: int) -> Opened | None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    opened = Opened(pid, descriptor)
    with contextlib.suppress(psutil.Error):
        if psutil.Process(pid).ppid() == parent:
            return opened
    opened.close()
    return None
