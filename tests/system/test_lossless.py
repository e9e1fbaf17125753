"""Every row once, in order, whatever is killed."""

from pathlib import Path

import numpy as np
import pyarrow.csv as pacsv
import pytest

from tests.system import numbered
from tests.system.node import Node

TABLES = 3_000
ROWS = 1_000


@pytest.fixture
def flood(node: Node) -> Node:
    """A producer at full speed and a CSV store."""
    node.add_code("numbered", numbered.PRODUCER)
    node.add(
        "numbers",
        f"""
        daq_job_type = "DAQJobNumbers"
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


def finish(node: Node) -> tuple[np.ndarray, int]:
    """Let the source end, stop, read the numbers back; also how many were sent."""
    sent = numbered.end(node, "numbers", rows=ROWS, at_least=TABLES)
    assert node.stop() == 0, node.log()
    table = pacsv.read_csv(node.out / "numbers.csv")
    assert table.column_names == ["n", "square"]
    numbers = table["n"].to_numpy()
    np.testing.assert_array_equal(table["square"].to_numpy(), numbers.astype(float) ** 2)
    return numbers, sent


def assert_once_and_in_order(numbers: np.ndarray, sent: int, *, resent: int = 0) -> None:
    """Every number once; up to ``resent`` rows in one piece may be there a second time."""
    fresh = numbers
    if resent and len(numbers) > sent:
        (again,) = np.flatnonzero(np.diff(numbers) < 0)
        fresh = np.delete(numbers, np.arange(again + 1, again + 1 + resent))
    np.testing.assert_array_equal(fresh, np.arange(sent))


def test_flood_arrives_once_and_in_order(flood: Node) -> None:
    flood.start(wait_running=False)
    flood.wait(lambda: rows_in(flood.out / "numbers.csv"), what="first rows")
    assert_once_and_in_order(*finish(flood))


def test_store_killed_three_times(flood: Node) -> None:
    flood.start(wait_running=False)
    path = flood.out / "numbers.csv"
    for _ in range(3):
        size = rows_in(path)
        flood.wait(lambda size=size: rows_in(path) > size, what="rows to go on")
        flood.kill_job("csv")
    assert_once_and_in_order(*finish(flood))


def test_producer_killed_once(flood: Node) -> None:
    flood.start(wait_running=False)
    flood.wait(lambda: rows_in(flood.out / "numbers.csv"), what="first rows")
    flood.kill_job("numbers")
    # The table that was being sent at the kill may be there although publish() had not
    # returned; its repetition is the test job's doing. Nothing else may be there twice.
    assert_once_and_in_order(*finish(flood), resent=ROWS)


def test_everything_killed_and_started_again(flood: Node) -> None:
    flood.start(wait_running=False)
    flood.wait(lambda: rows_in(flood.out / "numbers.csv"), what="first rows")
    flood.kill_supervisor()
    flood.start(wait_running=False)
    assert_once_and_in_order(*finish(flood), resent=ROWS)


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
