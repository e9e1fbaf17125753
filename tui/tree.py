"""The job tree as lines: which jobs are shown, under what, in which order."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from enrgdaq.control.protocol import JobStatus
from tui.problems import gravity, problems_of
from tui.view import View

KINDS = {"source": "sources", "processor": "processors", "store": "stores", "monitor": "monitors"}
NODE = "\0"
ATTENTION = "attention"

_ORDERS: dict[str, Callable[[JobStatus], Any]] = {
    "name": lambda job: (),
    "problems": gravity,
    "in": lambda job: -job.rate_in,
    "out": lambda job: -job.rate_out,
    "age": lambda job: -(job.age_seconds or 0.0),
    "cpu": lambda job: -job.cpu_percent,
    "memory": lambda job: -job.private_mb,
    "restarts": lambda job: -job.restarts,
    "backpressure": lambda job: -job.backpressure_seconds,
}


@dataclass(frozen=True)
class Row:
    """A line of the tree: one job, or a group of them (``job`` is None).

    ``key`` is the job's name. A group's begins with a character that no name can contain.
    """

    key: str
    depth: int
    label: str
    job: JobStatus | None = None
    jobs: list[JobStatus] = field(default_factory=list)
    is_folded: bool = False


def group_key(kind: str) -> str:
    """The key of a group's line."""
    return NODE + kind


def kind_of(key: str) -> str:
    """The kind whose line this key stands for; empty for jobs and for the whole node."""
    return key[1:] if key.startswith(NODE) else ""


def rows(jobs: list[JobStatus], view: View, node: str = "") -> list[Row]:
    """The visible lines. ``node`` names the supervisor, if it is to have a line of its own."""
    order = _ORDERS.get(view.order, _ORDERS["name"])
    shown = sorted(
        (job for job in jobs if matches(job, view.job_filter)), key=lambda job: (order(job), job.id)
    )
    groups: dict[str, list[JobStatus]] = {}
    if view.is_attentive:
        groups[ATTENTION] = sorted(filter(problems_of, shown), key=gravity)
    for kind in KINDS:
        groups[kind] = []
    for job in shown:
        if not (view.is_attentive and problems_of(job)):
            groups.setdefault(job.kind, []).append(job)
    depth = 1 if node else 0
    lines = [Row(NODE, 0, node, jobs=shown)] if node and shown else []
    for kind, members in groups.items():
        if not members:
            continue
        # What is looked for is never hidden.
        is_folded = kind in view.folded and not view.job_filter
        label = "need attention" if kind == ATTENTION else KINDS.get(kind, kind)
        lines.append(Row(group_key(kind), depth, label, jobs=members, is_folded=is_folded))
        if not is_folded:
            lines += [Row(job.id, depth + 1, job.id, job=job) for job in members]
    return lines


def matches(job: JobStatus, wanted: str) -> bool:
    """Whether name, type, kind or state contain each of the words, in any case of letters."""
    if not wanted:
        return True
    state = "stale" if job.is_stale else job.state
    text = f"{job.id} {job.type} {job.kind} {state} {job.condition}".casefold()
    return all(word in text for word in wanted.casefold().split())
