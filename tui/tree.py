"""The job tree as lines: which jobs are shown, under what, in which order."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from enrgdaq.control.status import JobStatus
from tui.problems import gravity, problems_of
from tui.view import View

KINDS = {"source": "sources", "processor": "processors", "store": "stores", "monitor": "monitors"}
NODE = "\0"
ATTENTION = "attention"
OF_NODE = "/"
"""Between the names of another node and of a job of its; no name contains it."""

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
    """The group whose line this key stands for; empty for jobs and for the whole tree.

    A kind, ``node/kind``, or ``node/`` for all jobs of another node.
    """
    return key[1:] if key.startswith(NODE) else ""


def node_of(name: str) -> str:
    """The other node that a job or group is of; empty for the node that is asked."""
    return name.rpartition(OF_NODE)[0]


def group_of(job: JobStatus) -> str:
    """The group that a job stands in."""
    node = node_of(job.id)
    return f"{node}{OF_NODE}{job.kind}" if node else job.kind


def rows(jobs: list[JobStatus], view: View, node: str = "") -> list[Row]:
    """The visible lines. ``node`` names the supervisor, if it is to have a line of its own."""
    order = _ORDERS.get(view.order, _ORDERS["name"])
    shown = sorted(
        (job for job in jobs if matches(job, view.job_filter)), key=lambda job: (order(job), job.id)
    )
    ill = sorted(filter(problems_of, shown), key=gravity) if view.is_attentive else []
    well = [job for job in shown if not (view.is_attentive and problems_of(job))]
    own = [job for job in shown if not node_of(job.id)]
    lines = [Row(NODE, 0, node, jobs=own)] if node and own else []
    depth = len(lines)
    lines += _group(ATTENTION, depth, "need attention", ill, view)
    lines += _kinds("", depth, [job for job in well if not node_of(job.id)], view)
    for other in sorted({node_of(job.id) for job in well} - {""}):
        members = [job for job in well if node_of(job.id) == other]
        key, is_folded = f"{other}{OF_NODE}", f"{other}{OF_NODE}" in view.folded
        is_folded = is_folded and not view.job_filter
        lines.append(Row(group_key(key), 0, other, jobs=members, is_folded=is_folded))
        lines += [] if is_folded else _kinds(key, 1, members, view)
    return lines


def _kinds(prefix: str, depth: int, jobs: list[JobStatus], view: View) -> list[Row]:
    """The jobs of one node by their kinds."""
    kinds = dict.fromkeys([*KINDS, *(job.kind for job in jobs)])
    return [
        line
        for kind in kinds
        for line in _group(
            prefix + kind,
            depth,
            KINDS.get(kind, kind),
            [job for job in jobs if job.kind == kind],
            view,
        )
    ]


def _group(key: str, depth: int, label: str, members: list[JobStatus], view: View) -> list[Row]:
    if not members:
        return []
    # What is looked for is never hidden.
    is_folded = key in view.folded and not view.job_filter
    head = Row(group_key(key), depth, label, jobs=members, is_folded=is_folded)
    if is_folded:
        return [head]
    # Where jobs of several nodes stand together, each needs its full name.
    start = 0 if key == ATTENTION else len(node_of(key)) + bool(node_of(key))
    return [head, *(Row(job.id, depth + 1, job.id[start:], job=job) for job in members)]


def matches(job: JobStatus, wanted: str) -> bool:
    """Whether name, type, kind or state contain each of the words, in any case of letters."""
    if not wanted:
        return True
    state = "stale" if job.is_stale else job.state
    text = f"{job.id} {job.type} {job.kind} {state} {job.condition}".casefold()
    return all(word in text for word in wanted.casefold().split())
