"""Database servers of a test's own, which it may stop, kill and freeze."""

import contextlib
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from enrgdaq.trials.chaos.nats_servers import NatsCluster, PrivateNats
from enrgdaq.trials.chaos.servers import PrivateMariaDB, PrivateRedis, PrivateServer
from tests.servers import MySQLDatabase, RedisKeys, Server


def free_port() -> int:
    """A port that nobody listens on now."""
    with contextlib.closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def needs_server(kind: type[PrivateServer]) -> None:
    """Skip where the program is not installed; under ``CI=true`` fail."""
    lack = kind.missing()
    if lack and os.environ.get("CI") == "true":
        pytest.fail(lack)
    if lack:
        pytest.skip(lack)


@contextlib.contextmanager
def private_mariadb(folder: Path) -> Iterator[tuple[PrivateServer, MySQLDatabase]]:
    """A MariaDB on a port of its own, with a database ``daq``."""
    needs_server(PrivateMariaDB)
    port = free_port()
    options = ["--skip-networking=0", f"--port={port}", "--bind-address=127.0.0.1"]
    with _running(PrivateMariaDB(folder / "mysql", options)) as server:
        yield server, MySQLDatabase(Server("127.0.0.1", port, "root", server.password), "daq")


@contextlib.contextmanager
def private_redis(folder: Path) -> Iterator[tuple[PrivateServer, RedisKeys]]:
    """A Redis on a port of its own."""
    needs_server(PrivateRedis)
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1"]
    with _running(PrivateRedis(folder / "redis", options)) as server:
        yield server, RedisKeys(Server("127.0.0.1", port, "", server.password))


@contextlib.contextmanager
def private_nats(
    folder: Path, servers: int = 1, settings: Sequence[str] = ()
) -> Iterator[NatsCluster]:
    """NATS servers with JetStream on ports of their own, which find each other."""
    needs_server(PrivateNats)
    cluster = NatsCluster(folder / "nats", servers, settings=settings)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()


@contextlib.contextmanager
def _running(server: PrivateServer) -> Iterator[PrivateServer]:
    try:
        server.start()
        yield server
    finally:
        server.kill()
