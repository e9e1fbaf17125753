"""Carries out the steps of a plan on a running system, and puts it on its feet again."""

import contextlib
import functools
import signal
from collections.abc import Callable
from typing import Final

from enrgdaq.errors import ControlError, ControlTimeoutError, EnrgdaqError
from enrgdaq.transport.faults import Fault
from enrgdaq.trials.chaos import processes
from enrgdaq.trials.chaos.course import Course
from enrgdaq.trials.chaos.outages import Outages
from enrgdaq.trials.chaos.plan import (
    OCCASIONS,
    SERVER_ACTIONS,
    SUPERVISOR,
    Action,
    Occasion,
    Step,
    occasion_of,
)
from enrgdaq.trials.chaos.processes import Opened
from enrgdaq.trials.chaos.report import Deeds
from enrgdaq.trials.chaos.system import System

_POLL_SECONDS: Final = 0.02
_EVERYTHING: Final = "everything"
_SLOW_SECONDS: Final = 0.3  # where a flush takes some 0.3 ms


class Disturber(Course):
    """Does one step after the other."""

    def __init__(self, system: System, deeds: Deeds, *, patience_seconds: float = 20.0) -> None:
        """As :class:`Course`."""
        super().__init__(system, deeds, patience_seconds=patience_seconds)
        self._outages = Outages(self)

    def carry_out(self, step: Step) -> None:
        """Do one step and, if it is short, wait for its end."""
        if step.point not in OCCASIONS:
            self.ensure_running()
        self.wait(step.pause_seconds)
        if step.action in SERVER_ACTIONS:
            self._outages.carry_out(step)
        else:
            _DEEDS[step.action](self, step)

    def _kill(self, step: Step) -> None:
        opened = self.open(step.target)
        if opened is None:
            self.complain(f"{step.target} was not there to be killed")
            return
        if opened.signal(signal.SIGKILL):
            self.deeds.note(self.deeds.kills, step.target)
        opened.close()
        if step.target == SUPERVISOR:
            self._bury_supervisor()

    def _kill_all(self, step: Step) -> None:
        """Kill everything, if it runs."""
        self.relieve()
        pid = self.node.pid
        if pid is None:
            return
        for opened in processes.open_all(pid):
            opened.signal(signal.SIGKILL)
            opened.close()
        self.deeds.note(self.deeds.kills, _EVERYTHING)
        self._bury_supervisor()

    def _bury_supervisor(self) -> None:
        # What else was its own is killed by the kernel; the next start has to stand that too.
        if self.node.wait_for_end(self.patience_seconds) is None:
            raise EnrgdaqError("the supervisor did not die of SIGKILL")
        self.is_down = True

    def _freeze(self, step: Step) -> None:
        opened = self.open(step.target)
        if opened is None:
            self.complain(f"{step.target} was not there to be stopped")
            return
        opened.signal(signal.SIGSTOP)
        self.deeds.note(self.deeds.others, step.action.value)
        self.last(step.target, step.seconds, lambda: _thaw(opened))
        if step.target == SUPERVISOR:
            # It answers nobody meanwhile, so there is nothing else that could be done.
            self.wait(step.seconds + _POLL_SECONDS)

    def _restart(self, step: Step) -> None:
        self.deeds.note(self.deeds.others, step.action.value)
        try:
            self.node.client.restart(step.target)
        except ControlTimeoutError:
            pass  # a loaded machine; the command may be carried out yet
        except ControlError as error:
            if "restarting already" not in str(error):
                self.complain(f"restart of {step.target}: {error}")

    def _slow(self, step: Step) -> None:
        fault = Fault(action="slow", seconds=_SLOW_SECONDS)
        path = self.arm("ring.cursor", step.target, fault)
        self.deeds.note(self.deeds.others, step.action.value)
        self.last(step.target, step.seconds, lambda: path.unlink(missing_ok=True))

    def _set_clock_back(self, step: Step) -> None:
        point = "ring.cursor" if step.target in self.system.backends else "ring.head"
        if self._catch(point, step.target, Fault(action="clock", seconds=step.seconds)):
            self.deeds.note(self.deeds.others, step.action.value)

    def _pause_at(self, step: Step) -> None:
        self.relieve()
        if not self._catch(step.point, step.target, Fault(action="stop", nth=step.nth)):
            return
        self.deeds.note(self.deeds.others, step.action.value)
        opened = self.open(step.target)
        if opened is not None:
            self.last(step.target, step.seconds, lambda: _thaw(opened))

    def _aim(self, step: Step) -> None:
        self.relieve()
        fault = Fault(action="kill", nth=step.nth)
        caught = _OCCASIONS[occasion_of(step.point)](self, step, fault)
        if caught:
            self.deeds.note(self.deeds.kills, f"at {step.point}")
            self.deeds.note(self.deeds.points, step.point)
        else:
            self.deeds.missed_points.append(f"{step.point} by {step.target}")

    def _catch_at_work(self, step: Step, fault: Fault) -> bool:
        return self._catch(step.point, step.target, fault)

    def _catch_in_outage(self, step: Step, fault: Fault) -> bool:
        self.ensure_running()
        return self._outages.catch(step.target, self.arm(step.point, step.target, fault))

    def _catch_in_next_life(self, step: Step, fault: Fault) -> bool:
        self.ensure_running()
        path = self.arm(step.point, step.target, fault)
        self._kill(Step(0.0, Action.KILL, step.target))
        return self.was_passed(path)

    def _catch_at_start(self, step: Step, fault: Fault) -> bool:
        self._kill_all(step)
        return self._start_into(step, fault)

    def _catch_at_stop(self, step: Step, fault: Fault) -> bool:
        self.ensure_running()
        path = self.arm(step.point, step.target, fault)
        code = self._stop_with_data_owed()
        path.unlink(missing_ok=True)
        return code == -signal.SIGKILL

    def _catch_at_start_after_stop(self, step: Step, fault: Fault) -> bool:
        if not self.has_kept_rings:
            self.ensure_running()
            self._stop_with_data_owed()
        return self._start_into(step, fault)

    def _start_into(self, step: Step, fault: Fault) -> bool:
        """Start a system that is to die at a point."""
        path = self.arm(step.point, step.target, fault)
        self.node.launch()
        code = self.node.wait_for_end(self.patience_seconds)
        path.unlink(missing_ok=True)
        if code is None:
            self.node.wait_for_answer()
            self.is_down = self.has_kept_rings = False
        elif code != -signal.SIGKILL:
            self.complain(f"a start ended with code {code}: {self.node.words()}")
        return code == -signal.SIGKILL

    def _stop_with_data_owed(self) -> int:
        """Stop in order while the stores are frozen, so that rings must be kept."""
        self._let_data_be_owed()
        self.deeds.note(self.deeds.others, "stop with data owed")
        code = self.node.hurry_to_stop()
        if code == -1:
            self.complain("a stop that was hurried did not come to its end")
        self.is_down = self.has_kept_rings = True
        return code

    def _let_data_be_owed(self) -> None:
        """Stop the stores' processes; whatever comes next ends them."""
        for store in self.system.backends:
            opened = self.open(store)
            if opened is not None:
                opened.signal(signal.SIGSTOP)
                opened.close()
        self.wait_for(self._somebody_is_owed)

    def _somebody_is_owed(self) -> bool:
        snapshot = self.node.snapshot()
        return snapshot is not None and any(job.queued_bytes for job in snapshot.jobs)

    def _catch(self, point: str, target: str, fault: Fault) -> bool:
        """Arm a point and wait until the process has come there."""
        path = self.arm(point, target, fault)
        return self.was_passed(path)

    def _fill_memory(self, step: Step) -> None:
        """With no room for rings a start is refused in words, and harms nothing."""
        # A ring that nobody is owed anything from would make room for a new one.
        self.relieve()
        self._let_data_be_owed()
        self._kill_all(step)
        self.system.memory.fill()
        self.node.launch()
        code = self._wait_for_end_or_answer()
        self.system.memory.relieve()
        words = self.node.words()
        if code is None:
            # Rings of several runs before had been drained, and made room enough.
            self.is_down = False
        elif code == 2 and "ring_buffer_size_mb" in words:
            self.deeds.note(self.deeds.others, step.action.value)
        else:
            self.complain(f"without memory for rings the start ended with {code}: {words}")

    def _wait_for_end_or_answer(self) -> int | None:
        while self.node.pid is not None:
            with contextlib.suppress(EnrgdaqError):
                self.node.wait_for_answer(_POLL_SECONDS)
                return None
        return self.node.wait_for_end(0.0)

    def _fill_disk(self, step: Step) -> None:
        """Stores wait, say so in state, statistics and log, and go on when there is room."""
        self.relieve()
        stores = [b.name for b in self.system.backends.values() if b.waits_for_disk]
        before = self._newest_log_line()
        self.system.disk.fill()
        self.deeds.note(self.deeds.others, step.action.value)
        for store in stores:
            if not self.wait_for(functools.partial(self._says_waiting, store)):
                # One may have had room for all that came before others held the producers.
                if self._is_owed(store) or not any(map(self._says_waiting, stores)):
                    self.complain(f"{store} did not say in its state that it waits for the disk")
                continue
            if not self.wait_for(functools.partial(self._has_logged, store, before), 2.0):
                self.complain(f"{store} did not say in the log that it cannot write")
        self.last(step.target, step.seconds, lambda: self._relieve_disk(stores))

    def _relieve_disk(self, stores: list[str]) -> None:
        self.system.disk.relieve()
        for store in stores:
            if not self.wait_for(functools.partial(self.goes_on, store)):
                self.complain(f"{store} did not go on by itself when there was room again")

    def _is_owed(self, store: str) -> bool:
        job = self.job(store)
        return job is None or job.queued_bytes > 0

    def _says_waiting(self, store: str) -> bool:
        snapshot = self.node.snapshot()
        if snapshot is None:
            return False
        condition = next(job.condition for job in snapshot.jobs if job.id == store)
        problem = f"{store}: {condition}"
        return "waiting for disk" in condition and problem in snapshot.supervisor.problems

    def _newest_log_line(self) -> int:
        try:
            lines = self.node.client.logs(limit=1).lines
        except ControlError:
            return 0
        return lines[-1].number if lines else 0

    def _has_logged(self, store: str, after: int) -> bool:
        try:
            lines = self.node.client.logs(after=after, limit=5_000, job=store).lines
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
    Occasion.OUTAGE: Disturber._catch_in_outage,
    Occasion.STOP: Disturber._catch_at_stop,
    Occasion.START_AFTER_STOP: Disturber._catch_at_start_after_stop,
}
