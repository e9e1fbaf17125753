"""What the supervisor sends, made fit to be shown, before anything else sees it."""

from typing import TypeVar, cast

import msgspec

from enrgdaq.control.protocol import JobDetails
from enrgdaq.control.status import JobStatus, NodeStatus, Snapshot
from tui.text import clean, clean_lines
from tui.tree import OF_NODE

T = TypeVar("T")


def cleaned(value: T) -> T:
    """The same value with every string in it cleaned."""
    if isinstance(value, str):
        return cast(T, clean(value))
    if isinstance(value, list):
        return cast(T, [cleaned(item) for item in value])
    if isinstance(value, dict):
        return cast(T, {cleaned(name): cleaned(item) for name, item in value.items()})
    if isinstance(value, msgspec.Struct):
        fields = {}
        for name in value.__struct_fields__:
            before = getattr(value, name)
            if isinstance(before, str | list | dict | msgspec.Struct):
                fields[name] = cleaned(before)
        return cast(T, msgspec.structs.replace(value, **fields))
    return value


def cleaned_details(details: JobDetails) -> JobDetails:
    """Like :func:`cleaned`; the job's file keeps its lines."""
    config_text = clean_lines(details.config_text)
    return msgspec.structs.replace(cleaned(details), config_text=config_text)


def named(raw: Snapshot) -> tuple[Snapshot, dict[str, str]]:
    """A cleaned snapshot whose job names are distinct, and what each job is really called.

    Two names that differ only in what cannot be shown must not be mistaken for each other: a
    command goes to the real name of the row that the user saw.
    """
    raw = _with_jobs_of_nodes(raw)
    snapshot = cleaned(raw)
    real: dict[str, str] = {}
    for job, original in zip(snapshot.jobs, raw.jobs, strict=True):
        shown, copies = job.id, 1
        while shown in real:
            copies += 1
            shown = f"{job.id}~{copies}"
        real[shown] = original.id
        job.id = shown
    return snapshot, real


def _with_jobs_of_nodes(raw: Snapshot) -> Snapshot:
    """The jobs of other nodes beside those of this one, under the names that commands take."""
    others = [_from_afar(node, job) for node in raw.nodes for job in node.jobs]
    return msgspec.structs.replace(raw, jobs=[*raw.jobs, *others])


def _from_afar(node: NodeStatus, job: JobStatus) -> JobStatus:
    known = msgspec.structs.replace(job, id=f"{node.id}{OF_NODE}{job.id}")
    if node.state == "up":
        return known
    known.rate_in = known.rate_out = known.rate_bytes_in = known.rate_bytes_out = 0.0
    if node.state == "left":
        known.state, known.pid, known.condition = "stopped", None, ""
    else:
        known.condition = known.condition or f"{node.id} is silent"
    return known
