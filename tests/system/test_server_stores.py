"""Stores that write to servers: outages, kills and lost answers cost and double nothing."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from enrgdaq.trials.chaos.line import Line
from tests.private_servers import private_mariadb, private_redis
from tests.servers import MySQLDatabase, RedisKeys
from tests.system import numbered
from tests.system.node import Node

PRODUCER = """
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.models import DAQJobStopError
from enrgdaq.daq.store.models import DAQJobMessageStorePyArrow, StorableDAQJobConfig


class SteadyConfig(StorableDAQJobConfig, kw_only=True):
    tables: int
    rows: int = 10
    per_second: float = 100.0


class DAQJobSteady(DAQJob):
    config_type = SteadyConfig

    def start(self):
        progress = Path("progress")
        done = int(progress.read_text()) if progress.exists() else 0
        begin = time.monotonic() - done / self.config.per_second
        for table in range(done, self.config.tables):
            if Path("enough").exists():
                break
            self.sleep(begin + table / self.config.per_second - time.monotonic())
            numbers = np.arange(table * self.config.rows, (table + 1) * self.config.rows)
            self.publish(
                DAQJobMessageStorePyArrow(
                    store_config=self.config.store_config,
                    table=pa.table({"n": numbers, "root": np.sqrt(numbers)}),
                )
            )
            new = progress.with_suffix(".new")
            new.write_text(str(table + 1))
            new.rename(progress)
        raise DAQJobStopError("all tables are out")
"""
TABLES = 600
MANY = 100_000  # until it is enough
ROWS = 10
Server = MySQLDatabase | RedisKeys


@pytest.fixture(params=["mysql", "redis_keys"])
def server(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.fixture
def line(server: Server) -> Iterator[Line]:
    made = Line((server.server.host, server.server.port))
    yield made
    made.close()


def steady(
    node: Node,
    server: Server,
    *,
    per_second: float = 100.0,
    rows: int = ROWS,
    tables: int = TABLES,
    extra: str = "",
) -> None:
    node.add_code("steady", PRODUCER)
    node.add(
        "steady",
        f"""
        daq_job_type = "DAQJobSteady"
        tables = {tables}
        rows = {rows}
        per_second = {per_second}
        {extra}
        [store_config.{server.section}]
        {server.settings}
        """,
    )


def add_store(node: Node, server: Server, **keys: Any) -> str:
    """Write the store's file; returns its name."""
    # What a store keeps beside the rows bears its name: a name of the test's own.
    name = f"{server.prefix}-store" if isinstance(server, RedisKeys) else "store"
    node.add("store", server.job(daq_job_unique_id=name, **keys))
    return name


def wait_for_more(node: Node, server: Server) -> None:
    before = server.count()
    # On a busy machine all may be there already.
    node.wait(
        lambda: server.count() > before or node.job("steady").state == "stopped",
        what="rows to go on",
    )


def finish(node: Node, server: Server, *, rows: int = ROWS, may_wait: bool = False) -> None:
    """Let the producer end, and find each of its rows once."""
    rows = numbered.end(node, "steady", rows=rows)
    node.wait(lambda: server.count() >= rows, what="all rows", seconds=60)
    assert may_wait or node.job("steady").backpressure_seconds == 0, "the producer was held up"
    assert node.stop() == 0, node.log()
    server.assert_each_once(rows)


def test_rows_arrive_and_the_store_stops_in_order(node: Node, server: Server) -> None:
    steady(node, server, per_second=2_000)
    add_store(node, server)
    assert "nobody stores" not in node.run("check", "--daq-job-config-path", "configs").stderr
    node.start(wait_running=False)
    node.wait_job("steady", lambda j: j.state == "stopped", seconds=60)
    finish(node, server)


@pytest.mark.parametrize("private", [private_mariadb, private_redis])
def test_a_server_that_stops_amid_a_thousand_rows_a_second(
    node: Node, tmp_path: Path, private: Any
) -> None:
    with private(tmp_path) as (process, server):
        steady(node, server, per_second=1_000 / ROWS, tables=MANY)
        store = add_store(node, server, flush_interval_seconds=0.2)
        node.start(wait_running=False)
        wait_for_more(node, server)
        process.stop()
        said = node.wait_job(store, lambda j: "waiting for server" in j.condition)
        assert f"127.0.0.1:{server.server.port}" in said.condition
        goal = numbered.tables_sent(node) + 1_000 // ROWS
        node.wait(
            lambda: numbered.tables_sent(node) > goal, what="a second of rows without a server"
        )
        assert node.job(store).spool_bytes > 0
        process.launch_again()
        wait_for_more(node, server)
        finish(node, server)


def test_a_store_is_killed_again_and_again(node: Node, server: Server) -> None:
    steady(node, server, tables=MANY)
    store = add_store(node, server, flush_interval_seconds=0.01)
    node.start(wait_running=False)
    for _ in range(3):
        wait_for_more(node, server)
        node.kill_job(store)
    finish(node, server)


def test_a_lost_answer_to_a_commit(node: Node, server: Server, line: Line) -> None:
    steady(node, server, tables=MANY)
    add_store(node, server, port=line.port, flush_interval_seconds=0.1)
    node.start(wait_running=False)
    # First an answer that comes while the store is back on a new line already.
    for late in (1.5, 0.0, 0.0):
        line.swallow_answer_to(server.commit, late_seconds=late)
        node.wait(line.swallowed.is_set, what="a commit")
    finish(node, server)


def test_a_line_that_breaks_anywhere(node: Node, server: Server, line: Line) -> None:
    steady(node, server, tables=MANY)
    add_store(node, server, port=line.port, flush_interval_seconds=0.01)
    node.start(wait_running=False)
    for _ in range(20):
        wait_for_more(node, server)
        line.cut()
        line.mend()
    finish(node, server)


def test_a_stop_while_the_server_is_away_is_quick_and_loses_nothing(
    node: Node, server: Server, line: Line
) -> None:
    steady(node, server, per_second=400)
    store = add_store(node, server, port=line.port, when_behind="hold")
    line.cut()
    node.start(wait_running=False)
    node.wait_job(store, lambda j: "waiting for server" in j.condition)
    node.wait_job("steady", lambda j: j.state == "stopped", seconds=60)
    node.stop()
    assert "did not stop in time" not in node.log()
    assert "the next start goes on with it" in node.log()
    line.mend()
    node.start(wait_running=False)
    node.wait(lambda: server.count() >= TABLES * ROWS, what="all rows")
    assert node.stop() == 0
    server.assert_each_once(TABLES * ROWS)


def spool_files(node: Node) -> list[Path]:
    return list(node.out.glob("spool/*/*"))


def spooled_bytes(node: Node) -> int:
    """Bytes in the spool, which may be drained meanwhile."""
    size = 0
    for file in spool_files(node):
        with contextlib.suppress(FileNotFoundError):
            size += file.stat().st_size
    return size


def test_an_outage_fills_the_spool_and_no_ring(node: Node, server: Server, line: Line) -> None:
    node.configure(ring_buffer_size_mb=4)
    # 5 MB through a ring of 1 MB: without the spool the producer would wait.
    steady(node, server, rows=500, per_second=60, extra="ring_size_mb = 1")
    store = add_store(node, server, port=line.port, flush_interval_seconds=0.2)
    node.start(wait_running=False)
    wait_for_more(node, server)
    line.cut()
    said = node.wait_job(store, lambda j: j.spool_bytes > 1_500_000)
    assert "waiting for server" in said.condition
    assert "in the spool" in said.condition
    assert said.spool_age_seconds is not None
    header, *_ = (node.out / "stats.csv").read_text().splitlines()
    assert header.endswith("spool_bytes,spool_age_seconds")
    assert {file.stat().st_mode & 0o777 for file in spool_files(node)} == {0o600}
    line.mend()
    # More than a ring has left it, without a server. That a busy machine has filled one for a
    # moment is no fault.
    finish(node, server, rows=500, may_wait=True)
    assert spool_files(node) == []


def test_a_server_that_never_answers_holds_nobody_up(node: Node, server: Server) -> None:
    node.configure(ring_buffer_size_mb=4)
    # It takes connections and says nothing: each attempt lasts until its timeout.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        steady(node, server, rows=500, per_second=60, extra="ring_size_mb = 1")
        store = add_store(node, server, port=silent.getsockname()[1])
        node.start(wait_running=False)
        node.wait_job("steady", lambda j: j.state == "stopped", seconds=60)
        said = node.wait_job(store, lambda j: j.queued_bytes == 0 and j.spool_bytes > 1_000_000)
        assert "waiting for server" in said.condition
        node.stop()
    add_store(node, server)
    node.start(wait_running=False)
    node.wait(lambda: server.count() >= TABLES * 500, what="all rows", seconds=60)
    assert node.stop() == 0
    server.assert_each_once(TABLES * 500)


def test_kills_while_spooling_and_draining(node: Node, server: Server, line: Line) -> None:
    steady(node, server, tables=MANY)
    store = add_store(node, server, port=line.port, flush_interval_seconds=0.02)
    node.start(wait_running=False)
    for _ in range(3):
        wait_for_more(node, server)
        line.cut()
        for _ in range(2):
            size = spooled_bytes(node)
            node.wait(
                lambda size=size: (
                    spooled_bytes(node) > size or node.job("steady").state == "stopped"
                ),
                what="the spool to grow",
            )
            node.kill_job(store)
        line.mend()
        node.wait(lambda: server.count() > 0, what="rows")
        node.kill_job(store)
    finish(node, server)


def test_a_stop_keeps_the_spool_for_the_next_start(node: Node, server: Server, line: Line) -> None:
    steady(node, server, per_second=400)
    store = add_store(node, server, port=line.port, flush_interval_seconds=0.1)
    line.cut()
    node.start(wait_running=False)
    node.wait_job(store, lambda j: j.spool_bytes > 0)
    node.wait_job("steady", lambda j: j.state == "stopped", seconds=60)
    assert node.stop() == 0, node.log()
    assert spool_files(node)
    line.mend()
    # Drained also by a store that does not spool any more.
    add_store(node, server, port=line.port, when_behind="hold")
    node.start(wait_running=False)
    node.wait(lambda: server.count() >= TABLES * ROWS, what="all rows")
    assert node.stop() == 0
    server.assert_each_once(TABLES * ROWS)
    assert spool_files(node) == []


def test_everything_killed_while_spooling(node: Node, server: Server, line: Line) -> None:
    steady(node, server)
    store = add_store(node, server, port=line.port, flush_interval_seconds=0.1)
    node.start(wait_running=False)
    wait_for_more(node, server)
    line.cut()
    node.wait_job(store, lambda j: j.spool_bytes > 0)
    node.kill_supervisor()
    line.mend()
    node.start(wait_running=False)
    node.wait_job("steady", lambda j: j.state == "stopped", seconds=60)
    node.wait(lambda: server.count() >= TABLES * ROWS, what="all rows", seconds=60)
    assert node.stop() == 0, node.log()
    # The table at hand at the kill is sent a second time by this producer, and no other.
    assert server.count() <= TABLES * ROWS + ROWS


def test_a_full_spool_holds(node: Node, server: Server, line: Line) -> None:
    steady(node, server, rows=20_000, extra="ring_size_mb = 1", per_second=1_000)
    store = add_store(node, server, port=line.port, spool_size_mb=32)
    line.cut()
    node.start(wait_running=False)
    node.wait_job(store, lambda j: "producers wait" in j.condition, seconds=60)
    node.wait_job("steady", lambda j: j.backpressure_seconds > 0)
    assert sum(f.stat().st_size for f in spool_files(node)) <= 32 << 20
    node.stop()
    assert "did not stop in time" not in node.log()
