"""Database servers for tests: the ones that are there, private ones, and a line that breaks."""

import contextlib
import math
import os
import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import pymysql
import pytest
import redis
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from tests.system.node import wait_until


class Server(NamedTuple):
    """Where a server is and how to log in."""

    host: str
    port: int
    user: str = ""
    password: str = ""


class MySQLDatabase:
    """A database of one test's own."""

    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        self.name = name

    def connect(self, database: str | None = None) -> "Connection[Cursor]":
        """A connection, by default to this database."""
        host, port, user, password = self.server
        return pymysql.connect(
            host=host,
            port=port,
            user=user,
            password=password,
            database=self.name if database is None else database or None,
            charset="utf8mb4",
            autocommit=True,
        )

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a statement's answer."""
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall())

    def tables(self) -> list[str]:
        """All tables but the store's own."""
        found = sorted(row[0] for row in self.query("SHOW TABLES"))
        return [name for name in found if name != "enrgdaq_watermarks"]

    section = "mysql"
    settings = 'table_name = "numbers"'
    commit = b"\x03COMMIT"
    """What ends the request that makes rows durable."""

    def count(self) -> int:
        """Rows of the table ``numbers``; 0 while the server is away."""
        with contextlib.suppress(pymysql.MySQLError):
            return int(self.query("SELECT COUNT(*) FROM numbers")[0][0])
        return 0

    def assert_each_once(self, rows: int) -> None:
        """Every number from 0 on is there once, with its root."""
        found = self.query(
            "SELECT COUNT(*), COUNT(DISTINCT n), MIN(n), MAX(n), SUM(root = SQRT(n)) FROM numbers"
        )
        assert found == [(rows, rows, 0, rows - 1, rows)]

    def job(self, *, port: int | None = None, **keys: Any) -> str:
        """A store's TOML file."""
        host, own_port, user, password = self.server
        lines = [
            'daq_job_type = "DAQJobStoreMySQL"',
            f'host = "{host}"',
            f"port = {port or own_port}",
            f'user = "{user}"',
            f'password = "{password}"',
            f'database = "{self.name}"',
        ]
        lines += [f"{k} = {v!r}".replace("'", '"') for k, v in keys.items()]
        return "\n".join(lines)


class RedisKeys:
    """The keys of one test's own."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.prefix = f"enrgdaq_test_{uuid.uuid4().hex[:12]}"

    def connect(self) -> "redis.Redis":
        """A client."""
        host, port, _, password = self.server
        return redis.Redis(host=host, port=port, password=password or None, protocol=2)

    def ask(self, *command: Any) -> Any:
        """One command's answer."""
        with contextlib.closing(self.connect()) as client:
            return client.execute_command(*command)

    def texts(self, key: str) -> list[str]:
        """All of a list."""
        return [text.decode() for text in self.ask("LRANGE", key, 0, -1)]

    def job(self, *, port: int | None = None, **keys: Any) -> str:
        """A store's TOML file."""
        host, own_port, _, password = self.server
        lines = ['daq_job_type = "DAQJobStoreRedis"', f'host = "{host}"']
        lines.append(f"port = {port or own_port}")
        if password:
            lines.append(f'password = "{password}"')
        lines += [f"{k} = {v!r}".replace("'", '"') for k, v in keys.items()]
        return "\n".join(lines)

    section = "redis"
    commit = b"EXEC\r\n"

    @property
    def settings(self) -> str:
        """Keys of ``[store_config.redis]``."""
        return f'key = "{self.prefix}.numbers"'

    def count(self) -> int:
        """Rows under the key ``numbers``; 0 while the server is away."""
        with contextlib.suppress(redis.RedisError):
            return int(self.ask("LLEN", f"{self.prefix}.numbers.n"))
        return 0

    def assert_each_once(self, rows: int) -> None:
        """Every number from 0 on is there once, in order, with its root."""
        assert [int(t) for t in self.texts(f"{self.prefix}.numbers.n")] == list(range(rows))
        roots = [float(t) for t in self.texts(f"{self.prefix}.numbers.root")]
        assert roots == [math.sqrt(n) for n in range(rows)]

    def remove(self) -> None:
        """Remove all keys of the test, and what stores keep about them."""
        with contextlib.closing(self.connect()) as client:
            for key in [*client.scan_iter(f"*{self.prefix}*")]:
                client.delete(key)


def found_server(variable: str, default: str) -> Server:
    """The server that tests may use. Without one they skip; under ``CI=true`` they fail."""
    url = urlsplit(os.environ.get(variable, default))
    server = Server(
        url.hostname or "127.0.0.1",
        url.port or urlsplit(default).port or 0,
        unquote(url.username or ""),
        unquote(url.password or ""),
    )
    try:
        socket.create_connection(server[:2], timeout=2).close()
    except OSError as error:
        reason = f"no server at {server.host}:{server.port} ({error}); set {variable}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return server


@contextlib.contextmanager
def own_database(server: Server) -> Iterator[MySQLDatabase]:
    """A database that is gone afterwards."""
    database = MySQLDatabase(server, f"enrgdaq_test_{uuid.uuid4().hex[:12]}")
    with contextlib.closing(database.connect("")) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {database.name}")
    try:
        yield database
    finally:
        with contextlib.closing(database.connect("")) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {database.name}")


def free_port() -> int:
    """A port that nobody listens on now."""
    with contextlib.closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def needs_program(*names: str) -> str:
    """The first of these programs that is installed; else as :func:`found_server`."""
    for name in names:
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
        if path:
            return path
    if os.environ.get("CI") == "true":
        pytest.fail(f"{names[0]} is not installed")
    pytest.skip(f"{names[0]} is not installed")


class PrivateServer:
    """A server process that a test may stop and kill."""

    def __init__(self, command: list[str], port: int, log: Path) -> None:
        self.port = port
        self._command = command
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it listens."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_until(self._listens, seconds=60, what=f"{self._command[0]} to listen")

    def stop(self) -> None:
        """End in order, as its service would."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=60)
            self._process = None

    def kill(self) -> None:
        """End without a chance to say anything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=60)
            self._process = None

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            assert self._process is not None
            assert self._process.poll() is None, self._log.read_text(errors="replace")
            return False
        return True


@contextlib.contextmanager
def private_mariadb(folder: Path) -> Iterator[tuple[PrivateServer, MySQLDatabase]]:
    """A MariaDB of the test's own, with a database ``daq`` and root without a password."""
    install = needs_program("mariadb-install-db", "mysql_install_db")
    server = needs_program("mariadbd", "mysqld")
    data = folder / "mysql"
    subprocess.run(
        [
            install,
            "--no-defaults",
            f"--datadir={data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    port = free_port()
    command = [
        server,
        "--no-defaults",
        f"--datadir={data}",
        f"--port={port}",
        "--bind-address=127.0.0.1",
        f"--socket={folder / 'my.sock'}",
        f"--pid-file={folder / 'my.pid'}",
        "--innodb-buffer-pool-size=16M",
        "--innodb-log-file-size=16M",
    ]
    if os.getuid() == 0:
        command.append("--user=root")
    process = PrivateServer(command, port, folder / "mysql.log")
    process.start()
    try:
        database = MySQLDatabase(Server("127.0.0.1", port, "root"), "daq")
        with contextlib.closing(database.connect("")) as made, made.cursor() as cursor:
            cursor.execute("CREATE DATABASE daq")
        yield process, database
    finally:
        process.kill()


@contextlib.contextmanager
def private_redis(folder: Path) -> Iterator[tuple[PrivateServer, RedisKeys]]:
    """A Redis of the test's own that keeps what it has acknowledged."""
    port = free_port()
    command = [needs_program("redis-server"), "--port", str(port), "--bind", "127.0.0.1"]
    command += ["--dir", str(folder), "--appendonly", "yes", "--appendfsync", "always"]
    process = PrivateServer(command, port, folder / "redis.log")
    process.start()
    try:
        yield process, RedisKeys(Server("127.0.0.1", port))
    finally:
        process.kill()


class Line:
    """A TCP line to a server, which a test may cut, or rob of an answer."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._is_cut = False
        self._is_closed = False
        self._swallow: bytes | None = None
        self._late_seconds = 0.0
        self.swallowed = threading.Event()
        self.times_swallowed = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End all connections and take no new ones until :meth:`mend`."""
        self._is_cut = True
        self._drop_all()

    def mend(self) -> None:
        """Take connections again."""
        self._is_cut = False

    def swallow_answer_to(self, ending: bytes, *, late_seconds: float = 0.0) -> None:
        """End the line at the next request that ends so, and hand it to the server all the same.

        ``late_seconds``: only so much later, when the client may be back on a new line.
        """
        self.swallowed.clear()
        self._late_seconds = late_seconds
        self._swallow = ending

    def close(self) -> None:
        """End everything."""
        self._is_closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._drop_all()
        wait_until(lambda: not self._pairs, what="the line to end")

    def _drop_all(self) -> None:
        with self._lock:
            for pair in self._pairs:
                for end in pair:
                    with contextlib.suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._is_cut or self._is_closed:
                client.close()
                continue
            try:
                server = socket.create_connection(self._target, timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            with self._lock:
                self._pairs.append((client, server))
            if self._is_closed:
                self._drop_all()
            threading.Thread(target=self._carry_both, args=(client, server), daemon=True).start()

    def _carry_both(self, client: socket.socket, server: socket.socket) -> None:
        answers = threading.Thread(target=self._carry, args=(server, client, False), daemon=True)
        answers.start()
        self._carry(client, server, True)
        answers.join()
        with self._lock, contextlib.suppress(ValueError):
            self._pairs.remove((client, server))
        client.close()
        server.close()

    def _carry(self, source: socket.socket, sink: socket.socket, is_request: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if is_request and self._swallow and data.endswith(self._swallow):
                    self._swallow = None
                    # The client's end goes first, so that no answer can reach it.
                    source.shutdown(socket.SHUT_RDWR)
                    time.sleep(self._late_seconds)
                    sink.sendall(data)
                    sink.shutdown(socket.SHUT_WR)
                    self.times_swallowed += 1
                    self.swallowed.set()
                    return
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
