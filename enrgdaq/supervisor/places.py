"""Where a supervisor keeps what: sockets and locks, ring memory, logs, state."""

import os
from dataclasses import dataclass
from pathlib import Path

from enrgdaq.transport.memory import file_folder, memory_folder, private_folder


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
    def log_file(self) -> Path:
        """The log of the supervisor and of all jobs."""
        return self.logs / f"{self.supervisor_id}.log"

    @property
    def audit_file(self) -> Path:
        """Who did what when."""
        return self.logs / f"{self.supervisor_id}.audit.jsonl"


def runtime_folder(supervisor_id: str) -> Path:
    """``$RUNTIME_DIRECTORY`` under systemd, else ``$XDG_RUNTIME_DIR/enrgdaq``, else in ``/tmp``."""
    given = os.environ.get("RUNTIME_DIRECTORY")
    if given:
        # systemd may give several, separated by colons; the first is ours.
        return Path(given.split(":")[0]) / supervisor_id
    if os.environ.get("XDG_RUNTIME_DIR"):
        return Path(os.environ["XDG_RUNTIME_DIR"]) / "enrgdaq" / supervisor_id
    return Path("/tmp") / f"enrgdaq-{os.getuid()}-{supervisor_id}"  # noqa: S108 - checked below


def make_places(supervisor_id: str, out_dir: str) -> Places:
    """The folders of a supervisor, made where they are missing.

    Raises :class:`TransportError` when the runtime folder is somebody else's.
    """
    runtime = runtime_folder(supervisor_id)
    if not os.environ.get("RUNTIME_DIRECTORY") and os.environ.get("XDG_RUNTIME_DIR"):
        # systemd's own folder may be looked into by others, ours in it may not.
        private_folder(runtime.parent)
    private_folder(runtime)
    places = Places(
        supervisor_id=supervisor_id,
        runtime=runtime,
        memory=memory_folder(supervisor_id, runtime),
        ring_files=file_folder(runtime),
        out=Path(out_dir).absolute(),
    )
    places.logs.mkdir(parents=True, exist_ok=True)
    places.state.mkdir(parents=True, exist_ok=True)
    return places
