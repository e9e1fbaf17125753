"""Carries out the steps of a plan on a running system, and puts it on its feet again."""

import contextlib
import functools
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from enrgdaq.control.protocol import JobStatus
from enrgdaq.errors import ControlError, ControlTimeoutError, EnrgdaqError
from enrgdaq.transport import faults
from enrgdaq.transport.faults import Fault
from enrgdaq.trials.chaos import processes
from enrgdaq.trials.chaos.plan import OCCASIONS, SUPERVISOR, Action, Occasion, Step, occasion_of
from enrgdaq.trials.chaos.processes import Opened
from enrgdaq.trials.chaos.report import Deeds
from enrgdaq.trials.chaos.system import System

_POLL_SECONDS: Final = 0.02
_EVERYTHING: Final = "everything"
_SLOW_SECONDS: Final = 0.3  # where a flush takes some 0.3 ms


@dataclass
class _Lasting:
    """A disturbance that goes on beside the next steps."""

    until: float
    end: Callable[[], None]


class Disturber:
    """Does one step after the other. Whatever it does, :meth:`relieve` undoes."""

    def __init__(self, system: System, deeds: Deeds, *, patience_seconds: float = 20.0) -> None:
        """``patience_seconds``: for what the system does within a second or two, on a loaded
        machine."""
        self._patience_seconds = patience_seconds
        self._system = system
        self._node = system.node
        self._deeds = deeds
        self._lasting: list[_Lasting] = []
        self._is_down = True
        """Not running, because it was killed or could not start: no fault of its own."""
        self._has_kept_rings = False

    def carry_out(self, step: Step) -> None:
        """Do one step and, if it is short, wait for its end."""
        if step.point not in OCCASIONS:
            self.ensure_running()
        self._wait(step.pause_seconds)
        _DEEDS[step.action](self, step)

    def give_up(self) -> None:
        """End everything that still goes on, and take back what has not come yet."""
        for armed in self._system.faults.iterdir():
            armed.unlink(missing_ok=True)
        self.relieve()

    def relieve(self) -> None:
        """End everything that still goes on."""
        while self._lasting:
            self._lasting.pop().end()

    def ensure_running(self) -> None:
        """Start the system where it does not run; that it ended by itself is a complaint."""
        if self._node.pid is not None and not self._is_down:
            return
        if not self._is_down:
            code = self._node.wait_for_end(0.0)
            self._complain(f"the supervisor ended with code {code}: {self._node.words()}")
        try:
            if self._node.pid is None:
                self._node.launch()
            self._node.wait_for_answer()
        except EnrgdaqError as error:
            self._complain(f"the system did not start: {error}")
            raise
        self._is_down = self._has_kept_rings = False

    def wait_for(self, condition: Callable[[], Any], seconds: float | None = None) -> bool:
        """Wait for a condition, ending what lasts in time; whether it came."""
        deadline = time.monotonic() + (self._patience_seconds if seconds is None else seconds)
        while not condition():
            if time.monotonic() >= deadline:
                return False
            self._wait(_POLL_SECONDS)
        return True

    def job(self, name: str) -> JobStatus | None:
        """The state of a job, if the supervisor answers."""
        snapshot = self._node.snapshot()
        return next((j for j in snapshot.jobs if j.id == name), None) if snapshot else None

    def _wait(self, seconds: float) -> None:
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

    def _last(self, seconds: float, end: Callable[[], None]) -> None:
        self._lasting.append(_Lasting(time.monotonic() + seconds, end))

    def _complain(self, text: str) -> None:
        self._deeds.complaints.append(text)

    def _open(self, target: str) -> Opened | None:
        """A process by name; between two lives it is waited for."""
        found: list[Opened] = []

        def look() -> bool:
            pid = self._node.pid
            opened = processes.open_process(pid, target) if pid is not None else None
            found.extend([opened] if opened is not None else [])
            return bool(found)

        return found[0] if self.wait_for(look) else None

    def _kill(self, step: Step) -> None:
        opened = self._open(step.target)
        if opened is None:
            self._complain(f"{step.target} was not there to be killed")
            return
        if opened.signal(signal.SIGKILL):
            self._deeds.note(self._deeds.kills, step.target)
        opened.close()
        if step.target == SUPERVISOR:
            self._bury_supervisor()

    def _kill_all(self, step: Step) -> None:
        """Kill everything, if it runs."""
        self.relieve()
        pid = self._node.pid
        if pid is None:
            return
        for opened in processes.open_all(pid):
            opened.signal(signal.SIGKILL)
            opened.close()
        self._deeds.note(self._deeds.kills, _EVERYTHING)
        self._bury_supervisor()

    def _bury_supervisor(self) -> None:
        # What else was its own is killed by the kernel; the next start has to stand that too.
        if self._node.wait_for_end(self._patience_seconds) is None:
            raise EnrgdaqError("the supervisor did not die of SIGKILL")
        self._is_down = True

    def _freeze(self, step: Step) -> None:
        opened = self._open(step.target)
        if opened is None:
            self._complain(f"{step.target} was not there to be stopped")
            return
        opened.signal(signal.SIGSTOP)
        self._deeds.note(self._deeds.others, step.action.value)
        self._last(step.seconds, lambda: _thaw(opened))
        if step.target == SUPERVISOR:
            # It answers nobody meanwhile, so there is nothing else that could be done.
            self._wait(step.seconds + _POLL_SECONDS)

    def _restart(self, step: Step) -> None:
        self._deeds.note(self._deeds.others, step.action.value)
        try:
            self._node.client.restart(step.target)
        except ControlTimeoutError:
            pass  # a loaded machine; the command may be carried out yet
        except ControlError as error:
            if "restarting already" not in str(error):
                self._complain(f"restart of {step.target}: {error}")

    def _slow(self, step: Step) -> None:
        fault = Fault(action="slow", seconds=_SLOW_SECONDS)
        path = faults.arm(self._system.faults, "ring.cursor", step.target, fault)
        self._deeds.note(self._deeds.others, step.action.value)
        self._last(step.seconds, lambda: path.unlink(missing_ok=True))

    def _set_clock_back(self, step: Step) -> None:
        point = "ring.cursor" if step.target in self._system.backends else "ring.head"
        if self._catch(point, step.target, Fault(action="clock", seconds=step.seconds)):
            self._deeds.note(self._deeds.others, step.action.value)

    def _pause_at(self, step: Step) -> None:
        self.relieve()
        if not self._catch(step.point, step.target, Fault(action="stop", nth=step.nth)):
            return
        self._deeds.note(self._deeds.others, step.action.value)
        opened = self._open(step.target)
        if opened is not None:
            self._last(step.seconds, lambda: _thaw(opened))

    def _aim(self, step: Step) -> None:
        self.relieve()
        fault = Fault(action="kill", nth=step.nth)
        caught = _OCCASIONS[occasion_of(step.point)](self, step, fault)
        if caught:
            self._deeds.note(self._deeds.kills, f"at {step.point}")
            self._deeds.note(self._deeds.points, step.point)
        else:
            self._deeds.missed_points.append(f"{step.point} by {step.target}")

    def _catch_at_work(self, step: Step, fault: Fault) -> bool:
        return self._catch(step.point, step.target, fault)

    def _catch_in_next_life(self, step: Step, fault: Fault) -> bool:
        self.ensure_running()
        path = faults.arm(self._system.faults, step.point, step.target, fault)
        self._kill(Step(0.0, Action.KILL, step.target))
        return self._was_passed(path)

    def _catch_at_start(self, step: Step, fault: Fault) -> bool:
        self._kill_all(step)
        return self._start_into(step, fault)

    def _catch_at_stop(self, step: Step, fault: Fault) -> bool:
        self.ensure_running()
        path = faults.arm(self._system.faults, step.point, step.target, fault)
        code = self._stop_with_data_owed()
        path.unlink(missing_ok=True)
        return code == -signal.SIGKILL

    def _catch_at_start_after_stop(self, step: Step, fault: Fault) -> bool:
        if not self._has_kept_rings:
            self.ensure_running()
            self._stop_with_data_owed()
        return self._start_into(step, fault)

    def _start_into(self, step: Step, fault: Fault) -> bool:
        """Start a system that is to die at a point."""
        path = faults.arm(self._system.faults, step.point, step.target, fault)
        self._node.launch()
        code = self._node.wait_for_end(self._patience_seconds)
        path.unlink(missing_ok=True)
        if code is None:
            self._node.wait_for_answer()
            self._is_down = self._has_kept_rings = False
        elif code != -signal.SIGKILL:
            self._complain(f"a start ended with code {code}: {self._node.words()}")
        return code == -signal.SIGKILL

    def _stop_with_data_owed(self) -> int:
        """Stop in order while the stores are frozen, so that rings must be kept."""
        self._let_data_be_owed()
        self._deeds.note(self._deeds.others, "stop with data owed")
        code = self._node.hurry_to_stop()
        if code == -1:
            self._complain("a stop that was hurried did not come to its end")
        self._is_down = self._has_kept_rings = True
        return code

    def _let_data_be_owed(self) -> None:
        """Stop the stores' processes; whatever comes next ends them."""
        for store in self._system.backends:
            opened = self._open(store)
            if opened is not None:
                opened.signal(signal.SIGSTOP)
                opened.close()
        self.wait_for(self._somebody_is_owed)

    def _somebody_is_owed(self) -> bool:
        snapshot = self._node.snapshot()
        return snapshot is not None and any(job.queued_bytes for job in snapshot.jobs)

    def _catch(self, point: str, target: str, fault: Fault) -> bool:
        """Arm a point and wait until the process has come there."""
        path = faults.arm(self._system.faults, point, target, fault)
        return self._was_passed(path)

    def _was_passed(self, armed: Path) -> bool:
        """Whether a fault comes in time; it is taken back otherwise."""
        if self.wait_for(lambda: not armed.exists()):
            return True
        armed.unlink(missing_ok=True)
        return False

    def _fill_memory(self, step: Step) -> None:
        """With no room for rings a start is refused in words, and harms nothing."""
        # A ring that nobody is owed anything from would make room for a new one.
        self.relieve()
        self._let_data_be_owed()
        self._kill_all(step)
        self._system.memory.fill()
        self._node.launch()
        code = self._wait_for_end_or_answer()
        self._system.memory.relieve()
        words = self._node.words()
        if code is None:
            # Rings of several runs before had been drained, and made room enough.
            self._is_down = False
        elif code == 2 and "ring_buffer_size_mb" in words:
            self._deeds.note(self._deeds.others, step.action.value)
        else:
            self._complain(f"without memory for rings the start ended with {code}: {words}")

    def _wait_for_end_or_answer(self) -> int | None:
        while self._node.pid is not None:
            with contextlib.suppress(EnrgdaqError):
                self._node.wait_for_answer(_POLL_SECONDS)
                return None
        return self._node.wait_for_end(0.0)

    def _fill_disk(self, step: Step) -> None:
        """Stores wait, say so in state, statistics and log, and go on when there is room."""
        self.relieve()
        stores = [b.name for b in self._system.backends.values() if b.waits_for_disk]
        before = self._newest_log_line()
        self._system.disk.fill()
        self._deeds.note(self._deeds.others, step.action.value)
        for store in stores:
            if not self.wait_for(functools.partial(self._says_waiting, store)):
                self._complain(f"{store} did not say in its state that it waits for the disk")
            if not self.wait_for(functools.partial(self._has_logged, store, before), 2.0):
                self._complain(f"{store} did not say in the log that it cannot write")
        self._last(step.seconds, lambda: self._relieve_disk(stores))

    def _relieve_disk(self, stores: list[str]) -> None:
        self._system.disk.relieve()
        for store in stores:
            if not self.wait_for(functools.partial(self._is_well, store)):
                self._complain(f"{store} did not go on by itself when there was room again")

    def _says_waiting(self, store: str) -> bool:
        snapshot = self._node.snapshot()
        if snapshot is None:
            return False
        condition = next(job.condition for job in snapshot.jobs if job.id == store)
        problem = f"{store}: {condition}"
        return "waiting for disk" in condition and problem in snapshot.supervisor.problems

    def _is_well(self, store: str) -> bool:
        job = self.job(store)
        return job is not None and job.state == "running" and not job.condition

    def _newest_log_line(self) -> int:
        try:
            lines = self._node.client.logs(limit=1).lines
        except ControlError:
            return 0
        return lines[-1].number if lines else 0

    def _has_logged(self, store: str, after: int) -> bool:
        try:
            lines = self._node.client.logs(after=after, limit=5_000, job=store).lines
        except ControlError:
            return False
        return any("cannot write" in line.text for line in lines)


def _thaw(opened: Opened) -> None:
    opened.signal(signal.SIGCONT)
    opened.close()


_DEEDS: Final[dict[Action, Callable[[Disturber, Step], None]]] = {
    Action.KILL: Disturber._kill,
    Action.KILL_ALL: Disturber._kill_all,
    Action.FREEZE: Disturber._freeze,
    Action.RESTART: Disturber._restart,
    Action.FAULT: Disturber._aim,
    Action.PAUSE_AT: Disturber._pause_at,
    Action.CLOCK: Disturber._set_clock_back,
    Action.SLOW: Disturber._slow,
    Action.FULL_DISK: Disturber._fill_disk,
    Action.FULL_MEMORY: Disturber._fill_memory,
}

_OCCASIONS: Final[dict[Occasion, Callable[[Disturber, Step, Fault], bool]]] = {
    Occasion.WORK: Disturber._catch_at_work,
    Occasion.NEXT_LIFE: Disturber._catch_in_next_life,
    Occasion.START: Disturber._catch_at_start,
    Occasion.STOP: Disturber._catch_at_stop,
    Occasion.START_AFTER_STOP: Disturber._catch_at_start_after_stop,
}
