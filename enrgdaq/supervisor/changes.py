"""Changes of the configuration while acquisition runs: a job's file anew, or one more job.

Each is checked as at the start, by a process that imports the user's code, and is carried out
as a whole or not at all. One at a time: two that are right alone may be wrong together.
"""

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from enrgdaq.control.protocol import AddJob, CheckJob, ReloadJob
from enrgdaq.daq.config_check import Mistake
from enrgdaq.daq.registry import Registry
from enrgdaq.errors import ControlError, TransportError
from enrgdaq.supervisor.changed_files import text_on_disk
from enrgdaq.supervisor.check_aside import CheckAside
from enrgdaq.supervisor.check_together import check_together
from enrgdaq.supervisor.config import (
    JOBS_FOLDER,
    SUPERVISOR_FILE,
    ConfigFolder,
    JobFile,
    double_ids,
    is_usable_id,
    job_of,
    read_job,
)
from enrgdaq.supervisor.facts import CheckResult, JobFacts
from enrgdaq.supervisor.fleet import Fleet
from enrgdaq.supervisor.job import Job
from enrgdaq.supervisor.loop import Loop
from enrgdaq.supervisor.rings import NodeRings
from enrgdaq.supervisor.spawner import Spawner
from enrgdaq.supervisor.states import JobState
from enrgdaq.supervisor.stats import JobStats

Change = CheckJob | ReloadJob | AddJob
Done = Callable[[str | ControlError], None]
"""Called once, with what is being done now or with the reason why nothing is."""

Apply = Callable[[JobFile, JobFacts], str]


class Changes:
    """Checks and carries out changes, from the supervisor's loop."""

    def __init__(
        self,
        folder: ConfigFolder,
        fleet: Fleet,
        rings: NodeRings,
        loop: Loop,
        spawner: Callable[[], Spawner],
    ) -> None:
        self._folder = folder
        self._fleet = fleet
        self._rings = rings
        self._loop = loop
        self._spawner = spawner
        self._check: CheckAside | None = None
        fleet.on_failed_change = self._take_back

    def begin(self, change: Change, done: Done) -> None:
        """Start with a change. Raises :class:`ControlError` for what is wrong at first sight."""
        if self._fleet.is_closing:
            raise ControlError("acquisition is being stopped")
        if self._check is not None:
            raise ControlError("another file is being checked at this moment; try again")
        if isinstance(change, AddJob):
            self._begin_add(change, done)
        elif isinstance(change, ReloadJob):
            self._begin_reload(change, done)
        else:
            job = self._fleet.job(change.job)
            _refuse_link(job)
            new = self._same_job(job, _right(job_of(job.file.path, change.text, self._registry())))
            self._begin_check(new, lambda _, facts: self._say_right(job, facts), done)

    def tick(self) -> None:
        """Let time pass."""
        if self._check is not None:
            self._check.tick()

    def close(self) -> None:
        """Give up what is being checked; idempotent."""
        if self._check is not None:
            self._check.close()
            self._check = None

    def _begin_reload(self, change: ReloadJob, done: Done) -> None:
        job = self._fleet.job(change.job)
        _refuse_link(job)
        _refuse_stopping(job)
        path, registry = job.file.path, self._registry()
        _refuse_changed_meanwhile(path, change.before)
        read = read_job(path, registry) if change.text is None else None
        new = self._same_job(job, _right(read or job_of(path, change.text or "", registry)))

        def apply(new: JobFile, facts: JobFacts) -> str:
            _refuse_stopping(job)
            _refuse_lasting(job.facts, facts)
            if change.text is not None:
                _refuse_changed_meanwhile(path, change.before)
                _write(path, new.text)
            job.fallback = (job.file, job.facts)
            job.file, job.facts = new, facts
            return f"{self._fleet.restart(job.id)} with {path.name} as it is now"

        self._begin_check(new, apply, done)

    def _begin_add(self, change: AddJob, done: Done) -> None:
        path = self._folder.path / _job_file_name(change.file)
        if any(_is_same(path, job.file.path) for job in self._fleet.jobs.values()):
            raise ControlError(f"{path.name} is the file of a job that is there already")
        if change.text is None:
            new = _right(read_job(path, self._registry()))
        elif path.exists():
            raise ControlError(f"{path} exists already: start it by its name, without a new text")
        else:
            # What is wrong with it is looked for where it is, and not where it would come to be.
            new = _right(job_of(_origin_of(change, path), change.text, self._registry()))
        _refuse_mistakes(double_ids([*(job.file for job in self._fleet.jobs.values()), new]))

        def apply(new: JobFile, facts: JobFacts) -> str:
            new = replace(new, path=path)
            if change.text is not None:
                _write_new(path, change.text)
            try:
                size = self._rings.add(facts)
            except TransportError as error:
                if change.text is not None:
                    path.unlink(missing_ok=True)
                raise ControlError(str(error)) from error
            self._folder.jobs.append(new)
            self._fleet.add(Job(file=new, facts=facts, stats=JobStats(time.monotonic)))
            return f"starting {new.unique_id} from {path.name}, ring {size / 1e6:.0f} MB"

        self._begin_check(new, apply, done)

    def _begin_check(self, new: JobFile, apply: Apply, done: Done) -> None:
        def finish(result: CheckResult) -> None:
            self._check = None
            try:
                done(apply(new, self._facts_of(new, result)))
            except ControlError as error:
                done(error)

        try:
            self._check = CheckAside(new, self._spawner(), self._loop, finish)
        except (ValueError, TransportError) as error:
            raise ControlError(f"{new.path}: {error}") from error

    def _facts_of(self, new: JobFile, result: CheckResult) -> JobFacts:
        """Facts of a job that is right, alone and together with the others."""
        _refuse_mistakes(result.mistakes)
        if result.facts is None:
            raise ControlError(f"{new.path}: cannot be checked")
        others = [j.file for j in self._fleet.jobs.values() if j.id != new.unique_id]
        together = ConfigFolder(self._folder.path, self._folder.supervisor, [*others, new])
        together.mistakes.extend(double_ids(together.jobs))
        facts = {job.id: job.facts for job in self._fleet.jobs.values()}
        check_together(together, {**facts, new.unique_id: result.facts})
        _refuse_mistakes(together.mistakes)
        return result.facts

    def _say_right(self, job: Job, facts: JobFacts) -> str:
        _refuse_lasting(job.facts, facts)
        return f"{job.file.path}: no mistakes"

    def _take_back(self, job: Job) -> None:
        """The new file did not even let the job start: the old one counts again."""
        if job.fallback is None:
            return
        (file, facts), job.fallback = job.fallback, None
        with contextlib.suppress(OSError, ControlError):
            if text_on_disk(job.file.path) == job.file.text:
                _write(job.file.path, file.text)
        job.file, job.facts = file, facts

    def _registry(self) -> Registry:
        return Registry(self._folder.path / JOBS_FOLDER)

    def _same_job(self, job: Job, new: JobFile) -> JobFile:
        if new.unique_id != job.id:
            raise ControlError(
                f"{new.path}: daq_job_unique_id: {new.unique_id!r} would be another job than"
                f" {job.id!r}: its data is kept under its name; make a new file for it"
            )
        return new


def _right(read: tuple[JobFile | None, list[Mistake]]) -> JobFile:
    job, mistakes = read
    _refuse_mistakes(mistakes)
    if job is None:
        raise ControlError("the file cannot be read")
    return job


def _refuse_mistakes(mistakes: list[Mistake]) -> None:
    if mistakes:
        raise ControlError("\n".join(str(mistake) for mistake in sorted(mistakes)))


def _refuse_link(job: Job) -> None:
    if job.file.path.name == SUPERVISOR_FILE:
        raise ControlError(
            f"{job.id} is made from [federation] of {SUPERVISOR_FILE}: start the supervisor again"
            " to change it"
        )


def _refuse_stopping(job: Job) -> None:
    if job.state is JobState.STOPPING:
        raise ControlError(f"{job.id} is stopping: wait until it has come to rest")


def _refuse_lasting(old: JobFacts, new: JobFacts) -> None:
    """What rings were made for lasts as long as they do."""
    lasting = {
        "daq_job_type": (old.type_name, new.type_name),
        "ring_size_mb": (old.ring_size_mb, new.ring_size_mb),
        "use_shm_when_possible": (old.use_shm, new.use_shm),
        "topics_to_subscribe": (old.takes_messages, new.takes_messages),
        "when_behind": (old.may_skip, new.may_skip),
    }
    changed = [key for key, (before, after) in lasting.items() if before != after]
    if changed:
        raise ControlError(
            f"{new.unique_id}: {', '.join(changed)}: takes effect only when acquisition is"
            " started anew, since its rings are made for it; change the file and restart"
            " everything, or leave the key as it was"
        )


def _refuse_changed_meanwhile(path: Path, before: str | None) -> None:
    if before is None:
        return
    try:
        now = text_on_disk(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ControlError(f"{path} cannot be read any more: {error}") from error
    if now != before:
        raise ControlError(f"{path} was changed by somebody else meanwhile: look at it again")


def _write(path: Path, text: str) -> None:
    """Replace a file as a whole; it keeps its mode, and a link to it stays one."""
    real = path.resolve()
    unfinished = real.with_name(f".{real.name}.new")
    try:
        # What is in it may be secret: never more open than the file that it replaces.
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, real.stat().st_mode & 0o777)
            file.write(text.encode())
            file.flush()
            os.fsync(descriptor)
        unfinished.replace(real)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise ControlError(f"{path} cannot be written: {error.strerror}") from error


def _write_new(path: Path, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
    except OSError as error:
        raise ControlError(f"{path} cannot be written: {error.strerror}") from error


def _job_file_name(name: str) -> str:
    """A plain name of a job file; anything with a folder in it is refused."""
    stem, dot, end = name.rpartition(".")
    if dot != "." or end != "toml" or not is_usable_id(stem) or name == SUPERVISOR_FILE:
        raise ControlError(
            f"{name!r} cannot be a job's file: it is a name such as hv.toml, of letters, digits,"
            " dot, dash and underscore, in the folder of configs"
        )
    return name


def _origin_of(change: AddJob, path: Path) -> Path:
    """The file that a text was sent from, if it is called as its copy will be."""
    origin = Path(change.origin)
    return origin if origin.name == path.name else path


def _is_same(one: Path, other: Path) -> bool:
    return one.absolute() == other.absolute()
