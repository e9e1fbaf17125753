"""Database servers of one's own, which may be killed, frozen and started again.

Nobody's running server is touched. A server listens on a Unix socket in a folder that only its
user may enter, and asks for a password that it was given at its first start: a trial lays a
TCP line to that socket, and a line is open to everybody on the host. Signals go to the process
that was started here, never to a name.

Both are told to have on the disk what they acknowledge. What a trial promises ends where a
server forgets by permission: then a lost row would be nobody's fault.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final

import pymysql
import redis
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from enrgdaq.errors import EnrgdaqError
from enrgdaq.trials.scratch import ending_with_us

_START_SECONDS: Final = 60.0
_END_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.02
_WORDS: Final = 2_000
_PROGRAM_FOLDERS: Final = "/usr/sbin:/usr/local/sbin:/usr/libexec"  # not on everybody's PATH


class PrivateServer(ABC):
    """A server process, its folder, and how to log in."""

    programs: ClassVar[tuple[str, ...]]
    """What must be installed."""

    def __init__(
        self,
        folder: Path,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """``options``: further ones of the command line; ``environment``: besides this one's."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        self.password = secrets.token_hex(16)
        self.socket = folder / "socket"
        self._options = tuple(options)
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def missing(cls) -> str:
        """What this host lacks; empty when nothing."""
        lacking = [name for name in cls.programs if find_program(name) is None]
        return f"{' and '.join(lacking)} not installed" if lacking else ""

    @abstractmethod
    def _prepare(self) -> None:
        """Make what the first start needs."""

    @abstractmethod
    def _command(self) -> list[str]:
        """What starts it."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it takes commands."""

    @property
    def pid(self) -> int | None:
        """Its process id, while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def prepare(self) -> None:
        """Make what the first start needs."""
        self._prepare()

    def start(self) -> None:
        """Start, and wait until it takes commands."""
        if self._process is None:
            self._prepare()
        self.launch()
        self.wait_for_answer()

    def launch(self) -> None:
        """Start, and do not wait."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*ending_with_us("KILL"), *self._command(), *self._options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C at a trial's terminal is for the trial alone.
                start_new_session=True,
                env=self._environment,
            )

    def launch_again(self) -> None:
        """Start after :meth:`stop` or :meth:`kill`, and do not wait; idempotent."""
        if self.pid is None:
            self.launch()

    def wait_for_answer(self) -> None:
        """Wait until it takes commands. Raises :class:`EnrgdaqError` with its words."""
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self.pid is None or time.monotonic() >= deadline:
                words = (self.folder / "log").read_text(errors="replace")[-_WORDS:]
                raise EnrgdaqError(f"{self.programs[0]} did not start: {words}")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """End in order, as its service would."""
        self.thaw()
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End without a chance to say anything; idempotent."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Halt it: connections stay and nobody answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on; idempotent."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self._process is not None:
            # Not sent to a process that was waited for: its number may be another's.
            self._process.send_signal(number)

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        self._signal(number)
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class PrivateMariaDB(PrivateServer):
    """MariaDB with a database ``daq``, and a user ``daq`` who may do what the store needs."""

    programs = ("mariadbd", "mariadb-install-db")

    def connect(self, user: str = "root") -> "Connection[Cursor]":
        """A connection to the database, as an analyst's."""
        return pymysql.connect(
            unix_socket=str(self.socket),
            user=user,
            password=self.password,
            database="daq",
            charset="utf8mb4",
            autocommit=True,
        )

    def _prepare(self) -> None:
        # Run by every start, before anybody can connect.
        self._setup.touch(mode=0o600)
        self._setup.write_text(
            "CREATE DATABASE IF NOT EXISTS daq;\n"
            f"ALTER USER root@localhost IDENTIFIED BY '{self.password}';\n"
            f"CREATE USER IF NOT EXISTS daq@localhost IDENTIFIED BY '{self.password}';\n"
            "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON daq.* TO daq@localhost;\n"
        )
        command = [find_program("mariadb-install-db") or "", "--no-defaults"]
        command += [f"--datadir={self._data}"]
        command += ["--auth-root-authentication-method=normal", "--skip-test-db", *_as_root()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode != 0:
            raise EnrgdaqError(f"mariadb-install-db failed: {done.stderr or done.stdout}")

    def _command(self) -> list[str]:
        return [
            find_program("mariadbd") or "",
            "--no-defaults",
            f"--datadir={self._data}",
            f"--socket={self.socket}",
            f"--pid-file={self.folder / 'pid'}",
            f"--init-file={self._setup}",
            "--skip-networking",
            # A COMMIT is answered when it is on the disk, which is also the default.
            "--innodb-flush-log-at-trx-commit=1",
            "--innodb-buffer-pool-size=16M",
            "--innodb-log-file-size=16M",
            *_as_root(),
        ]

    def _answers(self) -> bool:
        try:
            # pymysql leaves a socket open that nobody listens to.
            with socket.socket(socket.AF_UNIX) as line:
                line.connect(str(self.socket))
            self.connect().close()
        except (OSError, pymysql.MySQLError):
            return False
        return True

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _setup(self) -> Path:
        return self.folder / "setup.sql"


class PrivateRedis(PrivateServer):
    """Redis."""

    programs = ("redis-server",)

    def connect(self) -> "redis.Redis":
        """A client, as an analyst's."""
        return redis.Redis(unix_socket_path=str(self.socket), password=self.password, protocol=2)

    def _prepare(self) -> None:
        settings = {
            "port": "0",
            "unixsocket": f'"{self.socket}"',
            "unixsocketperm": "700",
            "requirepass": self.password,
            "dir": f'"{self.folder}"',
            # An EXEC is answered when it is on the disk: "everysec" may forget the last two
            # seconds when it is killed.
            "appendonly": "yes",
            "appendfsync": "always",
            # No child processes, which would go on when the server is killed.
            "save": '""',
            "auto-aof-rewrite-percentage": "0",
        }
        # Passwords stand in a file: everybody sees the command line.
        self._settings.touch(mode=0o600)
        self._settings.write_text("".join(f"{key} {value}\n" for key, value in settings.items()))

    def _command(self) -> list[str]:
        return [find_program("redis-server") or "", str(self._settings)]

    def _answers(self) -> bool:
        try:
            with contextlib.closing(self.connect()) as client:
                client.ping()
        except redis.RedisError:  # also while it reads its file
            return False
        return True

    @property
    def _settings(self) -> Path:
        return self.folder / "redis.conf"


def find_program(program: str) -> str | None:
    """Where a program is, also where not everybody looks; ``None``: not installed."""
    return shutil.which(program) or shutil.which(program, path=_PROGRAM_FOLDERS)


def _as_root() -> list[str]:
    # MariaDB refuses root unless it is asked for.
    return ["--user=root"] if os.getuid() == 0 else []
