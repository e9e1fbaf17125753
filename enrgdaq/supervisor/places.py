"""Where a supervisor keeps what: sockets and locks, ring memory, logs, state."""

import grp
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from enrgdaq.errors import ConfigurationError
from enrgdaq.models import SupervisorConfig
from enrgdaq.transport.memory import (
    file_folder,
    file_path,
    memory_folder,
    memory_path,
    private_folder,
)

_SERVICE: Final = Path("/run/enrgdaq")  # RuntimeDirectory=enrgdaq of the unit in docs/
_TMP: Final = Path("/tmp")  # noqa: S108 - folders in it are checked to be private


@dataclass(frozen=True)
class Places:
    """The folders of one supervisor.

    ``runtime`` holds sockets and locks and dies with the machine; ``memory`` the rings;
    ``out`` the statistics files; ``state`` what outlives a stop; ``logs`` log and audit.
    """

    supervisor_id: str
    runtime: Path
    memory: Path
    ring_files: Path
    out: Path

    @property
    def logs(self) -> Path:
        """Log and audit files."""
        return self.out / "logs"

    @property
    def state(self) -> Path:
        """What outlives a stop: rings that a dead store is still owed."""
        return self.out / "state" / self.supervisor_id

    @property
    def origins(self) -> Path:
        """What producers were when, ring by ring; see :mod:`enrgdaq.daq.origins`."""
        return self.state / "origins"

    @property
    def log_file(self) -> Path:
        """The log of the supervisor and of all jobs."""
        return self.logs / f"{self.supervisor_id}.log"

    @property
    def audit_file(self) -> Path:
        """Who did what when."""
        return self.logs / f"{self.supervisor_id}.audit.jsonl"


def runtime_folder(supervisor_id: str, *, is_shared: bool = False) -> Path:
    """``$RUNTIME_DIRECTORY`` under systemd, else ``$XDG_RUNTIME_DIR/enrgdaq``, else in ``/tmp``.

    ``is_shared``: a group is to come in, which a user's own ``$XDG_RUNTIME_DIR`` keeps out.
    """
    given = os.environ.get("RUNTIME_DIRECTORY")
    if given:
        # systemd may give several, separated by colons; the first is ours.
        return Path(given.split(":")[0]) / supervisor_id
    if os.environ.get("XDG_RUNTIME_DIR") and not is_shared:
        return Path(os.environ["XDG_RUNTIME_DIR"]) / "enrgdaq" / supervisor_id
    return _TMP / f"enrgdaq-{os.getuid()}-{supervisor_id}"


def group_of(name: str | None) -> int | None:
    """The number of a Unix group. Raises :class:`ConfigurationError` when there is none."""
    if name is None:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise ConfigurationError(
            f"supervisor.toml: control_group: this host has no group {name!r}; make it with"
            f" 'groupadd {name}', or leave the key out"
        ) from error


def find_runtime_folders(config: SupervisorConfig) -> list[Path]:
    """Where a supervisor of these settings may be reached, the likeliest place first.

    A folder of another account counts only when ``control_group`` owns it and nobody else can
    come in: whoever is not of that group cannot pretend to be the supervisor.
    """
    name = config.supervisor_id
    own = runtime_folder(name, is_shared=config.control_group is not None)
    service = _SERVICE / name
    found = [own] if own == service else [own, service]
    group_id = group_of(config.control_group)
    others = sorted(_TMP.glob(f"enrgdaq-*-{name}")) if group_id is not None else []
    found += [path for path in others if path != own]
    return [path for path in found if path == own or _may_be_trusted(path, group_id)]


def _may_be_trusted(path: Path, group_id: int | None) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return False
    if not stat.S_ISDIR(status.st_mode) or status.st_mode & 0o027:
        return False
    return status.st_uid == os.getuid() or (group_id is not None and status.st_gid == group_id)


def make_places(config: SupervisorConfig) -> Places:
    """The folders of a supervisor, made where they are missing.

    Raises :class:`TransportError` when the runtime folder is somebody else's, and
    :class:`ConfigurationError` for a group that is not there.
    """
    group_id = group_of(config.control_group)
    places = known_places(config)
    # First what a mistake in out_dir would stop: nothing is left in memory then.
    places.logs.mkdir(parents=True, exist_ok=True)
    places.state.mkdir(parents=True, exist_ok=True)
    runtime = places.runtime
    if runtime.parent.name == "enrgdaq" and not os.environ.get("RUNTIME_DIRECTORY"):
        runtime.parent.parent.mkdir(parents=True, exist_ok=True)
        private_folder(runtime.parent)
    else:
        # systemd's own folder may be looked into by others, ours in it may not.
        runtime.parent.mkdir(parents=True, exist_ok=True)
    private_folder(runtime, group_id=group_id)
    memory_folder(config.supervisor_id, runtime)
    file_folder(runtime)
    return places


def known_places(config: SupervisorConfig) -> Places:
    """The folders of a supervisor, whether or not they are there."""
    runtime = runtime_folder(config.supervisor_id, is_shared=config.control_group is not None)
    return Places(
        supervisor_id=config.supervisor_id,
        runtime=runtime,
        memory=memory_path(config.supervisor_id, runtime),
        ring_files=file_path(runtime),
        out=Path(config.out_dir).absolute(),
    )
