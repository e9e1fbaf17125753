"""Reads a folder of TOML files. Imports no user code."""

import socket
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from enrgdaq.daq.config_check import Mistake, read_config
from enrgdaq.daq.registry import Registry
from enrgdaq.daq.spec import ClassRef
from enrgdaq.errors import ConfigurationError
from enrgdaq.models import SupervisorConfig, SupervisorInfo
from enrgdaq.supervisor.exposure import check_exposure
from enrgdaq.supervisor.links import link_jobs
from enrgdaq.supervisor.nats_check import check_nats

SUPERVISOR_FILE: Final = "supervisor.toml"
JOBS_FOLDER: Final = "jobs"
_LONGEST_ID: Final = 63


@dataclass(frozen=True)
class JobFile:
    """One job's TOML file, read but not yet checked against its class."""

    path: Path
    unique_id: str
    job_class: ClassRef
    raw: dict[str, Any]
    text: str


@dataclass
class ConfigFolder:
    """What a folder of configs says, with all that is wrong in it so far."""

    path: Path
    supervisor: SupervisorConfig
    jobs: list[JobFile] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read_folder(path: Path) -> ConfigFolder:
    """Read ``supervisor.toml`` and every other ``*.toml`` directly in a folder.

    Raises :class:`ConfigurationError` when the folder itself cannot be read.
    """
    if not path.is_dir():
        raise ConfigurationError(
            f"{path}: no such folder; name the folder with your job files by --daq-job-config-path"
        )
    folder = ConfigFolder(path=path, supervisor=_default_supervisor())
    _read_supervisor(folder)
    mistakes, warnings = check_exposure(folder.supervisor, path, str(path / SUPERVISOR_FILE))
    folder.mistakes.extend(mistakes)
    folder.warnings.extend(warnings)
    if folder.supervisor.federation is not None:
        mistakes, warnings = check_nats(
            folder.supervisor.federation, path, str(path / SUPERVISOR_FILE)
        )
        folder.mistakes.extend(mistakes)
        folder.warnings.extend(warnings)
    registry = Registry(path / JOBS_FOLDER)
    for script, reason in registry.problems:
        folder.mistakes.append(Mistake(file=script, text=reason))
    for file in sorted(path.glob("*.toml")):
        if file.name != SUPERVISOR_FILE:
            job, mistakes = read_job(file, registry)
            folder.mistakes.extend(mistakes)
            folder.jobs.extend([job] if job else [])
    folder.jobs.extend(_link_jobs(folder))
    folder.mistakes.extend(double_ids(folder.jobs))
    if not folder.jobs and not folder.mistakes:
        folder.mistakes.append(Mistake(file=str(path), text="no job files (*.toml) in this folder"))
    return folder


def supervisor_of(path: Path) -> SupervisorConfig:
    """The settings of ``supervisor.toml`` alone: for clients, which need to know whom to ask.

    Raises :class:`ConfigurationError` when it is wrong.
    """
    folder = ConfigFolder(path=path, supervisor=_default_supervisor())
    _read_supervisor(folder)
    if folder.mistakes:
        raise ConfigurationError("\n".join(str(mistake) for mistake in folder.mistakes))
    return folder.supervisor


def _default_supervisor() -> SupervisorConfig:
    host = socket.gethostname().split(".")[0]
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in host)
    return SupervisorConfig(info=SupervisorInfo(supervisor_id=name.strip("-_")[:40] or "enrgdaq"))


def _read_supervisor(folder: ConfigFolder) -> None:
    file = folder.path / SUPERVISOR_FILE
    default = folder.supervisor
    if not file.exists():
        folder.warnings.append(
            f"{file} is missing: this node is called {default.supervisor_id!r}, after the host"
        )
        return
    try:
        table = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        reason = _not_utf8(error)
    except tomllib.TOMLDecodeError as error:
        reason = f"is not TOML: {error}"
    else:
        reason = ""
    if reason:
        folder.mistakes.append(Mistake(file=str(file), text=reason))
        return
    table.setdefault("info", {})
    if isinstance(table["info"], dict):
        table["info"].setdefault("supervisor_id", default.supervisor_id)
    config, mistakes = read_config(SupervisorConfig, table, str(file))
    folder.mistakes.extend(mistakes)
    folder.supervisor = config or default
    folder.warnings.extend(f"{file}: {reason}" for reason in _without_effect(folder.supervisor))


def _without_effect(config: SupervisorConfig) -> list[str]:
    """Sections that old files may have and that do nothing here: nobody is to rely on them."""
    found = []
    if config.cnc is not None and config.cnc.rest_api_enabled:
        found.append("[cnc] rest_api_enabled has no effect: use 'enrgdaq status --json --attach'")
    return found


def _link_jobs(folder: ConfigFolder) -> list[JobFile]:
    if folder.mistakes:
        return []
    return [
        JobFile(
            path=folder.path / SUPERVISOR_FILE,
            unique_id=name,
            job_class=job_class,
            raw=raw,
            text="# made from [federation] of supervisor.toml\n",
        )
        for name, (job_class, raw) in link_jobs(folder.supervisor, folder.path).items()
    ]


def read_job(file: Path, registry: Registry) -> tuple[JobFile | None, list[Mistake]]:
    """One job's file from disk, or all that is wrong with it so far."""
    try:
        # utf-8-sig: editors on Windows put a mark before the first character.
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        return None, [Mistake(file=str(file), text=f"cannot be read: {error.strerror}")]
    except UnicodeDecodeError as error:
        return None, [Mistake(file=str(file), text=_not_utf8(error))]
    return job_of(file, text, registry)


def job_of(file: Path, text: str, registry: Registry) -> tuple[JobFile | None, list[Mistake]]:
    """The job that a text describes, as if it were the content of ``file``."""

    def wrong(key: str, reason: str) -> tuple[None, list[Mistake]]:
        return None, [Mistake(file=str(file), key=key, text=reason)]

    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return wrong("", f"is not TOML: {error}")
    job_type = raw.get("daq_job_type")
    if not isinstance(job_type, str):
        return wrong(
            "daq_job_type",
            f"missing; expected the class name of a job, such as {', '.join(registry.names())}",
        )
    unique_id = raw.get("daq_job_unique_id", file.stem)
    if not isinstance(unique_id, str) or not is_usable_id(unique_id):
        return wrong(
            "daq_job_unique_id",
            f"{unique_id!r} cannot name a job: use letters, digits, dot, dash and underscore,"
            f" at most {_LONGEST_ID} (it is the file's name unless the key is set)",
        )
    try:
        job_class = registry.find(job_type)
    except ConfigurationError as error:
        return wrong("daq_job_type", str(error))
    return JobFile(path=file, unique_id=unique_id, job_class=job_class, raw=raw, text=text), []


def is_usable_id(unique_id: str) -> bool:
    """Whether a job may be called so: it becomes a file name and a word on a terminal."""
    allowed = unique_id.isascii() and all(c.isalnum() or c in "._-" for c in unique_id)
    return allowed and 0 < len(unique_id) <= _LONGEST_ID and unique_id[0].isalnum()


def _not_utf8(error: UnicodeDecodeError) -> str:
    return f"is not UTF-8 text: byte {error.object[error.start]:#04x} at {error.start}"


def double_ids(jobs: list[JobFile]) -> list[Mistake]:
    """Jobs whose name another one has already."""
    first: dict[str, Path] = {}
    found = []
    for job in jobs:
        # Names become files, and some file systems do not tell "CSV" from "csv".
        other = first.setdefault(job.unique_id.lower(), job.path)
        if other is not job.path:
            found.append(
                Mistake(
                    file=str(job.path),
                    key="daq_job_unique_id",
                    text=f"{job.unique_id!r} is also the name of the job in {other}",
                )
            )
    return found
