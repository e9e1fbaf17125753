"""Whether acquisition is well, in one word and one colour."""

from collections.abc import Iterable
from dataclasses import dataclass

from enrgdaq.control.status import JobStatus, Snapshot
from tui import formats
from tui.contact import Contact
from tui.problems import GRAVE, tally
from tui.tree import node_of

LITTLE_DISK = 1e9  # bytes


@dataclass(frozen=True)
class Health:
    """``level`` is ``good info warn bad``; ``headline`` says it in letters."""

    level: str
    headline: str
    text: str = ""


def _only_starts(jobs: Iterable[JobStatus]) -> bool:
    """Whether all jobs of this node that do not run yet are in their first start."""
    waiting = [job for job in jobs if job.state != "running" and not node_of(job.id)]
    return bool(waiting) and all(job.state == "starting" and not job.restarts for job in waiting)


def health(
    snapshot: Snapshot | None, contact: Contact, reason: str, silent_seconds: int | None
) -> Health:
    """What the band at the top says: first whether the figures can be believed at all."""
    if contact is Contact.GONE:
        return Health("bad", "SUPERVISOR GONE", reason)
    if contact is Contact.REFUSED:
        return Health("bad", "CANNOT READ", reason)
    if silent_seconds is not None:
        return Health("warn", f"NO ANSWER FOR {silent_seconds} s", "what you see is old")
    if snapshot is None:
        return Health("info", "CONNECTING")
    node = snapshot.supervisor
    counts = tally(snapshot.jobs)
    full = ["DISK ALMOST FULL"] if node.disk_free_bytes < LITTLE_DISK else []
    if counts:
        is_grave = any(problem in GRAVE for problem, _ in counts)
        words = [*(f"{count} {problem.value.upper()}" for problem, count in counts), *full]
        return Health("bad" if is_grave else "warn", "  ".join(words), "; ".join(node.problems))
    if full:
        text = "; ".join([f"{formats.size(node.disk_free_bytes)} left", *node.problems])
        return Health("bad" if node.problems else "warn", full[0], text)
    if node.problems:
        count = len(node.problems)
        word = "PROBLEM" if count == 1 else "PROBLEMS"
        return Health("bad", f"{count} {word}", "; ".join(node.problems))
    running = f"{node.jobs_running} of {node.jobs_total} jobs run"
    if node.state == "starting" or (node.state == "running" and _only_starts(snapshot.jobs)):
        return Health("info", "STARTING", running)
    if node.state != "running":
        return Health("warn", node.state.upper(), running)
    if node.jobs_running < node.jobs_total:
        return Health("warn", "NOT ALL JOBS RUN", running)
    return Health("good", "ALL WELL", running)
