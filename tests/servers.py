"""Places of a test's own on the database servers that are there."""

import asyncio
import contextlib
import math
import os
import socket
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import nats
import pymysql
import pytest
import redis
from pymysql.connections import Connection
from pymysql.cursors import Cursor


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


class NatsNames:
    """The names of one test's own streams."""

    def __init__(self, server: Server) -> None:
        self.url = f"nats://{server.host}:{server.port}"
        self.prefix = f"test_{uuid.uuid4().hex[:12]}"

    def remove(self) -> None:
        """Remove all streams of the test."""
        asyncio.run(self._remove())

    async def _remove(self) -> None:
        client = await nats.connect(self.url)
        streams = client.jetstream()
        for info in await streams.streams_info():
            name = info.config.name
            if name is not None and name.startswith(f"{self.prefix}-"):
                await streams.delete_stream(name)
        await client.close()


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
