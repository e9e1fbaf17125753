"""A supervisor in a process and session of its own, started or found.

What attaches to it, a console or a script, may come and go; data taking does not notice.
"""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Final

from enrgdaq.control.client import ControlClient, control_socket
from enrgdaq.errors import ConfigurationError, ControlError
from enrgdaq.supervisor.config import supervisor_of
from enrgdaq.supervisor.places import find_runtime_folders

_START_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.02


@dataclass(frozen=True)
class Attachment:
    """How to reach a running supervisor; ``started``: it was not running before."""

    socket_path: Path
    started: bool
    log_path: Path
    pid: int


def find_running(config_path: Path) -> Attachment | None:
    """The running supervisor of this folder of configs, if there is one.

    Raises :class:`ConfigurationError` when its id is taken by one of another folder.
    """
    sockets = map(control_socket, find_runtime_folders(supervisor_of(config_path)))
    socket_path = next((path for path in sockets if _somebody_listens(path)), None)
    if socket_path is None:
        return None
    with ControlClient(socket_path, program="attach") as client:
        status = client.snapshot().supervisor
    if Path(status.config_path) != config_path.resolve():
        raise ConfigurationError(
            f"the supervisor called {status.id!r} on this host runs {status.config_path}, not"
            f" {config_path.resolve()}: give one of them another supervisor_id in supervisor.toml"
        )
    return Attachment(
        socket_path=socket_path, started=False, log_path=Path(status.log_path), pid=status.pid
    )


def ensure_running(
    config_path: Path, *, meanwhile: Callable[[], None] = lambda: None
) -> Attachment:
    """Find the supervisor of this folder of configs, or start it.

    ``meanwhile`` is called once while it comes up: for what the caller has to do anyway.
    Raises :class:`ConfigurationError` with all that is wrong when it cannot start.
    """
    found = find_running(config_path)
    if found is not None:
        return found
    with tempfile.TemporaryFile() as last_words:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "enrgdaq",
                "run",
                "--quiet",
                "--daq-job-config-path",
                str(config_path),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=last_words,
            start_new_session=True,
        )
        meanwhile()
        return _wait_for(process, config_path, last_words)


def _wait_for(
    process: "subprocess.Popen[bytes]", config_path: Path, words: IO[bytes]
) -> Attachment:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            found = find_running(config_path)
        except ControlError:
            found = None
        if found is not None:
            # Not if somebody else was quicker: ours ends then, as its name is taken.
            return replace(found, started=found.pid == process.pid)
        if process.poll() is not None:
            words.seek(0)
            said = words.read().decode(errors="replace").strip()
            raise ConfigurationError(said or f"the supervisor ended with code {process.returncode}")
        time.sleep(_POLL_SECONDS)
    process.terminate()
    raise ConfigurationError(f"the supervisor did not start within {_START_SECONDS:g} s")


def _somebody_listens(path: Path) -> bool:
    """Whether a process listens there: a killed one leaves its socket file behind."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
