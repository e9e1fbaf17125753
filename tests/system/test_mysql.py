"""The MySQL store under a supervisor: outages, kills and lost answers cost and double nothing."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import Line, MySQLDatabase, private_mariadb
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


@pytest.fixture
def line(mysql: MySQLDatabase) -> Iterator[Line]:
    made = Line((mysql.server.host, mysql.server.port))
    yield made
    made.close()


def steady(node: Node, *, tables: int = TABLES, per_second: float = 100.0) -> None:
    node.add_code("steady", PRODUCER)
    node.add(
        "steady",
        f"""
        daq_job_type = "DAQJobSteady"
        tables = {tables}
        rows = {ROWS}
        per_second = {per_second}
        [store_config.mysql]
        table_name = "numbers"
        """,
    )


def count(database: MySQLDatabase) -> int:
    with contextlib.suppress(Exception):
        return int(database.query("SELECT COUNT(*) FROM numbers")[0][0])
    return 0


def assert_each_once(database: MySQLDatabase, rows: int = TABLES * ROWS) -> None:
    found = database.query(
        "SELECT COUNT(*), COUNT(DISTINCT n), MIN(n), MAX(n), SUM(root = SQRT(n)) FROM numbers"
    )
    assert found == [(rows, rows, 0, rows - 1, rows)]


def finish(node: Node, database: MySQLDatabase, rows: int = TABLES * ROWS) -> None:
    node.wait_job("steady", lambda j: j.state == "stopped", seconds=60)
    node.wait(lambda: count(database) >= rows, what="all rows", seconds=60)
    assert node.job("steady").backpressure_seconds == 0, "the producer was held up"
    assert node.stop() == 0, node.log()
    assert_each_once(database, rows)


def test_rows_arrive_and_the_store_stops_in_order(node: Node, mysql: MySQLDatabase) -> None:
    steady(node, per_second=2_000)
    node.add("mysql", mysql.job())
    assert "nobody stores" not in node.run("check", "--daq-job-config-path", "configs").stderr
    node.start(wait_running=False)
    finish(node, mysql)


def test_a_server_that_stops_for_seconds(node: Node, tmp_path: Path) -> None:
    with private_mariadb(tmp_path) as (server, database):
        steady(node)
        node.add("mysql", database.job(flush_interval_seconds=0.2))
        node.start(wait_running=False)
        node.wait(lambda: count(database) > 0, what="first rows")
        server.stop()
        said = node.wait_job("mysql", lambda j: "waiting for server" in j.condition)
        assert f"127.0.0.1:{server.port}" in said.condition
        time.sleep(1.0)
        server.start()
        finish(node, database)


def test_a_store_is_killed_again_and_again(node: Node, mysql: MySQLDatabase) -> None:
    steady(node)
    node.add("mysql", mysql.job(flush_interval_seconds=0.01))
    node.start(wait_running=False)
    for _ in range(3):
        before = count(mysql)
        node.wait(lambda before=before: count(mysql) > before, what="rows to go on")
        node.kill_job("mysql")
    finish(node, mysql)


def test_a_lost_answer_to_a_commit(node: Node, mysql: MySQLDatabase, line: Line) -> None:
    steady(node)
    node.add("mysql", mysql.job(port=line.port, flush_interval_seconds=0.1))
    node.start(wait_running=False)
    for _ in range(3):
        line.swallow_answer_to(lambda data: data.endswith(b"\x03COMMIT"))
        node.wait(line.swallowed.is_set, what="a commit")
    finish(node, mysql)


def test_a_line_that_breaks_anywhere(node: Node, mysql: MySQLDatabase, line: Line) -> None:
    steady(node)
    node.add("mysql", mysql.job(port=line.port, flush_interval_seconds=0.01))
    node.start(wait_running=False)
    cuts = 0
    while (before := count(mysql)) < TABLES * ROWS:
        node.wait(lambda before=before: count(mysql) > before, what="rows to go on")
        line.cut()
        line.mend()
        cuts += 1
    assert cuts > 2
    finish(node, mysql)


def test_a_stop_while_the_server_is_away_is_quick_and_loses_nothing(
    node: Node, mysql: MySQLDatabase, line: Line
) -> None:
    steady(node, per_second=400)
    node.add("mysql", mysql.job(port=line.port, when_behind="hold"))
    line.cut()
    node.start(wait_running=False)
    node.wait_job("mysql", lambda j: "waiting for server" in j.condition)
    node.wait_job("steady", lambda j: j.state == "stopped", seconds=60)
    begin = time.monotonic()
    node.stop()
    assert time.monotonic() - begin < 8
    assert "did not stop in time" not in node.log()
    assert "the next start goes on with it" in node.log()
    line.mend()
    node.start(wait_running=False)
    node.wait(lambda: count(mysql) >= TABLES * ROWS, what="all rows")
    assert node.stop() == 0
    assert_each_once(mysql)
