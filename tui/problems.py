"""What is wrong with a job, in the words that the console uses for it."""

from collections import Counter
from collections.abc import Iterable
from enum import Enum

from enrgdaq.control.status import JobStatus


class Problem(Enum):
    """The gravest first; ``value`` is what the top of the screen says."""

    FAILED = "failed"
    LOSSY = "lossy"
    WAITS_FOR_DISK = "waiting for disk"
    STALE = "stale"
    RESTARTING = "restarting"
    IN_TROUBLE = "in trouble"
    UNROUTED = "without a store"


GRAVE = {Problem.FAILED, Problem.LOSSY, Problem.WAITS_FOR_DISK}
"""Data are lost, or soon will be."""

_RANKS = {problem: rank for rank, problem in enumerate(Problem)}


def problems_of(job: JobStatus) -> list[Problem]:
    """All that is wrong with a job, the gravest first; empty if it is well."""
    found = []
    if job.state == "failed":
        found.append(Problem.FAILED)
    if job.lost:
        found.append(Problem.LOSSY)
    if job.condition.startswith("waiting for disk"):
        found.append(Problem.WAITS_FOR_DISK)
    elif job.condition:
        found.append(Problem.IN_TROUBLE)
    if job.is_stale:
        found.append(Problem.STALE)
    if job.state == "backoff":
        found.append(Problem.RESTARTING)
    if job.unrouted:
        found.append(Problem.UNROUTED)
    return sorted(found, key=_RANKS.__getitem__)


def gravity(job: JobStatus) -> int:
    """For sorting: 0 is the gravest; jobs that are well come last."""
    found = problems_of(job)
    return _RANKS[found[0]] if found else len(_RANKS)


def tally(jobs: Iterable[JobStatus]) -> list[tuple[Problem, int]]:
    """How many jobs have which problem, the gravest first."""
    counts = Counter(problem for job in jobs for problem in problems_of(job))
    return [(problem, counts[problem]) for problem in Problem if counts[problem]]
