"""Mistakes that only show when all jobs of a folder are seen together."""

from pathlib import Path
from typing import Final

from enrgdaq.daq.config_check import Mistake
from enrgdaq.daq.topics import Topic
from enrgdaq.supervisor.config import ConfigFolder
from enrgdaq.supervisor.facts import JobFacts
from enrgdaq.transport.routes import covers

_STATISTICS_JOB: Final = "DAQJobHandleStats"  # writes the same table as the supervisor


def _check_files(folder: ConfigFolder, facts: dict[str, JobFacts], files: dict[str, Path]) -> None:
    """One file has one kind of writer; the supervisor's own files have none besides."""
    folders = [(job.type_name, Path(job.out_dir)) for job in facts.values() if job.out_dir]
    own = Path(folder.supervisor.out_dir).resolve()
    reserved = {own / "stats.csv", own / "stats_remote.csv"}
    seen: dict[Path, tuple[str, str, str]] = {}
    for job in facts.values():
        for use in job.files:
            for store, out_dir in folders:
                if store != use.store:
                    continue
                path = (out_dir / use.file_path).resolve()
                kind = (use.store, use.mode)
                first = seen.setdefault(path, (*kind, job.unique_id))
                if first[:2] != kind:
                    reason = f"is also written by {first[0]} ({first[1]}) for {files[first[2]]}"
                elif path in reserved and job.type_name != _STATISTICS_JOB:
                    reason = "is written by the supervisor itself"
                else:
                    continue
                folder.mistakes.append(
                    Mistake(
                        file=str(files[job.unique_id]),
                        key="file_path",
                        text=f"{use.file_path!r} {reason}; choose another name",
                    )
                )
    for path, (_, _, job_id) in seen.items():
        for above in (parent for parent in path.parents if parent in seen):
            folder.mistakes.append(
                Mistake(
                    file=str(files[job_id]),
                    key="file_path",
                    text=f"{path} lies below {above}, which is a file for {files[seen[above][2]]};"
                    " choose another name",
                )
            )


def check_together(folder: ConfigFolder, facts: dict[str, JobFacts]) -> None:
    """Find what only shows when all jobs are seen together; it goes into the folder."""
    files = {job.unique_id: job.path for job in folder.jobs}
    places: dict[tuple[str, Path], str] = {}
    for job in facts.values():
        if job.out_dir is None:
            continue
        key = (job.type_name, Path(job.out_dir).resolve())
        other = places.setdefault(key, job.unique_id)
        if other != job.unique_id:
            folder.mistakes.append(
                Mistake(
                    file=str(files[job.unique_id]),
                    key="out_dir",
                    text=f"{job.out_dir!r} is also the folder of {files[other]}: two"
                    f" {job.type_name} must not write the same files",
                )
            )
    _check_files(folder, facts, files)
    taken = {topic for job in facts.values() for topic in job.topics_in}
    # A store with a mistake of its own is there all the same: nothing is known but its type.
    taken |= {Topic.store(job.job_class.name) for job in folder.jobs}
    for job in facts.values():
        for topic in job.stores_wanted:
            if not any(covers(one, topic) for one in taken):
                store = topic.partition(".")[2]
                folder.warnings.append(
                    f"{files[job.unique_id]}: nobody stores its {store} data; add a file with"
                    f' daq_job_type = "{store}"'
                )
