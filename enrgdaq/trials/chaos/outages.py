"""What is done to database servers, and to the lines to them."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Final

from enrgdaq.trials.chaos.course import Course
from enrgdaq.trials.chaos.plan import Action, Step
from enrgdaq.trials.chaos.server_backends import ServerBackend

_LATE_SECONDS: Final = 1.5  # longer than a store waits: it is back on a new line by then


class Outages:
    """Does to a server what happens to servers. The store's job and its server share a name."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._deeds = course.deeds

    def carry_out(self, step: Step) -> None:
        """Do one step."""
        # One at a time per server; other servers, and jobs, may be in trouble too.
        self._course.relieve(step.target)
        _DEEDS[step.action](self, step, self._backend(step.target))

    def catch(self, store: str, armed: Path) -> bool:
        """Let a store that spools come to a fault point; whether it was there."""
        backend = self._backend(store)
        course = self._course
        backend.line.cut()
        try:
            course.wait_for(lambda: not armed.exists() or self._has_spooled(store))
        finally:
            backend.line.mend()
        return course.was_passed(armed)

    def _backend(self, store: str) -> ServerBackend:
        backend = self._course.system.backends[store]
        if not isinstance(backend, ServerBackend):
            raise TypeError(f"{store} has no server")
        return backend

    def _kill(self, step: Step, backend: ServerBackend) -> None:
        backend.server.kill()
        self._deeds.note(self._deeds.kills, f"{step.target} server")
        self._course.last(step.target, step.seconds, backend.server.launch_again)

    def _freeze(self, step: Step, backend: ServerBackend) -> None:
        backend.server.freeze()
        self._deeds.note(self._deeds.others, step.action.value)
        self._course.last(step.target, step.seconds, backend.server.thaw)

    def _be_away(self, step: Step, backend: ServerBackend) -> None:
        """Stop it in order: its store says so, and goes on by itself when it is back."""
        course, store = self._course, step.target
        backend.server.stop()
        self._deeds.note(self._deeds.others, step.action.value)
        if not course.wait_for(functools.partial(self._says_waiting, store)):
            course.complain(f"{store} did not say in its state that it waits for its server")
        course.last(store, step.seconds, functools.partial(self._come_back, store, backend))

    def _come_back(self, store: str, backend: ServerBackend) -> None:
        backend.server.launch_again()
        if not self._course.wait_for(lambda: self._course.goes_on(store)):
            self._course.complain(f"{store} did not go on by itself when its server was back")

    def _cut(self, step: Step, backend: ServerBackend) -> None:
        """End the connections in the middle of whatever they carry."""
        backend.line.cut()
        backend.line.mend()
        self._deeds.note(self._deeds.others, step.action.value)

    def _lose_answer(self, step: Step, backend: ServerBackend) -> None:
        """The server commits and nobody hears of it, in every second case long after."""
        line = backend.line
        late = _LATE_SECONDS if step.seconds > _LATE_SECONDS else 0.0
        line.swallow_answer_to(backend.commit, late_seconds=late)
        if self._course.wait_for(line.swallowed.is_set):
            self._deeds.note(self._deeds.others, step.action.value)
        line.swallow_nothing()

    def _says_waiting(self, store: str) -> bool:
        job = self._course.job(store)
        return self._course.is_down or (job is not None and "waiting for server" in job.condition)

    def _has_spooled(self, store: str) -> bool:
        job = self._course.job(store)
        return job is not None and job.spool_bytes > 0


_DEEDS: Final[dict[Action, Callable[[Outages, Step, ServerBackend], None]]] = {
    Action.SERVER_KILL: Outages._kill,
    Action.SERVER_FREEZE: Outages._freeze,
    Action.SERVER_AWAY: Outages._be_away,
    Action.CUT: Outages._cut,
    Action.LOST_ANSWER: Outages._lose_answer,
}
