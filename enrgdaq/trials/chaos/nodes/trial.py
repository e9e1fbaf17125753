"""A whole trial of several nodes: start, disturb, let it come to rest, count."""

import contextlib
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from enrgdaq.errors import EnrgdaqError
from enrgdaq.trials.chaos.audit import Counted
from enrgdaq.trials.chaos.nodes.disturber import NodeCourse, NodesDisturber
from enrgdaq.trials.chaos.nodes.members import Members
from enrgdaq.trials.chaos.nodes.nats_members import NatsMembers
from enrgdaq.trials.chaos.nodes.plan import HUB, plan
from enrgdaq.trials.chaos.report import Deeds, Report, make_report

_REST_SECONDS: Final = 180.0
_LONGEST_REST_SECONDS: Final = 1_800.0
_DYING_SECONDS: Final = 5.0
_SETTLE_SECONDS: Final = 6.0
_WAITING: Final = (".spool", ".unread")
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class NodesPlan:
    """What was asked for. ``events``: end after so many disturbances; ``kills``: so many kills."""

    seed: int
    minutes: float
    stores: Sequence[str]
    nodes: int
    longest_seconds: float
    events: int | None = None
    kills: int | None = None
    keep: bool = False
    engine: str = "zmq"


def run_nodes_trial(asked: NodesPlan, say: Callable[[str], None]) -> Report:
    """Run a trial to its end; Ctrl-C ends the disturbances, and what there is is counted.

    Nothing that it started outlives it, however it ends.
    """
    began = time.monotonic()
    deeds = Deeds()
    with contextlib.ExitStack() as stack:
        for number in _SIGNALS:
            stack.callback(signal.signal, number, signal.getsignal(number))
        folder = Path(tempfile.mkdtemp(prefix="enrgdaq-chaos-"))
        # Not when a node keeps its own in it.
        stack.callback(_remove_if_empty, folder)
        kind = NatsMembers if asked.engine == "nats" else Members
        members = kind(folder, asked.nodes, asked.stores, seed=asked.seed)
        stack.callback(members.close)
        for number in _SIGNALS:
            # Half an end would leave the other half.
            stack.callback(signal.signal, number, signal.SIG_IGN)
        members.prepare()
        disturber = NodesDisturber(members, deeds)
        try:
            _disturb(asked, disturber, say)
        except KeyboardInterrupt:
            say("stopping; Ctrl-C again gives up without counting")
        except EnrgdaqError as error:
            deeds.complaints.append(str(error))
        try:
            _come_to_rest(disturber, _REST_SECONDS + asked.longest_seconds, say)
        except EnrgdaqError as error:
            deeds.complaints.append(f"what follows is of nodes that did not end: {error}")
        say("counting rows")
        systems = members.systems.values()
        report = make_report(
            seed=asked.seed,
            nodes=asked.nodes,
            seconds=time.monotonic() - began,
            full_disk="",
            deeds=deeds,
            outputs=_count(members, deeds),
            orphans=[orphan for system in systems for orphan in system.orphans()],
            leftovers=[path for system in systems for path in system.leftovers()],
        )
        if asked.keep or not report.is_right:
            members.keep()
            report.kept_in = str(folder)
    return report


def _disturb(asked: NodesPlan, disturber: NodesDisturber, say: Callable[[str], None]) -> None:
    disturber.start_all()
    deeds = disturber.deeds
    deadline = time.monotonic() + 60.0 * asked.minutes
    cast = disturber.members.cast(asked.longest_seconds)
    for done, step in enumerate(plan(asked.seed, cast)):
        is_done = done == asked.events or (
            asked.kills is not None and deeds.kill_count >= asked.kills
        )
        if is_done or time.monotonic() >= deadline:
            return
        whom = f"{step.node} {step.target} {step.point}".strip()
        say(f"{done} disturbances; {step.deed.value}: {whom}")
        disturber.carry_out(step)


def _come_to_rest(disturber: NodesDisturber, seconds: float, say: Callable[[str], None]) -> None:
    """Let producers end and everything arrive, then stop in order: spokes first."""
    members, deeds = disturber.members, disturber.deeds
    members.hub.ask_to_finish()
    disturber.start_all()
    say("waiting for everything to arrive and to be written")
    courses = _in_order_of_travel(disturber)
    if not _all_rest(disturber, courses, seconds):
        waiting = ", ".join(sorted({c.name for c in courses if not _is_at_rest(c)}))
        deeds.complaints.append(f"not at rest {seconds:g} s after the end: {waiting}")
    for course in disturber.courses.values():
        if course.name != HUB:
            _stop(course)
    _stop(disturber.courses[HUB])
    # What was killed a moment ago may still be dying.
    systems = members.systems.values()
    disturber.wait_for(lambda: not any(s.orphans() for s in systems), _DYING_SECONDS)


def _all_rest(disturber: NodesDisturber, courses: list[NodeCourse], seconds: float) -> bool:
    """Wait until nothing is under way; where servers carry it, until that has lasted.

    ``False`` when so long it does not get less. How long all of it takes is for the stores to
    say: six of them were seen to write for six minutes after a trial of 100 million rows.
    """
    deadline = time.monotonic() + _LONGEST_REST_SECONDS
    waiting = sum(map(_waiting_bytes, courses))
    while time.monotonic() < deadline:
        if disturber.wait_for(lambda: all(map(_is_at_rest, courses)), seconds):
            if not disturber.members.servers:
                return True
            # What a node knows of its streams is some seconds old.
            disturber.wait(_SETTLE_SECONDS)
            if all(map(_is_at_rest, courses)):
                return True
            continue
        before, waiting = waiting, sum(map(_waiting_bytes, courses))
        if waiting >= before:
            break
    return False


def _in_order_of_travel(disturber: NodesDisturber) -> list[NodeCourse]:
    """What has left one when it is looked at is seen at a later one: spokes, hub, receiver."""
    courses = disturber.courses
    names = [*disturber.members.spokes, HUB, disturber.members.receiver]
    return [courses[name] for name in names if name]


def _is_at_rest(course: NodeCourse) -> bool:
    snapshot = course.node.snapshot()
    return snapshot is not None and (
        all(job.state == "stopped" for job in snapshot.jobs if job.type == "DAQJobNumbered")
        and not any(job.queued_bytes or job.spool_bytes for job in snapshot.jobs)
        and not any(ring.is_old for ring in snapshot.rings)
        and not any(link.stream and (link.lag or link.state != "up") for link in snapshot.links)
        # By its files: a link that has just started has not said yet what is in its spool, nor
        # what it keeps until readers have it.
        and not any(_waiting_files(course))
    )


def _waiting_bytes(course: NodeCourse) -> int:
    """What a node has and somebody does not have yet."""
    snapshot = course.node.snapshot()
    queued = sum(job.queued_bytes for job in snapshot.jobs) if snapshot is not None else 0
    sizes = 0
    for path in _waiting_files(course):
        with contextlib.suppress(FileNotFoundError):
            sizes += path.stat().st_size
    return queued + sizes


def _waiting_files(course: NodeCourse) -> Iterator[Path]:
    return (path for kind in _WAITING for path in course.node.out.rglob(f"*{kind}"))


def _stop(course: NodeCourse) -> None:
    code = course.node.stop()
    if not course.system.is_complete():
        # What a stop has no time for is done after the next start.
        course.node.start()
        course.wait_for(course.system.is_complete, _REST_SECONDS)
        code = course.node.stop()
    if code != 0:
        course.complain(f"the last stop ended with code {code}: {course.node.words()}")


def _count(members: Members, deeds: Deeds) -> list[Counted]:
    counted = []
    for name, system in members.systems.items():
        for output in system.count(deeds.complaints):
            if name != HUB:
                output.store = f"{output.store} of {name}"
            counted.append(output)
    return counted


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
