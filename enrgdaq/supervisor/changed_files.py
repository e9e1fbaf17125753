"""Whether a job's file on disk is still the text that the job runs with."""

from collections.abc import Iterable
from pathlib import Path

from enrgdaq.supervisor.config import SUPERVISOR_FILE, JobFile
from enrgdaq.supervisor.job import Job


def text_on_disk(path: Path) -> str:
    """What is in a job's file now, read as at the start."""
    return path.read_bytes().decode("utf-8-sig")


def has_changed(file: JobFile) -> bool:
    """Whether the file has another text by now; one that cannot be read has not."""
    # Links are made from a part of that file, and have a text of their own.
    if file.path.name == SUPERVISOR_FILE:
        return False
    try:
        # Reading a pipe would wait for whoever writes into it.
        return file.path.is_file() and text_on_disk(file.path) != file.text
    except (OSError, UnicodeDecodeError):
        return False


def hints(jobs: Iterable[Job]) -> str:
    """What to add where jobs are started without being read anew; empty if no file has changed."""
    return "".join(
        f"; {job.file.path} has changed since: 'enrgdaq reload {job.id}' takes it"
        for job in jobs
        if has_changed(job.file)
    )
