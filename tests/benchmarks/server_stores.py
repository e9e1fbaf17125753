"""How fast rows go to MySQL and Redis, beside each library used directly, in one process.

    uv run python -m tests.benchmarks.server_stores
    uv run python -m tests.benchmarks.server_stores --outage 30

Both get the same rows in the same batches, one transaction each. The library is given Python
values that are ready; the store is given messages with Arrow tables, as from a ring.

With ``--outage`` a server of this command's own is stopped for so many seconds while the whole
system takes a thousand rows a second, and started again.
"""

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from enrgdaq.daq.store.journal import Position
from enrgdaq.errors import ServerAwayError
from tests.daq.store.test_mysql import Store as MySQLStore
from tests.daq.store.test_redis import Store as RedisStore
from tests.private_servers import private_mariadb, private_redis
from tests.servers import MySQLDatabase, RedisKeys, found_server, own_database
from tests.system.node import Node
from tests.system.test_server_stores import (
    MANY,
    ROWS,
    add_store,
    finish,
    sent_tables,
    steady,
    wait_for_more,
)

ROWS_A_TABLE = 1_000
TABLES_A_BATCH = 20
BATCHES = 5
ROUNDS = 5
Private = Callable[[Path], contextlib.AbstractContextManager[tuple[Any, Any]]]


def tables() -> list[pa.Table]:
    """One batch: a number, a time and two measured values a row."""
    draw = np.random.default_rng(1)
    return [
        pa.table(
            {
                "n": np.arange(ROWS_A_TABLE),
                "t": 1.7e9 + np.arange(ROWS_A_TABLE) / 1e3,
                "a": draw.normal(size=ROWS_A_TABLE),
                "b": draw.normal(size=ROWS_A_TABLE),
            }
        )
        for _ in range(TABLES_A_BATCH)
    ]


def seconds_for(batch: Callable[[], None]) -> float:
    """Wall time of all batches."""
    begin = time.perf_counter()
    for _ in range(BATCHES):
        batch()
    return time.perf_counter() - begin


def flush(store: Any) -> None:
    """Flush; the first connection may take a moment."""
    while True:
        with contextlib.suppress(ServerAwayError):
            return store.job.flush()  # type: ignore[no-any-return]


def through_store(store: Any, batch: list[pa.Table], **place: Any) -> Callable[[], None]:
    """Messages to the store, then a flush."""

    def write() -> None:
        for table in batch:
            store.put(table, **place)
        flush(store)

    store.put(batch[0].slice(0, 1), **place)
    flush(store)
    return write


def mysql_directly(database: MySQLDatabase, batch: list[pa.Table]) -> Callable[[], None]:
    """``executemany`` in one transaction."""
    database.query("CREATE TABLE direct (n BIGINT, t DOUBLE, a DOUBLE, b DOUBLE) ENGINE=InnoDB")
    rows = [tuple(row.values()) for table in batch for row in table.to_pylist()]
    connection = database.connect()

    def write() -> None:
        with connection.cursor() as cursor:
            connection.begin()
            cursor.executemany("INSERT INTO direct (n, t, a, b) VALUES (%s, %s, %s, %s)", rows)
            connection.commit()

    return write


def redis_directly(keys: RedisKeys, batch: list[pa.Table]) -> Callable[[], None]:
    """``RPUSH`` for each table and column, in one pipelined transaction."""
    columns = [
        (f"{keys.prefix}.direct.{name}", table.column(name).to_pylist())
        for table in batch
        for name in table.column_names
    ]
    client = keys.connect()

    def write() -> None:
        with client.pipeline(transaction=True) as pipe:
            for key, values in columns:
                pipe.rpush(key, *values)
            pipe.execute()

    return write


def compare(name: str, store: Callable[[], None], library: Callable[[], None]) -> None:
    """Print rows per second of both, and their ratio, as medians of alternating rounds."""
    rows = ROWS_A_TABLE * TABLES_A_BATCH * BATCHES
    pairs = [(rows / seconds_for(store), rows / seconds_for(library)) for _ in range(ROUNDS)]
    ours, theirs = (statistics.median(figures) for figures in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"{name}: store {ours:,.0f} rows/s, library {theirs:,.0f} rows/s, ratio {ratio:.2f}")


def sit_out(name: str, private: Private, seconds: float) -> None:
    """Stop the server amid a thousand rows a second; every row must be there once."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        runtime = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp")))
        process, server = stack.enter_context(private(folder))
        node = Node(folder, runtime, f"outage-{os.getpid()}")
        stack.callback(node.close)
        steady(node, server, tables=MANY)
        store = add_store(node, server)
        node.start(wait_running=False)
        wait_for_more(node, server)
        process.stop()
        most_spooled = 0
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            most_spooled = max(most_spooled, node.job(store).spool_bytes)
            time.sleep(0.1)
        process.launch_again()
        back = time.monotonic()
        node.wait_job(store, lambda j: not (j.spool_bytes or j.condition), seconds=120)
        drained = time.monotonic() - back
        finish(node, server)
        print(
            f"{name}: {sent_tables(node) * ROWS:,} rows, each there once, producer never held up;"
            f" {most_spooled / 1e6:.2f} MB in the spool, drained {drained:.1f} s after the start"
        )


def main() -> None:
    """Measure both stores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--outage", type=float, metavar="SECONDS")
    seconds = parser.parse_args().outage
    if seconds is not None:
        print(f"server stopped for {seconds:g} s; load average {os.getloadavg()[0]:.1f}")
        sit_out("MariaDB", private_mariadb, seconds)
        sit_out("Redis", private_redis, seconds)
        return
    print(f"{ROUNDS} rounds of {BATCHES} transactions of {TABLES_A_BATCH} x {ROWS_A_TABLE} rows")
    print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    batch = tables()
    with tempfile.TemporaryDirectory() as folder:
        server = found_server("ENRGDAQ_TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306/")
        with own_database(server) as database:
            store: Any = MySQLStore(database, Path(folder))
            store.job.position = Position("", 0)
            compare("MySQL", through_store(store, batch), mysql_directly(database, batch))
            store.job.free()
        keys = RedisKeys(found_server("ENRGDAQ_TEST_REDIS_URL", "redis://127.0.0.1:6379/"))
        store = RedisStore(keys, Path(folder))
        try:
            compare("Redis", through_store(store, batch), redis_directly(keys, batch))
        finally:
            store.job.free()
            keys.remove()


if __name__ == "__main__":
    main()
