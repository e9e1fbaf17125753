"""The stores under trial that write to a server, each with a server of its own."""

import base64
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from pymysql.constants import ER
from pymysql.cursors import SSCursor
from pymysql.err import ProgrammingError

from enrgdaq.daq.numbered_rows import COLUMNS, ROW
from enrgdaq.trials.chaos.backends import Backend, Found, Producer
from enrgdaq.trials.chaos.line import Line
from enrgdaq.trials.chaos.servers import PrivateMariaDB, PrivateRedis, PrivateServer

SPOOL_POINTS: Final = ("spool.torn", "spool.block", "spool.drained", "spool.removed")
_VALUES_AT_ONCE: Final = 100_000


class ServerBackend(Backend):
    """A store, a line, and a private server at its end."""

    points: ClassVar[tuple[str, ...]] = (
        "ring.cursor",
        "server.commit",
        "server.committed",
        *SPOOL_POINTS,
    )
    server_type: ClassVar[type[PrivateServer]]
    commit: ClassVar[bytes]
    """How the request ends that makes a flush durable."""

    def __init__(self, out: Path) -> None:
        super().__init__(out)
        self.holds = False
        """Whether producers wait while its server is away; else its rows go to a spool."""
        self._server: PrivateServer | None = None
        self._line: Line | None = None

    @classmethod
    def missing(cls) -> str:
        """See :class:`Backend`."""
        return cls.server_type.missing()

    @property
    def passed_points(self) -> tuple[str, ...]:
        """See :class:`Backend`."""
        return tuple(p for p in self.points if not (self.holds and p in SPOOL_POINTS))

    @property
    def server(self) -> PrivateServer:
        """Its server, from :meth:`prepare` on."""
        if self._server is None:
            raise AssertionError("there is no server yet")
        return self._server

    @property
    def line(self) -> Line:
        """The line to its server, from :meth:`prepare` on."""
        if self._line is None:
            raise AssertionError("there is no line yet")
        return self._line

    def prepare(self, folder: Path, environment: Mapping[str, str]) -> None:
        """See :class:`Backend`."""
        self._server = self.server_type(folder / self.name, environment=environment)
        self._server.start()
        self._line = Line(self._server.socket)

    def job_settings(self) -> dict[str, Any]:
        """See :class:`Backend`."""
        return {
            "host": "127.0.0.1",
            "port": self.line.port,
            "password": self.server.password,
            "when_behind": "hold" if self.holds else "spool",
            # Shorter than a server is frozen at most: answers come when nobody waits any more.
            "timeout_seconds": 1.0,
        }

    def clean_up(self) -> None:
        """See :class:`Backend`."""
        if self._line is not None:
            self._line.close()
        if self._server is not None:
            self._server.kill()


class MySQLBackend(ServerBackend):
    """MariaDB: a table for each producer."""

    name = "mysql"
    job_type = "DAQJobStoreMySQL"
    points = (*ServerBackend.points, "server.insert")
    server_type = PrivateMariaDB
    commit = b"\x03COMMIT"

    def job_settings(self) -> dict[str, Any]:
        """See :class:`Backend`."""
        return {**super().job_settings(), "user": "daq", "database": "daq"}

    def store_config(self, producer: Producer) -> dict[str, Any]:
        """See :class:`Backend`."""
        return {"table_name": producer.name}

    def read(self, producer: Producer) -> Found:
        """See :class:`Backend`. Without a key of their own, rows come as they were inserted."""
        columns = ", ".join(f"`{name}`" for name in COLUMNS)
        server = self.server
        if not isinstance(server, PrivateMariaDB):
            raise TypeError(f"{server} is no MariaDB")
        with contextlib.closing(server.connect()) as connection:
            cursor = connection.cursor(SSCursor)
            try:
                cursor.execute(f"SELECT {columns} FROM `{producer.name}`")  # noqa: S608 - constants
            except ProgrammingError as error:
                if error.args[0] != ER.NO_SUCH_TABLE:
                    raise
                return Found(np.empty(0, ROW))
            return Found(np.fromiter(cursor, ROW))


class RedisBackend(ServerBackend):
    """Redis: a list for each column of a producer, or one of base64 for bytes."""

    name = "redis"
    job_type = "DAQJobStoreRedis"
    lanes = ("arrow", "rows", "raw")
    server_type = PrivateRedis
    commit = b"EXEC\r\n"

    def store_config(self, producer: Producer) -> dict[str, Any]:
        """See :class:`Backend`."""
        return {"key": producer.name}

    def read(self, producer: Producer) -> Found:
        """See :class:`Backend`."""
        if producer.lane == "raw":
            blobs = [base64.b64decode(text, validate=True) for text in self._list(producer.name)]
            scraps = sum(len(blob) % ROW.itemsize != 0 for blob in blobs)
            whole = [blob for blob in blobs if len(blob) % ROW.itemsize == 0]
            return Found(np.frombuffer(b"".join(whole), ROW), scraps)
        columns = {name: self._list(f"{producer.name}.{name}") for name in COLUMNS}
        lengths = [len(values) for values in columns.values()]
        rows = np.empty(min(lengths), ROW)
        for name, values in columns.items():
            kind = float if name == "value" else int
            rows[name] = [kind(text) for text in values[: len(rows)]]
        return Found(rows, scraps=max(lengths) - min(lengths))

    def _list(self, key: str) -> list[bytes]:
        server = self.server
        if not isinstance(server, PrivateRedis):
            raise TypeError(f"{server} is no Redis")
        found: list[bytes] = []
        with contextlib.closing(server.connect()) as client:
            while True:
                piece: Any = client.lrange(key, len(found), len(found) + _VALUES_AT_ONCE - 1)
                if not piece:
                    break
                found += piece
        return found
