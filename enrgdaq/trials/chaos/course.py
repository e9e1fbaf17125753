"""The course of a trial: a system that is kept on its feet, and disturbances that last."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from enrgdaq.control.status import JobStatus
from enrgdaq.errors import EnrgdaqError
from enrgdaq.transport import faults
from enrgdaq.transport.faults import Fault
from enrgdaq.trials.chaos import processes
from enrgdaq.trials.chaos.processes import Opened
from enrgdaq.trials.chaos.report import Deeds
from enrgdaq.trials.chaos.system import System

_POLL_SECONDS: Final = 0.02


@dataclass
class _Lasting:
    """A disturbance that goes on beside the next steps."""

    target: str
    until: float
    end: Callable[[], None]


class Course:
    """What all disturbances have in common. Whatever lasts, :meth:`relieve` undoes."""

    def __init__(self, system: System, deeds: Deeds, *, patience_seconds: float = 20.0) -> None:
        """``patience_seconds``: for what the system does within a second or two, on a loaded
        machine."""
        self.system = system
        self.node = system.node
        self.deeds = deeds
        self.patience_seconds = patience_seconds
        self.is_down = True
        """Not running, because it was killed or could not start: no fault of its own."""
        self.has_kept_rings = False
        self._lasting: list[_Lasting] = []

    def give_up(self) -> None:
        """End everything that still goes on, and take back what has not come yet."""
        for armed in self.system.faults.iterdir():
            armed.unlink(missing_ok=True)
        self.relieve()

    def relieve(self, target: str | None = None) -> None:
        """End everything that still goes on, or what goes on with one."""
        while over := next((one for one in self._lasting if target in (None, one.target)), None):
            self._lasting.remove(over)
            over.end()

    def ensure_running(self) -> None:
        """Start the system where it does not run; that it ended by itself is a complaint."""
        if self.node.pid is not None and not self.is_down:
            return
        if not self.is_down:
            code = self.node.wait_for_end(0.0)
            self.complain(f"the supervisor ended with code {code}: {self.node.words()}")
        try:
            if self.node.pid is None:
                self.node.launch()
            self.node.wait_for_answer()
        except EnrgdaqError as error:
            self.complain(f"the system did not start: {error}")
            raise
        self.is_down = self.has_kept_rings = False

    def wait_for(self, condition: Callable[[], Any], seconds: float | None = None) -> bool:
        """Wait for a condition, ending what lasts in time; whether it came."""
        deadline = time.monotonic() + (self.patience_seconds if seconds is None else seconds)
        while not condition():
            if time.monotonic() >= deadline:
                return False
            self.wait(_POLL_SECONDS)
        return True

    def wait(self, seconds: float) -> None:
        """Let time pass, ending what lasts in time."""
        deadline = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            # One at a time: the end of one may wait, and so end others.
            while over := next((one for one in self._lasting if now >= one.until), None):
                self._lasting.remove(over)
                over.end()
            if now >= deadline:
                return
            time.sleep(min(_POLL_SECONDS, deadline - now))

    def last(self, target: str, seconds: float, end: Callable[[], None]) -> None:
        """Let a disturbance go on for so long."""
        self._lasting.append(_Lasting(target, time.monotonic() + seconds, end))

    def complain(self, text: str) -> None:
        """Note what should not be so."""
        self.deeds.complaints.append(text)

    def job(self, name: str) -> JobStatus | None:
        """The state of a job, if the supervisor answers."""
        snapshot = self.node.snapshot()
        return next((j for j in snapshot.jobs if j.id == name), None) if snapshot else None

    def goes_on(self, name: str) -> bool:
        """Whether a job writes; that the system was killed meanwhile is another matter.

        What it has in its spool may take longer.
        """
        job = self.job(name)
        is_well = job is not None and job.state == "running" and "waiting" not in job.condition
        return self.is_down or is_well

    def open(self, target: str) -> Opened | None:
        """A process by name; between two lives it is waited for."""
        found: list[Opened] = []

        def look() -> bool:
            pid = self.node.pid
            opened = processes.open_process(pid, target) if pid is not None else None
            found.extend([opened] if opened is not None else [])
            return bool(found)

        return found[0] if self.wait_for(look) else None

    def arm(self, point: str, target: str, fault: Fault) -> Path:
        """Arm a fault point; returns the file that goes when the fault comes."""
        return faults.arm(self.system.faults, point, target, fault)

    def was_passed(self, armed: Path) -> bool:
        """Whether a fault comes in time; it is taken back otherwise."""
        if self.wait_for(lambda: not armed.exists()):
            return True
        armed.unlink(missing_ok=True)
        return False
