"""All jobs of a node: starts them, hears them, restarts them, stops them."""

import logging
import signal
import time
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from enrgdaq.daq.spec import (
    JobEnding,
    JobRunning,
    JobSpec,
    LifelineMessage,
    RecordSetAside,
    TopicsWanted,
)
from enrgdaq.errors import ControlError, TransportError
from enrgdaq.models import SupervisorConfig
from enrgdaq.supervisor.audit import AuditTrail
from enrgdaq.supervisor.child import Child, describe_exit
from enrgdaq.supervisor.job import Job
from enrgdaq.supervisor.logs import LogBook
from enrgdaq.supervisor.loop import Loop
from enrgdaq.supervisor.origins import OriginNotes
from enrgdaq.supervisor.places import Places
from enrgdaq.supervisor.restart import decide
from enrgdaq.supervisor.rings import NodeRings
from enrgdaq.supervisor.spawner import Spawner
from enrgdaq.supervisor.states import LIVE, Happening, JobState
from enrgdaq.transport import faults

STOP_ORDER: Final = ("source", "processor", "store", "monitor")
_START_LIMIT_SECONDS: Final = 60.0  # a job that has not said that it runs by then is hung
_FAULTS: Final = {-signal.SIGSEGV, -signal.SIGBUS, -signal.SIGABRT, -signal.SIGFPE, -signal.SIGILL}
_LOG = logging.getLogger(__name__)


class Fleet:
    """The jobs and their processes. All times are monotonic seconds."""

    def __init__(
        self,
        jobs: list[Job],
        config: SupervisorConfig,
        places: Places,
        rings: NodeRings,
        loop: Loop,
        book: LogBook,
        audit: AuditTrail,
        spawner: Callable[[], Spawner],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.jobs = {job.id: job for job in jobs}
        self._config = config
        self._places = places
        self._rings = rings
        self._origins = OriginNotes(places.origins, places.supervisor_id)
        self._loop = loop
        self._book = book
        self._audit = audit
        self._spawner = spawner
        self._clock = clock
        self._last_tick = clock()
        self._hearts_forgiven_until = 0.0
        self.is_closing = False
        self.on_failed_change: Callable[[Job], None] = lambda job: None
        """Called when a job could not even start with its new file."""
        self.killed_at_stop = 0
        """Processes that did not end in time when acquisition was stopped."""

    def start_all(self) -> None:
        """Start every job, consumers first, so that nobody's first data waits for long."""
        self._origins.sweep(self._rings.uuids())
        for kind in reversed(STOP_ORDER):
            for job in self.of_kind(kind):
                self._launch_or_wait(job)

    def start(self, name: str) -> str:
        """Start a job that does not run. Raises :class:`ControlError` with the reason."""
        job = self._commanded(name)
        if job.state in LIVE:
            raise ControlError(f"{name} is {job.state.value} already")
        job.exits.clear()
        return self._start_now(job)

    def stop(self, name: str) -> str:
        """Stop a job and leave it stopped."""
        job = self._commanded(name)
        if job.state is JobState.STOPPED:
            raise ControlError(f"{name} is stopped already")
        job.start_again = False
        self._tell_to_stop(job, "stopped by an operator", drain=False)
        return f"stopping {name}"

    def restart(self, name: str) -> str:
        """Stop a job, if it runs, and start it again."""
        job = self._commanded(name)
        if job.state is JobState.STOPPING and job.start_again:
            raise ControlError(f"{name} is restarting already")
        job.exits.clear()
        if job.state not in LIVE:
            return self._start_now(job)
        job.start_again = True
        self._tell_to_stop(job, "restarted by an operator", drain=False)
        return f"restarting {name}" + (f" (process {job.pid})" if job.pid else "")

    def restart_all(self, names: list[str]) -> str:
        """Restart several jobs, or none when one of them cannot be restarted."""
        jobs = [self._commanded(name) for name in dict.fromkeys(names)]
        for job in jobs:
            if job.state is JobState.STOPPING:
                raise ControlError(f"{job.id} is stopping: nothing was restarted")
        for job in jobs:
            self.restart(job.id)
        return f"restarting {', '.join(job.id for job in jobs)}"

    def add(self, job: Job) -> None:
        """Start one more job; those that run already hear of its ring."""
        self.jobs[job.id] = job
        source = self._rings.source(job.id)
        for other in self._with_child():
            if other.facts.takes_messages and other.child is not None:
                other.child.tell_of(source)
        self._launch_or_wait(job)

    def stop_kind(self, kind: str, *, drain: bool, seconds: float) -> None:
        """Stop all jobs of a kind; ``drain``: those that are owed data read it first."""
        for job in self.of_kind(kind):
            job.start_again = False
            if drain and job.state is JobState.BACKOFF and self._rings.owes(job.id):
                self._launch_or_wait(job)
            self._tell_to_stop(job, "acquisition is stopped", drain=drain, seconds=seconds)

    def kill_kind(self, kind: str) -> None:
        """End all processes of a kind now."""
        for job in self.of_kind(kind):
            if job.child is not None:
                self._kill_overdue(job.child)

    def job(self, name: str) -> Job:
        """A job by its id. Raises :class:`ControlError` when there is none."""
        if name not in self.jobs:
            raise ControlError(f"no job is called {name!r}; there are {', '.join(self.jobs)}")
        return self.jobs[name]

    def of_kind(self, kind: str) -> list[Job]:
        """Jobs of a kind, in the order of their names."""
        return [job for job in self.jobs.values() if job.facts.kind == kind]

    def any_live(self, kind: str | None = None) -> bool:
        """Whether a process of that kind, or of any, exists."""
        return any(j.child is not None for j in self.jobs.values() if kind in (None, j.facts.kind))

    def any_running(self) -> bool:
        """Whether a job is at work."""
        return any(job.state is JobState.RUNNING for job in self.jobs.values())

    def forked(self, number: int, pid: int) -> None:
        """The forkserver says which process a request became."""
        for job in self._with_child():
            if job.child is not None and job.child.number == number:
                job.child.forked(pid)

    def ended(self, pid: int, status: int) -> bool:
        """The forkserver says that a process ended; whether it was a job's."""
        for job in self._with_child():
            if job.child is not None and job.child.pid == pid:
                self._bury(job, job.child, status)
                return True
        return False

    def lost_forkserver(self) -> None:
        """The forkserver died, and all processes with it."""
        for job in list(self._with_child()):
            if job.child is not None:
                job.child.kill_reason = job.child.kill_reason or "its forkserver was killed"
                self._bury(job, job.child, -signal.SIGKILL)

    def tick(self) -> None:
        """Look at clocks: due starts, overdue stops, silent hearts."""
        now = self._clock()
        # A supervisor that was itself suspended must not take its jobs for dead.
        own_stall = max(0.0, now - self._last_tick - 1.0)
        self._last_tick = now
        if own_stall:
            self._hearts_forgiven_until = now + self._config.hung_after_seconds
        for job in self.jobs.values():
            child = job.child
            if child is None:
                if job.next_start is not None and now >= job.next_start and not self.is_closing:
                    self._launch_or_wait(job)
                continue
            if own_stall:
                child.started_at += own_stall
                if child.stop_deadline is not None:
                    child.stop_deadline += own_stall
            if child.stop_deadline is not None:
                if now >= child.stop_deadline:
                    self._kill_overdue(child)
            elif now >= self._hearts_forgiven_until:
                self._check_heart(job, child, now)

    def _kill_overdue(self, child: Child) -> None:
        if self.is_closing and not child.kill_reason:
            self.killed_at_stop += 1
        child.kill("killed: it did not stop in time")

    def _commanded(self, name: str) -> Job:
        if self.is_closing:
            raise ControlError("acquisition is being stopped")
        return self.job(name)

    def _with_child(self) -> Iterable[Job]:
        return [job for job in self.jobs.values() if job.child is not None]

    def _launch(self, job: Job) -> None:
        faults.hit("supervisor.launch")
        job.next_start = None
        job.start_again = False
        self._rings.update(job.facts)
        ring = self._rings.ring_of(job.id)
        ring.clear_beat()
        self._origins.note_start(job.file, ring)
        spec = JobSpec(
            unique_id=job.id,
            instance_id=job.lives,
            job_class=job.file.job_class,
            config=job.file.raw,
            config_file=str(job.file.path),
            supervisor=self._config.info,
            runtime=str(self._places.runtime),
            out_dir=str(self._places.out),
            ring_path=str(ring.path),
            sources=self._rings.sources_of(job.id) if job.facts.takes_messages else [],
            takes_messages=job.facts.takes_messages,
            is_store=job.facts.kind == "store",
            set_aside=job.set_aside,
        )
        child = Child.start(self._spawner(), spec, self._clock())
        job.child = child
        job.lives += 1
        job.stats.process_started()
        if job.restarts:
            job.last_restart = time.time()
        job.move(Happening.LAUNCHED)
        child.watch(
            self._loop,
            lambda message: self._heard(job, child, message),
            lambda stream, line: self._printed(job, stream, line),
        )

    def _start_now(self, job: Job) -> str:
        if self._launch_or_wait(job):
            return f"starting {job.id}"
        return f"{job.id} {job.exit_reason}; it is tried again each second"

    def _launch_or_wait(self, job: Job) -> bool:
        """Whether the process was asked for. If not, it will be tried again."""
        try:
            self._launch(job)
        except (TransportError, OSError) as error:
            # Out of descriptors, or the forkserver died this very moment.
            job.move(Happening.NOT_LAUNCHED)
            job.next_start = self._clock() + 1.0
            job.exit_reason = f"cannot be started now: {error}"
            _LOG.error("%s %s", job.id, job.exit_reason)
            return False
        return True

    def _tell_to_stop(
        self, job: Job, reason: str, *, drain: bool, seconds: float | None = None
    ) -> None:
        job.next_start = None
        job.move(Happening.TOLD_TO_STOP)
        if job.child is not None:
            grace = self._config.stop_grace_seconds / 2 if seconds is None else seconds
            job.child.stop(reason, drain=drain, deadline=self._clock() + grace)

    def _heard(self, job: Job, child: Child, message: LifelineMessage) -> None:
        if isinstance(message, JobRunning):
            job.fallback = None
            job.move(Happening.READY)
            _LOG.info("%s runs (process %s)", job.id, child.pid)
        elif isinstance(message, JobEnding):
            child.ending = message
            if message.report is not None:
                job.stats.absorb(message.report)
            if message.traceback:
                self._book.add(job.id, "ERROR", message.traceback, time.time())
        elif isinstance(message, TopicsWanted):
            job.facts = msgspec.structs.replace(job.facts, topics_in=message.topics)
            self._rings.update(job.facts)
        elif isinstance(message, RecordSetAside):
            job.records_set_aside += 1
            self._audit.note("record put aside", job=job.id, text=message.path)

    def _printed(self, job: Job, stream: str, line: str) -> None:
        self._book.add(job.id, "PRINT" if stream == "stdout" else "ERROR", line, time.time())

    def _check_heart(self, job: Job, child: Child, now: float) -> None:
        beat = self._rings.ring_of(job.id).beat_ns / 1e9
        limit = self._config.hung_after_seconds
        if job.state is JobState.STARTING:
            if now - child.started_at > max(limit, _START_LIMIT_SECONDS):
                child.kill("killed: it did not start in time")
        elif beat and now - beat > limit:
            child.kill(f"hung: no heartbeat for {now - beat:.0f} s")

    def _bury(self, job: Job, child: Child, status: int) -> None:
        """A process is gone: say why, and decide what comes next."""
        now = self._clock()
        # Its ending may still wait in the lifeline's queue.
        self._take_last_messages(job, child)
        child.close(self._loop, lambda stream, line: self._printed(job, stream, line))
        reason = describe_exit(child, status)
        was_told = job.state is JobState.STOPPING
        is_done = was_told or (child.ending is not None and child.ending.is_done)
        job.record_exit(now, reason, unasked=not is_done)
        job.child = None
        job.stats.process_ended()
        if now - child.started_at >= self._config.restart.forgiven_after_seconds:
            job.note_health()
        if status in _FAULTS or status > 0:
            for passed in job.note_crash(self._rings.in_hand(job.id)):
                self._audit.note("record will be put aside", job=job.id, text=str(passed))
        if is_done:
            job.move(Happening.ENDED_AS_TOLD)
            self._audit.note("stopped", job=job.id, text=reason)
            _LOG.info("%s has stopped: %s", job.id, reason)
            if job.start_again and not self.is_closing:
                self._launch_or_wait(job)
            elif was_told and child.ending is None:
                self._finish_draining(job, child, now)
            return
        if job.fallback is not None:
            self._audit.note("change taken back", job=job.id, text=reason)
            _LOG.error("%s did not start with its new file; the old one counts again", job.id)
            self.on_failed_change(job)
        self._decide_restart(job, now, reason)

    def _finish_draining(self, job: Job, child: Child, now: float) -> None:
        """A process died while it drained its rings: another one goes on, if time is left."""
        if not child.drains or child.stop_deadline is None or not self._rings.owes(job.id):
            return
        seconds = child.stop_deadline - now
        if seconds > 0 and not child.kill_reason and self._launch_or_wait(job):
            self._tell_to_stop(job, "acquisition is stopped", drain=True, seconds=seconds)

    def _decide_restart(self, job: Job, now: float, reason: str) -> None:
        verdict = decide(
            list(job.exits),
            now,
            self._config.restart,
            # Who holds rows may be owed data, now or a moment later, and would hold others up.
            never_gives_up=job.facts.takes_messages,
            least_delay=job.facts.restart_offset_seconds,
        )
        if verdict.delay_seconds is None:
            job.move(Happening.ENDED_FOR_GOOD)
            self._audit.note("failed", job=job.id, text=reason)
            _LOG.error(
                "%s has failed for good: %s; start it again when it is mended", job.id, reason
            )
            return
        job.move(Happening.ENDED_WILL_RETRY)
        job.next_start = now + verdict.delay_seconds
        self._audit.note("crashed", job=job.id, text=reason)
        _LOG.error("%s ended: %s; next start in %.3g s", job.id, reason, verdict.delay_seconds)

    def _take_last_messages(self, job: Job, child: Child) -> None:
        while True:
            try:
                message = child.lifeline.receive()
            except TransportError:
                continue  # it is gone, and what it sent is no message
            except OSError:
                return
            if message is None:
                return
            self._heard(job, child, message)
