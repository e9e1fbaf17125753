"""A whole trial: start, disturb, let it come to rest, count."""

import contextlib
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from enrgdaq.errors import EnrgdaqError
from enrgdaq.trials.chaos.disturber import Disturber
from enrgdaq.trials.chaos.plan import Action, plan
from enrgdaq.trials.chaos.report import Deeds, Report, make_report
from enrgdaq.trials.chaos.system import System
from enrgdaq.trials.scratch import ScratchNode

_REST_SECONDS: Final = 120.0
_DYING_SECONDS: Final = 5.0
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class TrialPlan:
    """What was asked for. ``kills``: end after so many, when every fault point had its turn."""

    seed: int
    minutes: float
    stores: Sequence[str]
    kills: int | None = None
    keep: bool = False
    may_mount: bool = True


def run_trial(asked: TrialPlan, say: Callable[[str], None]) -> Report:
    """Run a trial to its end; Ctrl-C ends the disturbances, and what there is is counted.

    Nothing that it started outlives it, however it ends.
    """
    began = time.monotonic()
    deeds = Deeds()
    with contextlib.ExitStack() as stack:
        stack.callback(_hear, [(number, signal.getsignal(number)) for number in _SIGNALS])
        node = stack.enter_context(ScratchNode("chaos"))
        system = System(node, asked.stores, may_mount=asked.may_mount, draw=asked.seed)
        stack.callback(system.close)
        # Half an end would leave the other half.
        stack.callback(_hear, [(number, signal.SIG_IGN) for number in _SIGNALS])
        system.prepare()
        disturber = Disturber(system, deeds)
        try:
            _disturb(asked, system, disturber, deeds, say)
        except KeyboardInterrupt:
            say("stopping; Ctrl-C again gives up without counting")
        except EnrgdaqError as error:
            deeds.complaints.append(str(error))
        try:
            _come_to_rest(system, disturber, deeds, say)
        except EnrgdaqError as error:
            deeds.complaints.append(f"what follows is of a system that did not end: {error}")
        say("counting rows")
        report = make_report(
            seed=asked.seed,
            seconds=time.monotonic() - began,
            full_disk=system.disk.kind,
            deeds=deeds,
            outputs=system.count(deeds.complaints),
            orphans=system.orphans(),
            leftovers=system.leftovers(),
        )
        node.is_kept = asked.keep or not report.is_right
        report.kept_in = str(node.folder) if node.is_kept else ""
    return report


def _hear(handlers: Sequence[tuple[int, Any]]) -> None:
    for number, handler in handlers:
        signal.signal(number, handler)


def _disturb(
    asked: TrialPlan,
    system: System,
    disturber: Disturber,
    deeds: Deeds,
    say: Callable[[str], None],
) -> None:
    disturber.ensure_running()
    deadline = time.monotonic() + 60.0 * asked.minutes
    cast = system.cast
    waiting = set(cast.passers)
    for step in plan(asked.seed, cast):
        kills = deeds.kill_count
        is_done = asked.kills is not None and kills >= asked.kills and not waiting
        if is_done or time.monotonic() >= deadline:
            return
        say(f"{kills} kills; {step.action.value}: {step.target} {step.point}")
        disturber.carry_out(step)
        if step.action is Action.FAULT:
            waiting.discard(step.point)


def _come_to_rest(
    system: System, disturber: Disturber, deeds: Deeds, say: Callable[[str], None]
) -> None:
    """Let producers end and stores drain, then stop in order."""
    disturber.give_up()
    system.ask_to_finish()
    disturber.ensure_running()
    say("waiting for the stores to write what they are owed")
    names = [producer.name for producer in system.producers]

    def is_at_rest() -> bool:
        snapshot = system.node.snapshot()
        return snapshot is not None and (
            all(job.state == "stopped" for job in snapshot.jobs if job.id in names)
            and not any(job.queued_bytes or job.spool_bytes for job in snapshot.jobs)
            and not any(ring.is_old for ring in snapshot.rings)
        )

    if not disturber.wait_for(is_at_rest, _REST_SECONDS):
        deeds.complaints.append(f"not at rest {_REST_SECONDS:g} s after the last disturbance")
    code = system.node.stop()
    if not system.is_complete():
        # What a stop has no time for is done after the next start.
        system.node.start()
        disturber.wait_for(system.is_complete, _REST_SECONDS)
        code = system.node.stop()
    if code != 0:
        deeds.complaints.append(f"the last stop ended with code {code}: {system.node.words()}")
    # What was killed a moment ago may still be dying.
    disturber.wait_for(lambda: not system.orphans(), _DYING_SECONDS)
