"""Drives a real supervisor: its own process, folders, sockets and rings."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from enrgdaq.control.client import ControlClient, control_socket
from enrgdaq.control.status import JobStatus, Snapshot
from enrgdaq.errors import ControlError


def wait_until(
    condition: Callable[[], Any], *, seconds: float = 20.0, what: str = "a condition"
) -> Any:
    """The first true value of ``condition``; fails with ``what`` after a limit."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"waited {seconds:g} s for {what}")


class Node:
    """One supervisor under test."""

    def __init__(self, folder: Path, runtime: Path, supervisor_id: str) -> None:
        self.folder = folder
        self.id = supervisor_id
        self.runtime = runtime
        self.configs = folder / "configs"
        self.out = folder / "out"
        self.configs.mkdir()
        self.process: subprocess.Popen[bytes] | None = None
        self.prefix: list[str] = []
        """What runs the supervisor, such as a program that puts it into another network."""
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime)}
        self.environment.pop("RUNTIME_DIRECTORY", None)
        self._client: ControlClient | None = None
        self._killed: list[int] = []
        self.configure()

    def configure(self, **settings: Any) -> None:
        """Write ``supervisor.toml``; quick restarts, since tests kill a lot."""
        lines = [f"{key} = {_toml(value)}" for key, value in settings.items()]
        lines += ["[info]", f'supervisor_id = "{self.id}"']
        lines += ["[restart]", "first_delay_seconds = 0.05", "longest_delay_seconds = 0.2"]
        (self.configs / "supervisor.toml").write_text("\n".join(lines))

    def add(self, name: str, text: str) -> None:
        """Write a job's TOML file."""
        (self.configs / f"{name}.toml").write_text(text)

    def add_code(self, name: str, text: str) -> None:
        """Write a Python file into the jobs folder."""
        folder = self.configs / "jobs"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.py").write_text(text)

    def start(self, *, wait_running: bool = True) -> None:
        """Start the supervisor, as a user does."""
        self.process = subprocess.Popen(
            [*self.prefix, *self.command(), "run", "--quiet", "--daq-job-config-path", "configs"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        if wait_running:
            self.wait_all("running")

    def command(self) -> list[str]:
        """The command line tool."""
        return [sys.executable, "-m", "enrgdaq"]

    def run(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command of the tool to its end."""
        return subprocess.run(
            [*self.command(), *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def stop(self, *, seconds: float = 30.0) -> int:
        """Stop in order; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.wait_ended(seconds=seconds)

    def wait_ended(self, *, seconds: float = 30.0) -> int:
        """Wait for the supervisor to end by itself."""
        assert self.process is not None
        try:
            output, _ = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not stop within {seconds:g} s:\n{self.log()}") from None
        finally:
            self._drop_client()
        code = self.process.returncode
        self.output = output.decode(errors="replace")
        self.process = None
        return code

    def kill_supervisor(self) -> None:
        """``kill -9`` of the supervisor; waits until all its processes are gone."""
        assert self.process is not None
        family = self.family()
        self.process.kill()
        self.process.communicate()
        self.process = None
        self._drop_client()
        wait_until(
            lambda: not any(p.is_running() and p.status() != "zombie" for p in family),
            what="the jobs of a killed supervisor to end",
        )

    @property
    def client(self) -> ControlClient:
        """A connection to the control socket."""
        if self._client is None:
            self._client = ControlClient(
                control_socket(self.runtime / "enrgdaq" / self.id), program="test"
            )
        return self._client

    def snapshot(self) -> Snapshot:
        """The state of everything."""
        return self.client.snapshot()

    def job(self, name: str) -> JobStatus:
        """The state of one job."""
        return next(job for job in self.snapshot().jobs if job.id == name)

    def wait(self, condition: Callable[[], Any], *, what: str, seconds: float = 20.0) -> Any:
        """Wait for a condition, and fail at once when the supervisor ends meanwhile."""

        def is_there() -> Any:
            assert self.process is not None
            if self.process.poll() is not None:
                said, _ = self.process.communicate()
                raise AssertionError(f"the supervisor ended:\n{said.decode()}\n{self.log()}")
            try:
                return condition()
            except (ControlError, IndexError):
                # Nobody answers yet, or a job that has just started has not reported yet.
                return False

        try:
            return wait_until(is_there, seconds=seconds, what=what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None

    def wait_all(self, state: str, *, seconds: float = 30.0) -> None:
        """Wait until all jobs are in a state."""
        self.wait(
            lambda: all(job.state == state for job in self.snapshot().jobs),
            seconds=seconds,
            what=f"all jobs to be {state}",
        )

    def wait_job(
        self, name: str, condition: Callable[[JobStatus], bool], *, seconds: float = 20.0
    ) -> JobStatus:
        """Wait for a job to be in a condition."""
        found: JobStatus = self.wait(
            lambda: (j := self.job(name)) and condition(j) and j,
            seconds=seconds,
            what=f"job {name}",
        )
        return found

    def kill_job(self, name: str) -> int:
        """``kill -9`` of a job's process, once it runs; returns its process id."""
        # The supervisor may not have noticed the last kill yet.
        pid = self.wait_job(
            name, lambda j: j.state == "running" and j.pid not in (None, *self._killed)
        ).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        self._killed.append(pid)
        return pid

    @contextlib.contextmanager
    def frozen_job(self, name: str) -> Iterator[None]:
        """A job's process that does nothing; shorter than until it is taken to be hung."""
        pid = self.wait_job(name, lambda j: j.state == "running").pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def log(self) -> str:
        """The log file."""
        path = self.out / "logs" / f"{self.id}.log"
        return path.read_text() if path.exists() else ""

    def family(self) -> list[psutil.Process]:
        """The supervisor and all that it started."""
        assert self.process is not None
        me = psutil.Process(self.process.pid)
        return [me, *me.children(recursive=True)]

    def close(self) -> None:
        """End what still runs, by force."""
        self._drop_client()
        if self.process is not None:
            self.kill_supervisor()

    def leftovers(self) -> list[str]:
        """Files and processes that should not be there any more."""
        found = [str(p) for p in Path("/dev/shm").glob(f"*{self.id}*")]
        found += [str(p) for p in self.runtime.rglob("*") if p.name != "enrgdaq"]
        for process in psutil.process_iter(["environ"]):
            environment = process.info["environ"] or {}
            if environment.get("XDG_RUNTIME_DIR") == str(self.runtime):
                found.append(f"process {process.pid}")
        return found

    def sweep(self) -> None:
        """Remove what a test left behind on purpose or by failing."""
        for path in Path("/dev/shm").glob(f"*{self.id}*"):
            shutil.rmtree(path, ignore_errors=True)
        shutil.rmtree(self.runtime, ignore_errors=True)

    def _drop_client(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
