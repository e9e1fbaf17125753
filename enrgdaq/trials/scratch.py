"""A real supervisor in a scratch folder, for measurements and trials."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from enrgdaq.control.client import ControlClient
from enrgdaq.control.status import Snapshot
from enrgdaq.errors import ControlError, EnrgdaqError, NotRunningError
from enrgdaq.supervisor.background import Attachment, find_running


def tmpfs() -> Path | None:
    """Where memory files of trials go: the kind of memory that rings are in."""
    path = Path("/dev/shm")  # noqa: S108 - scratch folders in it have mode 0700
    return path if path.is_dir() else None


class ScratchNode:
    """A folder, its configs, and the supervisor that runs them; gone at the end."""

    def __init__(self, name: str, parent: Path | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"enrgdaq-{name}-", dir=parent))
        self.configs = self.folder / "configs"
        self.out = self.folder / "out"
        self.configs.mkdir()
        self.out.mkdir()
        self.id = self.folder.name[-40:]
        self.environment: dict[str, str] = {}
        """What the supervisor's environment has besides this process's."""
        self.is_kept = False
        """Whether the folder stays when this is closed."""
        self._process: subprocess.Popen[bytes] | None = None
        self._client: ControlClient | None = None

    def configure(self, settings: dict[str, Any]) -> None:
        """Write ``supervisor.toml``."""
        text = to_toml({"out_dir": str(self.out), **settings, "info": {"supervisor_id": self.id}})
        (self.configs / "supervisor.toml").write_text(text)

    def add(self, name: str, settings: dict[str, Any]) -> None:
        """Write a job's file."""
        (self.configs / f"{name}.toml").write_text(to_toml(settings))

    def start(self, seconds: float = 60.0) -> None:
        """Start the supervisor and wait until its control socket answers."""
        self.launch()
        self.wait_for_answer(seconds)

    def launch(self) -> None:
        """Start the supervisor and do not wait."""
        command = [*ending_with_us("TERM"), sys.executable, "-m", "enrgdaq", "run", "--quiet"]
        with (self.folder / "supervisor.txt").open("wb") as said:
            self._process = subprocess.Popen(
                [*command, "--daq-job-config-path", str(self.configs)],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
                env={**os.environ, **self.environment},
            )

    def wait_for_answer(self, seconds: float = 60.0) -> None:
        """Wait until the control socket answers.

        Raises :class:`EnrgdaqError` with the supervisor's words when it ends instead.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            attachment = self._find()
            if attachment is not None:
                self._client = ControlClient(attachment.socket_path, program="trial")
                return
            if self.pid is None:
                break
            time.sleep(0.02)
        raise EnrgdaqError(f"the supervisor did not start: {self.words()}")

    @property
    def pid(self) -> int | None:
        """The supervisor's process id, while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def client(self) -> ControlClient:
        """The control socket. Raises :class:`ControlError` when the supervisor does not run."""
        if self._client is None:
            raise NotRunningError("the trial's supervisor does not run")
        return self._client

    def wait_for_end(self, seconds: float) -> int | None:
        """The exit code of a supervisor that ends by itself; ``None`` when it has not yet."""
        if self._process is None:
            return 0
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        self._process = None
        self._drop_client()
        return code

    def snapshot(self) -> Snapshot | None:
        """The state of everything; ``None`` when there is no answer now."""
        if self._client is None:
            return None
        try:
            return self._client.snapshot()
        except ControlError:
            return None

    def hurry_to_stop(self, seconds: float = 60.0) -> int:
        """Stop without waiting for jobs that do not end; returns the exit code as :meth:`stop`."""
        deadline = time.monotonic() + seconds
        while self._process is not None and time.monotonic() < deadline:
            # The first asks, the next ones hurry.
            self._process.terminate()
            code = self.wait_for_end(0.1)
            if code is not None:
                return code
        return self.stop(0.0)

    def stop(self, seconds: float = 60.0) -> int:
        """Stop in order; returns the exit code, -1 when it had to be killed."""
        self._drop_client()
        if self._process is None:
            return 0
        process, self._process = self._process, None
        process.terminate()
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return -1

    def words(self) -> str:
        """What the supervisor said before its log began."""
        return (self.folder / "supervisor.txt").read_text(errors="replace").strip()

    def log(self) -> str:
        """The log of supervisor and jobs."""
        path = self.out / "logs" / f"{self.id}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _drop_client(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _find(self) -> Attachment | None:
        try:
            return find_running(self.configs)
        except ControlError:
            return None

    def __enter__(self) -> "ScratchNode":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if not self.is_kept:
            shutil.rmtree(self.folder, ignore_errors=True)


def ending_with_us(signal_name: str) -> list[str]:
    """What to put before a command that is to be signalled when this process is killed.

    Not a function called between fork and exec, which may hang where there are threads.
    """
    program = shutil.which("setpriv")
    return [program, "--pdeathsig", signal_name] if program else []


def to_toml(table: dict[str, Any], path: str = "") -> str:
    """A nested table of plain values as TOML text."""
    lines = [
        f"{key} = {_value(value)}" for key, value in table.items() if not isinstance(value, dict)
    ]
    for key, value in table.items():
        if isinstance(value, dict):
            lines += ["", f"[{path}{key}]", to_toml(value, f"{path}{key}.")]
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)
