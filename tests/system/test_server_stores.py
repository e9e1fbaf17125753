"""Stores that write to servers: outages, kills and lost answers cost and double nothing."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers import Line, MySQLDatabase, RedisKeys, private_mariadb, private_redis
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


def steady(node: Node, server: Server, *, per_second: float = 100.0) -> None:
    node.add_code("steady", PRODUCER)
    node.add(
        "steady",
        f"""
        daq_job_type = "DAQJobSteady"
        tables = {TABLES}
        rows = {ROWS}
        per_second = {per_second}
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
    node.wait(lambda: server.count() > before, what="rows to go on")


def finish(node: Node, server: Server) -> None:
    rows = TABLES * ROWS
    node.wait_job("steady", lambda j: j.state == "stopped", seconds=60)
    node.wait(lambda: server.count() >= rows, what="all rows", seconds=60)
    assert node.job("steady").backpressure_seconds == 0, "the producer was held up"
    assert node.stop() == 0, node.log()
    server.assert_each_once(rows)


def test_rows_arrive_and_the_store_stops_in_order(node: Node, server: Server) -> None:
    steady(node, server, per_second=2_000)
    add_store(node, server)
    assert "nobody stores" not in node.run("check", "--daq-job-config-path", "configs").stderr
    node.start(wait_running=False)
    finish(node, server)


@pytest.mark.parametrize("private", [private_mariadb, private_redis])
def test_a_server_that_stops_for_seconds(node: Node, tmp_path: Path, private: Any) -> None:
    with private(tmp_path) as (process, server):
        steady(node, server)
        store = add_store(node, server, flush_interval_seconds=0.2)
        node.start(wait_running=False)
        wait_for_more(node, server)
        process.stop()
        said = node.wait_job(store, lambda j: "waiting for server" in j.condition)
        assert f"127.0.0.1:{process.port}" in said.condition
        time.sleep(1.0)
        process.start()
        finish(node, server)


def test_a_store_is_killed_again_and_again(node: Node, server: Server) -> None:
    steady(node, server)
    store = add_store(node, server, flush_interval_seconds=0.01)
    node.start(wait_running=False)
    for _ in range(3):
        wait_for_more(node, server)
        node.kill_job(store)
    finish(node, server)


def test_a_lost_answer_to_a_commit(node: Node, server: Server, line: Line) -> None:
    steady(node, server)
    add_store(node, server, port=line.port, flush_interval_seconds=0.1)
    node.start(wait_running=False)
    for late in (0.0, 0.0, 1.5):
        line.swallow_answer_to(server.commit, late_seconds=late)
        node.wait(line.swallowed.is_set, what="a commit")
    finish(node, server)


def test_a_line_that_breaks_anywhere(node: Node, server: Server, line: Line) -> None:
    steady(node, server)
    add_store(node, server, port=line.port, flush_interval_seconds=0.01)
    node.start(wait_running=False)
    cuts = 0
    while server.count() < TABLES * ROWS:
        wait_for_more(node, server)
        line.cut()
        line.mend()
        cuts += 1
    assert cuts > 2
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
    begin = time.monotonic()
    node.stop()
    assert time.monotonic() - begin < 8
    assert "did not stop in time" not in node.log()
    assert "the next start goes on with it" in node.log()
    line.mend()
    node.start(wait_running=False)
    node.wait(lambda: server.count() >= TABLES * ROWS, what="all rows")
    assert node.stop() == 0
    server.assert_each_once(TABLES * ROWS)
