"""Every row once, in order, whatever is killed."""

from pathlib import Path

import numpy as np
import pyarrow.csv as pacsv
import pytest

from tests.system.node import Node

TABLES = 3_000
ROWS = 1_000

# Numbers every row from what its file says was acknowledged: a row counts as taken when
# publish() has returned, and the number of tables is noted only after that.
PRODUCER = """
import os
from pathlib import Path

import numpy as np
import pyarrow as pa

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.models import DAQJobStopError
from enrgdaq.daq.store.models import DAQJobMessageStorePyArrow, StorableDAQJobConfig


class NumbersConfig(StorableDAQJobConfig, kw_only=True):
    tables: int
    rows: int
    progress: str
    per_second: float = 0.0


class DAQJobNumbers(DAQJob):
    config_type = NumbersConfig

    def start(self):
        progress = Path(self.config.progress)
        enough = progress.with_name("enough")
        done = int(progress.read_text()) if progress.exists() else 0
        rows = self.config.rows
        with progress.open("a") as log:
            for table in range(done, self.config.tables):
                if enough.exists():
                    break
                first = table * rows
                numbers = np.arange(first, first + rows)
                self.publish(
                    DAQJobMessageStorePyArrow(
                        store_config=self.config.store_config,
                        table=pa.table({"n": numbers, "square": numbers.astype(float) ** 2}),
                    )
                )
                new = progress.with_suffix(".new")
                new.write_text(str(table + 1))
                new.rename(progress)
                if self.config.per_second:
                    self.sleep(1 / self.config.per_second)
        raise DAQJobStopError("all tables are out")
"""


@pytest.fixture
def flood(node: Node) -> Node:
    """A producer at full speed and a CSV store."""
    node.add_code("numbered", PRODUCER)
    node.add(
        "numbers",
        f"""
        daq_job_type = "DAQJobNumbers"
        tables = {TABLES}
        rows = {ROWS}
        progress = "progress"
        [store_config.csv]
        file_path = "numbers.csv"
        """,
    )
    node.add("csv", 'daq_job_type = "DAQJobStoreCSV"')
    return node


def rows_in(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def finish(node: Node) -> np.ndarray:
    """Wait for the last table, stop, and read the numbers back."""
    node.wait_job("numbers", lambda j: j.state == "stopped", seconds=60)
    assert node.stop() == 0, node.log()
    table = pacsv.read_csv(node.out / "numbers.csv")
    assert table.column_names == ["n", "square"]
    numbers = table["n"].to_numpy()
    np.testing.assert_array_equal(table["square"].to_numpy(), numbers.astype(float) ** 2)
    return numbers


def assert_once_and_in_order(numbers: np.ndarray, *, resent: int = 0) -> None:
    """Every number once; up to ``resent`` rows in one piece may be there a second time."""
    fresh = numbers
    if resent and len(numbers) > TABLES * ROWS:
        (again,) = np.flatnonzero(np.diff(numbers) < 0)
        fresh = np.delete(numbers, np.arange(again + 1, again + 1 + resent))
    np.testing.assert_array_equal(fresh, np.arange(TABLES * ROWS))


def test_flood_arrives_once_and_in_order(flood: Node) -> None:
    flood.start(wait_running=False)
    flood.wait(lambda: rows_in(flood.out / "numbers.csv"), what="first rows")
    assert_once_and_in_order(finish(flood))


def test_store_killed_three_times(flood: Node) -> None:
    flood.start(wait_running=False)
    path = flood.out / "numbers.csv"
    for _ in range(3):
        size = rows_in(path)
        flood.wait(
            lambda size=size: rows_in(path) > size or flood.job("numbers").state == "stopped",
            what="rows to go on",
        )
        flood.kill_job("csv")
    assert_once_and_in_order(finish(flood))


def test_producer_killed_once(flood: Node) -> None:
    flood.start(wait_running=False)
    flood.wait(lambda: rows_in(flood.out / "numbers.csv"), what="first rows")
    flood.kill_job("numbers")
    # The table that was being sent at the kill may be there although publish() had not
    # returned; its repetition is the test job's doing. Nothing else may be there twice.
    assert_once_and_in_order(finish(flood), resent=ROWS)


def test_everything_killed_and_started_again(flood: Node) -> None:
    flood.start(wait_running=False)
    flood.wait(lambda: rows_in(flood.out / "numbers.csv"), what="first rows")
    flood.kill_supervisor()
    flood.start(wait_running=False)
    assert_once_and_in_order(finish(flood), resent=ROWS)


def test_three_quick_kills_do_not_make_a_store_give_up(node: Node) -> None:
    node.add("test", _test_job("a.csv"))
    node.add("csv", 'daq_job_type = "DAQJobStoreCSV"')
    node.start()
    for _ in range(3):
        node.kill_job("csv")
    node.wait_job("csv", lambda j: j.state == "running" and j.restarts == 3)
    assert node.stop() == 0


def _test_job(file: str) -> str:
    return f"""
    daq_job_type = "DAQJobTest"
    rand_min = 1
    rand_max = 10
    interval_seconds = 0.01
    [store_config.csv]
    file_path = "{file}"
    """
