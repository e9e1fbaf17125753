"""What is wrong, in sentences for people, from what displays show."""

import time

from enrgdaq.control.status import JobStatus, LinkStatus, NodeStatus
from enrgdaq.display import counted
from enrgdaq.supervisor.states import JobState


def job_problems(job: JobStatus) -> dict[str, str]:
    """What is wrong with a job, a sentence for each kind of trouble."""
    found = {}
    if job.state == JobState.FAILED:
        found["failed"] = f"{job.id} failed: {job.exit_reason}"
    if job.state == JobState.BACKOFF:
        found["backoff"] = f"{job.id} ended and will be started again: {job.exit_reason}"
    if job.is_stale:
        found["stale"] = f"{job.id} is stale: silent for {job.age_seconds or 0:.0f} s"
    if job.condition:
        found["condition"] = f"{job.id}: {job.condition}"
    if job.lost:
        found["lost"] = f"{job.id} lost {counted(job.lost, 'message')}"
    if job.unrouted:
        found["unrouted"] = f"{job.id}: {counted(job.unrouted, 'message')} that no store takes"
    return found


def link_problems(link: LinkStatus) -> list[str]:
    """What is wrong with a link to another node."""
    # A sender that cannot send says so in its job's condition.
    if link.is_sender or link.state != "away":
        return []
    return [f"no link from {link.peer} for {time.time() - link.since:.0f} s"]


def node_problems(node: NodeStatus) -> list[str]:
    """What is wrong with another node."""
    if node.state == "away":
        return [f"{node.id} is silent for {node.age_seconds:.0f} s"]
    if node.state == "left":
        return []
    return [f"{node.id}: {text}" for text in node.supervisor.problems]
