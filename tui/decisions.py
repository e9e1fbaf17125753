"""What a key may do to a job: decided here, without terminal or socket."""

from dataclasses import dataclass
from enum import Enum

from enrgdaq.control.status import JobStatus, RingStatus, Snapshot
from tui.formats import number, size
from tui.tree import KINDS, OF_NODE, group_of, node_of

CONFIRM_SECONDS = 3.0


class Order(Enum):
    """A command that changes something."""

    RESTART = "restart"
    STOP = "stop"
    START = "start"
    SHUTDOWN = "shutdown"
    RESTART_GROUP = "restart group"
    RELOAD = "reload"
    ADD = "add"
    CHECK = "check"
    """Changes nothing; it only takes as long as one that does."""


class Intent(Enum):
    """What a key asks for."""

    RESTART = "restart"
    TOGGLE = "toggle"


_ORDERS: dict[str, dict[Intent, Order]] = {
    "starting": {Intent.RESTART: Order.RESTART, Intent.TOGGLE: Order.STOP},
    "running": {Intent.RESTART: Order.RESTART, Intent.TOGGLE: Order.STOP},
    "backoff": {Intent.RESTART: Order.RESTART, Intent.TOGGLE: Order.STOP},
    "stopped": {Intent.RESTART: Order.START, Intent.TOGGLE: Order.START},
    "failed": {Intent.RESTART: Order.START, Intent.TOGGLE: Order.START},
    "stopping": {},
}

_MEANWHILE = {
    "source": "Until it runs again nothing is taken from it.",
    "processor": "What it is owed waits in the rings; nothing is lost.",
    "store": "What it is owed waits in the rings; nothing is lost.",
    "monitor": "Data taking goes on.",
}
_MEANWHILE_OF_SEVERAL = {
    **_MEANWHILE,
    "source": "Until they run again nothing is taken from them.",
    "processor": "What they are owed waits in the rings; nothing is lost.",
    "store": "What they are owed waits in the rings; nothing is lost.",
}


@dataclass(frozen=True)
class Plan:
    """One command, as the user saw its jobs when he pressed the key."""

    order: Order
    job: str
    """The job, or the kind of the jobs of a group."""
    processes: tuple[tuple[str, int | None], ...]
    """Each job with its process."""
    question: str
    facts: tuple[str, ...]
    consequence: str

    @property
    def jobs(self) -> tuple[str, ...]:
        """The jobs that it is about."""
        return tuple(name for name, _ in self.processes)


def plan(intent: Intent, job: JobStatus, snapshot: Snapshot) -> Plan | str:
    """The command that a key means now, or the reason why it makes no sense."""
    if snapshot.supervisor.state == "stopping":
        return "acquisition is being stopped"
    order = _ORDERS.get(job.state, {}).get(intent)
    if order is None:
        return f"{job.id} is {job.state}: wait until it has come to rest"
    return Plan(
        order=order,
        job=job.id,
        processes=((job.id, job.pid),),
        question=f"{order.value.capitalize()} {job.id}?",
        facts=_facts(job, snapshot),
        consequence="" if order is Order.START else _MEANWHILE.get(job.kind, ""),
    )


def plan_group(group_name: str, snapshot: Snapshot) -> Plan | str:
    """A restart of all jobs of a kind on one node, or the reason why it makes no sense.

    What somebody has stopped stays stopped.
    """
    if snapshot.supervisor.state == "stopping":
        return "acquisition is being stopped"
    kind = group_name.rpartition(OF_NODE)[2]
    if not kind:
        return "go to a kind of jobs of this node, or to one job"
    same = (one for one in snapshot.jobs if group_of(one) == group_name)
    group = [one for one in same if one.state != "stopped"]
    if not group:
        return f"no {kind} runs"
    for one in group:
        if one.state == "stopping":
            return f"{one.id} is stopping: wait until it has come to rest"
    names = ", ".join(one.id for one in group)
    taken = number(sum(one.rate_in for one in group))
    given = number(sum(one.rate_out for one in group))
    if len(group) == 1:
        whom, facts = f"1 {kind}", f"it takes {taken} and gives {given} msg/s"
        meanwhile = _MEANWHILE
    else:
        whom, facts = (
            f"all {len(group)} {KINDS.get(kind, kind)}",
            f"they take {taken} and give {given} msg/s",
        )
        meanwhile = _MEANWHILE_OF_SEVERAL
    return Plan(
        order=Order.RESTART_GROUP,
        job=group_name,
        processes=tuple((one.id, one.pid) for one in group),
        question=f"Restart {whom}{_where(group_name)}?",
        facts=(facts,),
        consequence=f"{names}. {meanwhile.get(kind, '')}",
    )


def _where(name: str) -> str:
    return f" of {node_of(name)}" if node_of(name) else ""


def plan_shutdown(snapshot: Snapshot) -> Plan | str:
    """The end of acquisition, or the reason why it makes no sense."""
    node = snapshot.supervisor
    if node.state == "stopping":
        return "acquisition is being stopped"
    return Plan(
        order=Order.SHUTDOWN,
        job=node.id,
        processes=(),
        question=f"Stop acquisition of {node.id}?",
        facts=facts_of_all(snapshot),
        consequence="Nothing is taken until somebody starts it. Stores write what they are owed.",
    )


def facts_of_all(snapshot: Snapshot) -> tuple[str, ...]:
    """What acquisition does at this moment."""
    node = snapshot.supervisor
    facts = [f"{node.jobs_running} jobs run", f"{number(node.rate_messages)} msg/s are taken"]
    held = _amount([(ring, _furthest_behind(ring)) for ring in snapshot.rings])
    return (*facts, *([f"{held} wait in the rings"] if held else []))


def still_fits(planned: Plan, snapshot: Snapshot) -> str:
    """Empty if the jobs are still those that the question was about, else what has changed."""
    jobs = {job.id: job for job in snapshot.jobs}
    for name, pid in planned.processes:
        job = jobs.get(name)
        if job is None:
            return f"{name} is no longer there"
        if not _may_still(planned.order, job, snapshot):
            return f"{name} is {job.state} by now"
        if job.pid != pid:
            return f"{name} has become another process meanwhile: look again"
    return ""


def _may_still(order: Order, job: JobStatus, snapshot: Snapshot) -> bool:
    if order is Order.RESTART_GROUP:
        return job.state not in {"stopping", "stopped"}
    plans = [plan(intent, job, snapshot) for intent in Intent]
    return any(isinstance(now, Plan) and now.order is order for now in plans)


def held_by(job: str, snapshot: Snapshot) -> str:
    """What a job's own ring holds for whoever is furthest behind; empty if nothing."""
    rings = [ring for ring in snapshot.rings if ring.producer == job]
    return _amount([(ring, _furthest_behind(ring)) for ring in rings])


def waiting_for(job: str, snapshot: Snapshot) -> str:
    """What waits in all rings for a job; empty if nothing."""
    return _amount(
        [
            (ring, one.lag_bytes)
            for ring in snapshot.rings
            for one in ring.consumers
            if one.name == job
        ]
    )


def _furthest_behind(ring: RingStatus) -> int:
    return max((one.lag_bytes for one in ring.consumers), default=0)


def _amount(held: list[tuple[RingStatus, int]]) -> str:
    """Rows where messages have them, else messages, and bytes. The first two are estimates."""
    held = [(ring, part) for ring, part in held if part]
    total = size(sum(part for _, part in held))
    if not held:
        return ""
    for unit, averages in (
        ("rows", [ring.row_bytes for ring, _ in held]),
        ("messages", [ring.message_bytes for ring, _ in held]),
    ):
        if all(averages):
            count = sum(part / each for (_, part), each in zip(held, averages, strict=True))
            return f"about {number(max(1.0, count))} {unit}, {total}"
    return total


def _facts(job: JobStatus, snapshot: Snapshot) -> tuple[str, ...]:
    parts = [f"pid {job.pid}" if job.pid is not None else job.state]
    if job.rate_in:
        parts.append(f"takes {number(job.rate_in)} msg/s, {size(job.rate_bytes_in)}/s")
    if job.rate_out:
        parts.append(f"gives {number(job.rate_out)} msg/s, {size(job.rate_bytes_out)}/s")
    waiting, held = waiting_for(job.id, snapshot), held_by(job.id, snapshot)
    if waiting:
        parts.append(f"{waiting} wait for it")
    if held:
        parts.append(f"its ring holds {held}")
    if job.pid is None and job.exit_reason:
        parts.append(job.exit_reason)
    return tuple(parts)
