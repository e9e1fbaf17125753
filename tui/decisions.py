"""What a key may do to a job: decided here, without terminal or socket."""

from dataclasses import dataclass
from enum import Enum

from enrgdaq.control.protocol import JobStatus, Snapshot
from tui.formats import number, size

CONFIRM_SECONDS = 3.0


class Order(Enum):
    """A command that changes something."""

    RESTART = "restart"
    STOP = "stop"
    START = "start"
    SHUTDOWN = "shutdown"


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


@dataclass(frozen=True)
class Plan:
    """One command to one job, as the user saw the job when he pressed the key."""

    order: Order
    job: str
    pid: int | None
    question: str
    facts: str
    consequence: str


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
        pid=job.pid,
        question=f"{order.value.capitalize()} {job.id}?",
        facts=_facts(job),
        consequence="" if order is Order.START else _MEANWHILE.get(job.kind, ""),
    )


def still_fits(planned: Plan, snapshot: Snapshot) -> str:
    """Empty if the job is still the one that the question was about, else what has changed."""
    job = next((job for job in snapshot.jobs if job.id == planned.job), None)
    if job is None:
        return f"{planned.job} is no longer there"
    orders = {plan(intent, job, snapshot) for intent in Intent}
    if not any(isinstance(now, Plan) and now.order is planned.order for now in orders):
        return f"{planned.job} is {job.state} by now"
    if job.pid != planned.pid:
        return f"{planned.job} has become another process meanwhile: look again"
    return ""


def _facts(job: JobStatus) -> str:
    parts = [f"pid {job.pid}" if job.pid is not None else job.state]
    if job.rate_in:
        parts.append(f"takes {number(job.rate_in)} msg/s, {size(job.rate_bytes_in)}/s")
    if job.rate_out:
        parts.append(f"gives {number(job.rate_out)} msg/s, {size(job.rate_bytes_out)}/s")
    if job.pid is None and job.exit_reason:
        parts.append(job.exit_reason)
    return "  ".join(parts)
