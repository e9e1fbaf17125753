"""Outputs of the MySQL and Redis stores are read back as they are."""

import base64
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from enrgdaq.daq.numbered_rows import COLUMNS, make_rows
from enrgdaq.trials.chaos.backends import Producer
from enrgdaq.trials.chaos.server_backends import (
    SPOOL_POINTS,
    MySQLBackend,
    RedisBackend,
    ServerBackend,
)
from tests.private_servers import needs_server

TABLES = Producer("rows", 1, "arrow")
BYTES = Producer("bytes", 2, "raw")
ROWS = make_rows(1, 1, 0, 300)


def started(backend: ServerBackend, folder: Path) -> Iterator[ServerBackend]:
    needs_server(backend.server_type)
    try:
        backend.prepare(folder, {})
        yield backend
    finally:
        backend.clean_up()


@pytest.fixture
def mysql(tmp_path: Path) -> Iterator[ServerBackend]:
    yield from started(MySQLBackend(tmp_path), tmp_path)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[ServerBackend]:
    yield from started(RedisBackend(tmp_path), tmp_path)


def test_mysql(mysql: MySQLBackend) -> None:
    assert len(mysql.read(TABLES).rows) == 0
    with mysql.server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE `rows` (producer BIGINT, life BIGINT, number BIGINT, value DOUBLE,"
            " mark BIGINT) ENGINE=InnoDB"
        )
        rows = [tuple(row) for row in ROWS.tolist()]
        cursor.executemany("INSERT INTO `rows` VALUES (%s, %s, %s, %s, %s)", rows)
    np.testing.assert_array_equal(mysql.read(TABLES).rows, ROWS)


def test_redis(redis: RedisBackend) -> None:
    assert len(redis.read(TABLES).rows) == len(redis.read(BYTES).rows) == 0
    with redis.server.connect() as client:
        for name in COLUMNS:
            client.rpush(f"rows.{name}", *[repr(value) for value in ROWS[name].tolist()])
        for part in (ROWS[:100], ROWS[100:]):
            client.rpush("bytes", base64.b64encode(part.tobytes()))
    for producer in (TABLES, BYTES):
        found = redis.read(producer)
        np.testing.assert_array_equal(found.rows, ROWS)
        assert found.scraps == 0


def test_redis_with_columns_of_other_lengths_or_half_a_row(redis: RedisBackend) -> None:
    with redis.server.connect() as client:
        for name in COLUMNS:
            client.rpush(f"rows.{name}", *[repr(value) for value in ROWS[name].tolist()])
        client.rpop("rows.mark")
        client.rpush("bytes", base64.b64encode(ROWS.tobytes()[:-1]))
    assert redis.read(TABLES).scraps == redis.read(BYTES).scraps == 1


@pytest.mark.parametrize("name", ["mysql", "redis"])
def test_a_killed_server_has_what_it_had(name: str, request: pytest.FixtureRequest) -> None:
    backend: ServerBackend = request.getfixturevalue(name)
    server = backend.server
    before = server.pid
    server.kill()
    assert server.pid is None
    server.launch_again()
    server.launch_again()
    server.wait_for_answer()
    assert server.pid not in (None, before)
    server.stop()
    assert server.pid is None


def test_only_who_knows_the_password_is_let_in(redis: RedisBackend, mysql: MySQLBackend) -> None:
    import pymysql
    import redis as client

    with client.Redis(port=redis.line.port) as stranger, pytest.raises(client.AuthenticationError):
        stranger.ping()
    for user in ("root", "daq", "nobody"):
        with pytest.raises(pymysql.OperationalError, match="Access denied"):
            pymysql.connect(host="127.0.0.1", port=mysql.line.port, user=user, password="")
    for secret in ("redis.conf", "setup.sql"):
        (found,) = redis.out.rglob(secret)
        assert found.stat().st_mode & 0o777 == 0o600


def test_a_store_that_holds_passes_no_point_of_a_spool(tmp_path: Path) -> None:
    backend = MySQLBackend(tmp_path)
    assert set(SPOOL_POINTS) < set(backend.passed_points)
    backend.holds = True
    assert not set(SPOOL_POINTS) & set(backend.passed_points)
