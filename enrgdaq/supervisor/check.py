"""Checks jobs against their classes, in a short-lived process that imports user code.

A job file that hangs, exits or crashes on import is one more reported mistake: the process
says which job it is at before it begins with it.
"""

import contextlib
import os
import signal
import socket
import sys
from typing import Any, Final

import msgspec

from enrgdaq.daq.config_check import Mistake, read_config
from enrgdaq.daq.models import DAQJobConfig
from enrgdaq.daq.registry import load_class
from enrgdaq.daq.spec import ClassRef
from enrgdaq.daq.store.models import (
    FILE_BACKENDS,
    STORE_TYPES,
    DAQJobStoreConfig,
    DAQJobStoreConfigMySQL,
    DAQJobStoreConfigRedis,
)
from enrgdaq.daq.store.names import check_redis_key, check_table_name
from enrgdaq.daq.store.paths import check_file_path
from enrgdaq.daq.topics import Topic
from enrgdaq.errors import ConfigurationError, EnrgdaqError, StoreError
from enrgdaq.supervisor.check_together import check_together
from enrgdaq.supervisor.config import ConfigFolder, JobFile
from enrgdaq.supervisor.facts import CheckResult, FileUse, JobFacts
from enrgdaq.supervisor.forkserver import LARGEST_REQUEST
from enrgdaq.supervisor.spawner import Pipes, Spawner

LONGEST_IMPORT_SECONDS: Final = 10.0
START_SECONDS: Final = 60.0
LARGEST: Final = 200_000  # bytes; one datagram
# A job's process gets its file in one datagram with all that it must know besides: its rings,
# some 400 bytes each, and the records that it is to pass.
LARGEST_CONFIG: Final = LARGEST_REQUEST - 80_000


class _Request(msgspec.Struct, kw_only=True):
    file: str
    unique_id: str
    job_class: ClassRef
    raw: dict[str, Any]


def run_check(channel: int) -> int:
    """In the child: check one job after the other, answering each request."""
    own = socket.socket(fileno=channel)
    own.send(str(os.getpid()).encode())
    while data := own.recv(LARGEST):
        request = msgspec.msgpack.decode(data, type=_Request)
        own.send(msgspec.msgpack.encode(_check_one(request)))
    sys.stdout.flush()
    # Not through atexit and thread joins of the user's modules: those may hang.
    os._exit(0)


def check_jobs(
    folder: ConfigFolder, spawner: Spawner, *, seconds_each: float = LONGEST_IMPORT_SECONDS
) -> dict[str, JobFacts]:
    """Facts of all jobs that are right; the mistakes of the others go into the folder.

    Raises :class:`ConfigurationError` when no process can be started for it.
    """
    facts: dict[str, JobFacts] = {}
    todo = list(folder.jobs)
    while todo:
        with _Child(spawner, seconds_each) as child:
            while todo and child.is_alive:
                result = child.check(todo.pop(0))
                folder.mistakes.extend(result.mistakes)
                if result.facts is not None:
                    facts[result.facts.unique_id] = result.facts
    check_together(folder, facts)
    return facts


class _Child:
    """A short-lived process that imports user code; one that misbehaves is replaced."""

    def __init__(self, spawner: Spawner, seconds_each: float) -> None:
        self.is_alive = True
        self._seconds = seconds_each
        self._channel, self._pipes = fork_check(spawner)
        # The forkserver may still be importing, on a cold disk for long.
        self._channel.settimeout(START_SECONDS)
        try:
            self._pid = int(self._channel.recv(32) or 0)
        except TimeoutError as error:
            self.__exit__()
            raise ConfigurationError(
                f"no process for the check within {START_SECONDS:g} s; the host is too busy"
            ) from error
        self._channel.settimeout(seconds_each)

    def check(self, job: JobFile) -> CheckResult:
        """Check one job; what the process does not survive is the job's mistake."""
        try:
            self._channel.send(request_for(job))
            data = self._channel.recv(LARGEST)
        except TimeoutError:
            self.is_alive = False
            os.kill(self._pid, signal.SIGKILL)
            return hangs(job, self._seconds)
        except ConnectionError:
            data = b""
        except ValueError as error:
            return _mistake(str(job.path), "", str(error))
        self.is_alive = bool(data)
        return result_of(job, data, self._pipes)

    def __enter__(self) -> "_Child":
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()
        self._pipes.close()


def fork_check(spawner: Spawner) -> tuple[socket.socket, Pipes]:
    """A process for checks: the channel to it, on which it says its process id first."""
    channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    _, pipes = spawner.fork("check", "check", b"", theirs)
    return channel, pipes


def request_for(job: JobFile) -> bytes:
    """What the process is asked. Raises ``ValueError`` for a file that no process can get."""
    asked = _Request(
        file=str(job.path), unique_id=job.unique_id, job_class=job.job_class, raw=job.raw
    )
    try:
        request = msgspec.msgpack.encode(asked)
    except (OverflowError, UnicodeEncodeError) as error:
        raise ValueError(f"a value cannot be sent to the job's process: {error}") from error
    if len(request) > LARGEST_CONFIG:
        raise ValueError(
            f"its keys and values are too large: {len(request)} bytes, and {LARGEST_CONFIG} are"
            " the limit; put what is long into a file of its own, and its name here"
        )
    return request


def result_of(job: JobFile, data: bytes, pipes: Pipes) -> CheckResult:
    """What the process found; empty data says that it did not live to tell."""
    if data:
        return msgspec.msgpack.decode(data, type=CheckResult)
    return _mistake(str(job.path), "daq_job_type", f"{_place(job)}: {_last_words(pipes)}")


def hangs(job: JobFile, seconds: float) -> CheckResult:
    """The mistake of a job whose import did not come to its end."""
    reason = f"importing it took more than {seconds:g} s; it hangs"
    return _mistake(str(job.path), "daq_job_type", f"{_place(job)}: {reason}")


def _place(job: JobFile) -> str:
    return job.job_class.file or job.job_class.module


def _mistake(file: str, key: str, text: str) -> CheckResult:
    return CheckResult(mistakes=[Mistake(file=file, key=key, text=text)])


def _last_words(pipes: Pipes) -> str:
    """What a child said before it ended; it is dead, so all of it is in the pipes."""
    said = b""
    for descriptor in (pipes.stdout, pipes.stderr):
        with contextlib.suppress(BlockingIOError):
            said += os.read(descriptor, 65_536)
    lines = said.decode(errors="replace").strip().splitlines()
    return "its process ended on import" + (f": {lines[-1][:300]}" if lines else "")


def _check_one(request: _Request) -> CheckResult:
    # In the child only: a supervisor touches no data and is up sooner without pyarrow and numpy.
    from enrgdaq.daq.store.base import DAQJobStore, DAQJobStoreJobConfig

    def wrong(key: str, text: str) -> CheckResult:
        return _mistake(request.file, key, text)

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
        return CheckResult(mistakes=mistakes)
    stores = _store_configs(config)
    mistakes = [
        Mistake(file=request.file, key=key, text=str(error))
        for key, error in (*_empty_sections(stores, request.raw), *_name_mistakes(stores))
    ]
    if mistakes:
        return CheckResult(mistakes=mistakes)
    topics = [*job_class.topics_to_subscribe, *config.topics_to_subscribe]
    is_store = issubclass(job_class, DAQJobStore)
    if is_store:
        topics.append(Topic.store(job_class.__name__))
    data_topics = [topic for topic in topics if not Topic.is_telemetry(topic)]
    wanted = {topic for store in stores.values() for topic in store.topics()}
    return CheckResult(
        facts=JobFacts(
            unique_id=request.unique_id,
            type_name=job_class.__name__,
            kind=_kind(
                is_store=is_store,
                takes=bool(topics),
                may_publish=bool(stores) or (bool(data_topics) and config.when_behind == "hold"),
            ),
            topics_in=list(dict.fromkeys(topics)),
            takes_messages=bool(data_topics),
            is_mirror=job_class.is_mirror,
            may_skip=config.when_behind == "skip",
            stores_wanted=sorted(wanted),
            files=_file_uses(stores),
            out_dir=config.out_dir if isinstance(config, DAQJobStoreJobConfig) else None,
            ring_size_mb=config.ring_size_mb,
            use_shm=config.use_shm_when_possible,
            restart_offset_seconds=job_class.restart_offset.total_seconds(),
            stale_after_seconds=config.stale_after_seconds,
        ),
    )


def _kind(*, is_store: bool, takes: bool, may_publish: bool) -> str:
    """Decides the order of stopping: sources, processors, stores, monitors."""
    if is_store:
        return "store"
    if not takes:
        return "source"
    return "processor" if may_publish else "monitor"


def _store_configs(config: DAQJobConfig) -> dict[str, DAQJobStoreConfig]:
    """All store configs of a job, by key: a job may have several under names of its own."""
    found = {name: getattr(config, name) for name in config.__struct_fields__}
    return {n: value for n, value in found.items() if isinstance(value, DAQJobStoreConfig)}


def _empty_sections(
    stores: dict[str, DAQJobStoreConfig], raw: dict[str, Any]
) -> list[tuple[str, StoreError]]:
    """Sections that the file has, and that send rows nowhere."""
    return [
        (name, StoreError(f"names no backend; add one, such as [{name}.csv]"))
        for name, store in stores.items()
        if name in raw and not store.backends()
    ]


def _name_mistakes(stores: dict[str, DAQJobStoreConfig]) -> list[tuple[str, StoreError]]:
    found: list[tuple[str, StoreError]] = []
    for name, store in stores.items():
        for settings in store.backends():
            key = "file_path"
            try:
                if isinstance(settings, FILE_BACKENDS):
                    check_file_path(settings.file_path)
                elif isinstance(settings, DAQJobStoreConfigMySQL):
                    key = "mysql.table_name"
                    check_table_name(settings.table_name)
                elif isinstance(settings, DAQJobStoreConfigRedis):
                    key = "redis.key"
                    check_redis_key(settings.key)
            except StoreError as error:
                found.append((f"{name}.{key}", error))
    return found


def _file_uses(stores: dict[str, DAQJobStoreConfig]) -> list[FileUse]:
    return [
        FileUse(
            store=STORE_TYPES[section],
            file_path=settings.file_path,
            mode="overwrite" if getattr(settings, "overwrite", False) else "append",
        )
        for store in stores.values()
        for section in STORE_TYPES
        if isinstance(settings := getattr(store, section), FILE_BACKENDS)
    ]
