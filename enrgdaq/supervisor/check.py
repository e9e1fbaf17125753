"""Checks jobs against their classes, in a short-lived process that imports user code.

A job file that hangs, exits or crashes on import is one more reported mistake: the process
says which job it is at before it begins with it.
"""

import contextlib
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from enrgdaq.daq.config_check import Mistake, read_config
from enrgdaq.daq.models import DAQJobConfig
from enrgdaq.daq.registry import load_class
from enrgdaq.daq.spec import ClassRef
from enrgdaq.daq.store.base import DAQJobStore, DAQJobStoreJobConfig
from enrgdaq.daq.store.models import FILE_BACKENDS, DAQJobStoreConfig
from enrgdaq.daq.store.paths import check_file_path
from enrgdaq.daq.topics import Topic
from enrgdaq.errors import EnrgdaqError, StoreError
from enrgdaq.supervisor.config import ConfigFolder, JobFile
from enrgdaq.supervisor.spawner import Pipes, Spawner

LONGEST_IMPORT_SECONDS: Final = 10.0
_LARGEST: Final = 200_000  # bytes; one datagram


class JobFacts(msgspec.Struct, kw_only=True):
    """What the supervisor must know of a job, and only its class can say."""

    unique_id: str
    type_name: str
    kind: str
    """``source processor store monitor``"""
    topics_in: list[str]
    takes_messages: bool
    """Whether it holds rows in rings."""
    may_skip: bool
    """Whether it rather loses messages than holds producers up."""
    stores_wanted: list[str]
    """Topics of the stores that its config asks for."""
    out_dir: str | None
    ring_size_mb: int | None
    use_shm: bool
    restart_offset_seconds: float
    stale_after_seconds: float | None


class _Request(msgspec.Struct, kw_only=True):
    file: str
    unique_id: str
    job_class: ClassRef
    raw: dict[str, Any]


class _Result(msgspec.Struct, kw_only=True):
    index: int
    facts: JobFacts | None = None
    mistakes: list[Mistake] = []


def run_check(channel: int, argument: bytes) -> int:
    """In the child: check one job after the other, sending a result for each."""
    own = socket.socket(fileno=channel)
    own.send(str(os.getpid()).encode())
    for index, request in enumerate(msgspec.msgpack.decode(argument, type=list[_Request])):
        own.send(msgspec.msgpack.encode(_check_one(index, request)))
    sys.stdout.flush()
    # Not through atexit and thread joins of the user's modules: those may hang.
    os._exit(0)


def check_jobs(
    folder: ConfigFolder, spawner: Spawner, *, seconds_each: float = LONGEST_IMPORT_SECONDS
) -> dict[str, JobFacts]:
    """Facts of all jobs that are right; the mistakes of the others go into the folder."""
    facts: dict[str, JobFacts] = {}
    todo = list(folder.jobs)
    while todo:
        for result in _run_child(todo, spawner, seconds_each):
            folder.mistakes.extend(result.mistakes)
            if result.facts is not None:
                facts[result.facts.unique_id] = result.facts
            checked = result.index + 1
        todo = todo[checked:]
    _check_together(folder, facts)
    return facts


def _run_child(jobs: list[JobFile], spawner: Spawner, seconds_each: float) -> list[_Result]:
    """Results of one child; the last one is a mistake when the child did not survive."""
    requests = [
        _Request(file=str(j.path), unique_id=j.unique_id, job_class=j.job_class, raw=j.raw)
        for j in jobs
    ]
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(seconds_each)
    _, pipes = spawner.fork("check", "check", msgspec.msgpack.encode(requests), theirs)
    results: list[_Result] = []
    try:
        pid = int(ours.recv(32) or 0)
        while len(results) < len(jobs):
            try:
                data = ours.recv(_LARGEST)
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                reason = f"importing it took more than {seconds_each:g} s; it hangs"
                return [*results, _failure(jobs, results, reason)]
            if not data:
                return [*results, _failure(jobs, results, _last_words(pipes))]
            results.append(msgspec.msgpack.decode(data, type=_Result))
    finally:
        ours.close()
        pipes.close()
    return results


def _failure(jobs: list[JobFile], results: list[_Result], reason: str) -> _Result:
    index = len(results)
    job = jobs[index]
    place = job.job_class.file or job.job_class.module
    mistake = Mistake(file=str(job.path), key="daq_job_type", text=f"{place}: {reason}")
    return _Result(index=index, mistakes=[mistake])


def _last_words(pipes: Pipes) -> str:
    """What a child said before it ended; it is dead, so all of it is in the pipes."""
    said = b""
    for descriptor in (pipes.stdout, pipes.stderr):
        with contextlib.suppress(BlockingIOError):
            said += os.read(descriptor, 65_536)
    lines = said.decode(errors="replace").strip().splitlines()
    return "its process ended on import" + (f": {lines[-1][:300]}" if lines else "")


def _check_one(index: int, request: _Request) -> _Result:
    def wrong(key: str, text: str) -> _Result:
        return _Result(index=index, mistakes=[Mistake(file=request.file, key=key, text=text)])

    try:
        job_class = load_class(request.job_class)
    except EnrgdaqError as error:
        return wrong("daq_job_type", str(error))
    except Exception as error:  # noqa: BLE001 - user code may raise anything on import
        place = request.job_class.file or request.job_class.module
        return wrong("daq_job_type", f"{place}: {type(error).__name__}: {error}")
    config_type = job_class.config_type
    if not (isinstance(config_type, type) and issubclass(config_type, DAQJobConfig)):
        return wrong("daq_job_type", f"{job_class.__name__}.config_type is no DAQJobConfig")
    config, mistakes = read_config(config_type, request.raw, request.file)
    if config is None:
        return _Result(index=index, mistakes=mistakes)
    stores = _store_configs(config)
    mistakes = [
        Mistake(file=request.file, key=key, text=str(error))
        for key, error in _path_mistakes(stores)
    ]
    if mistakes:
        return _Result(index=index, mistakes=mistakes)
    topics = [*job_class.topics_to_subscribe, *config.topics_to_subscribe]
    is_store = issubclass(job_class, DAQJobStore)
    if is_store:
        topics.append(Topic.store(job_class.__name__))
    data_topics = [topic for topic in topics if not Topic.is_telemetry(topic)]
    wanted = {topic for store in stores.values() for topic in store.topics()}
    return _Result(
        index=index,
        facts=JobFacts(
            unique_id=request.unique_id,
            type_name=job_class.__name__,
            kind=_kind(is_store, bool(topics), bool(stores)),
            topics_in=list(dict.fromkeys(topics)),
            takes_messages=bool(data_topics),
            may_skip=config.when_behind == "skip",
            stores_wanted=sorted(wanted),
            out_dir=config.out_dir if isinstance(config, DAQJobStoreJobConfig) else None,
            ring_size_mb=config.ring_size_mb,
            use_shm=config.use_shm_when_possible,
            restart_offset_seconds=job_class.restart_offset.total_seconds(),
            stale_after_seconds=config.stale_after_seconds,
        ),
    )


def _kind(is_store: bool, takes: bool, asks_for_stores: bool) -> str:
    """Decides the order of stopping: sources, processors, stores, monitors."""
    if is_store:
        return "store"
    if not takes:
        return "source"
    return "processor" if asks_for_stores else "monitor"


def _store_configs(config: DAQJobConfig) -> dict[str, DAQJobStoreConfig]:
    """All store configs of a job, by key: a job may have several under names of its own."""
    found = {name: getattr(config, name) for name in config.__struct_fields__}
    return {n: value for n, value in found.items() if isinstance(value, DAQJobStoreConfig)}


def _path_mistakes(stores: dict[str, DAQJobStoreConfig]) -> list[tuple[str, StoreError]]:
    found: list[tuple[str, StoreError]] = []
    for name, store in stores.items():
        for settings in store.backends():
            if not isinstance(settings, FILE_BACKENDS):
                continue
            try:
                check_file_path(settings.file_path)
            except StoreError as error:
                found.append((f"{name}.file_path", error))
    return found


def _check_together(folder: ConfigFolder, facts: dict[str, JobFacts]) -> None:
    """What only shows when all jobs are seen together."""
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
    taken = {topic for job in facts.values() for topic in job.topics_in}
    for job in facts.values():
        for topic in job.stores_wanted:
            if topic not in taken:
                store = topic.partition(".")[2]
                folder.warnings.append(
                    f"{files[job.unique_id]}: nobody stores its {store} data; add a file with"
                    f' daq_job_type = "{store}"'
                )
