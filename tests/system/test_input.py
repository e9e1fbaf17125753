"""Bad and odd input: a clear error or a right file, and nothing lost."""

import csv
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
import zstandard

from tests.system.node import Node

STORE = 'daq_job_type = "DAQJobStoreCSV"\n'
HEAD = """
import datetime as dt
import numpy as np
import pyarrow as pa
from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.models import DAQJobStopError
from enrgdaq.daq.store.models import *

def config(**csv):
    return DAQJobStoreConfig(csv=DAQJobStoreConfigCSV(**csv))

class DAQJobOnce(DAQJob):
    def table(self, columns, schema=None, **settings):
        settings = {"file_path": "a.csv"} | settings
        self.publish(DAQJobMessageStorePyArrow(
            store_config=config(**settings), table=pa.table(columns, schema=schema)))

    def rows(self, keys, data, tag=None, **settings):
        settings = {"file_path": "a.csv"} | settings
        self.publish(DAQJobMessageStoreTabular(
            store_config=config(**settings), keys=keys, data=data, tag=tag))

    def start(self):
"""


def once(node: Node, body: str, *, settings: str = "") -> Node:
    """Run a job that publishes and is done, stop in order."""
    indented = "".join(f"        {line}\n" for line in body.strip().splitlines())
    node.add_code("once", HEAD + indented + '        raise DAQJobStopError("done")\n')
    node.add("once", 'daq_job_type = "DAQJobOnce"\n' + settings)
    node.add("csv", STORE)
    node.start(wait_running=False)
    node.wait_job("once", lambda job: job.state in ("stopped", "failed", "backoff"))
    return node


def read(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_odd_values_round_trip(node: Node) -> None:
    once(
        node,
        """
self.table({"x": [1.5, float("nan"), None, float("inf")], "s": ['a"b', "line\\nbreak", "", None]})
self.table({"x": [], "s": []}, schema=pa.schema([("x", pa.float64()), ("s", pa.string())]))
""",
    )
    assert node.stop() == 0, node.log()
    assert read(node.out / "a.csv") == [
        ["x", "s"],
        ["1.5", 'a"b'],
        ["nan", "line\nbreak"],
        ["", ""],
        ["inf", ""],
    ]
    # Nothing and the empty text are told apart by quotes.
    assert (node.out / "a.csv").read_text().endswith(',""\ninf,\n')


def test_rows_as_lists(node: Node) -> None:
    once(
        node,
        """
self.rows(["t", "v"], [[1, 'say "hi", twice\\nplease'], [2, None], [np.int64(3), np.float32(0.5)]])
self.publish(DAQJobMessageStoreTabular(store_config=config(file_path="a.csv"),
    keys=["t", "v"], data_columns={"v": np.array(["a"]), "t": [4]}))
""",
    )
    assert node.stop() == 0, node.log()
    assert read(node.out / "a.csv") == [
        ["t", "v"],
        ["1", 'say "hi", twice\nplease'],
        ["2", ""],
        ["3", "0.5"],
        ["4", "a"],
    ]


def test_other_columns_go_to_another_part(node: Node) -> None:
    once(
        node,
        """
self.table({"a": [1], "b": [2]})
self.table({"a": [3], "c": [4]})
self.table({"a": [5], "b": [6]})
""",
    )
    assert node.stop() == 0, node.log()
    assert read(node.out / "a.csv") == [["a", "b"], ["1", "2"], ["5", "6"]]
    assert read(node.out / "a.part2.csv") == [["a", "c"], ["3", "4"]]
    assert "the columns of once changed from a int64, b int64 to a int64, c int64" in node.log()


def test_changed_type_loses_nothing(node: Node) -> None:
    once(node, 'self.table({"a": [1]})\nself.table({"a": ["two"]})\nself.table({"a": [3.5]})')
    assert node.stop() == 0, node.log()
    rows = [row for path in node.out.glob("a*.csv") for row in read(path)[1:]]
    assert sorted(rows) == [["1"], ["3.5"], ["two"]]


def test_settings_of_the_csv_backend(node: Node) -> None:
    once(
        node,
        """
for n in range(3):
    self.table({"n": [n]}, file_path="z.csv", use_zstd=True)
    self.table({"n": [n]}, file_path="live.csv", overwrite=True)
    self.table({"n": [n]}, file_path="d.csv", add_date=True)
    self.rows(["n"], [[n]], tag="hv", file_path="sub/t.csv")
""",
    )
    assert node.stop() == 0, node.log()
    packed = (node.out / "z.csv.zst").open("rb")
    with (
        packed,
        zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True) as plain,
    ):
        assert pacsv.read_csv(io.BytesIO(plain.read())) == pa.table({"n": [0, 1, 2]})
    assert read(node.out / "live.csv") == [["n"], ["2"]]
    (dated,) = node.out.glob("20??-??-??_d.csv")
    assert len(read(dated)) == 4
    assert len(read(node.out / "sub" / "t_hv.csv")) == 4


def test_message_larger_than_the_ring_names_the_setting(node: Node) -> None:
    once(
        node,
        """
self.publish(DAQJobMessageStoreRaw(
    store_config=DAQJobStoreConfig(raw=DAQJobStoreConfigRaw(file_path="x")), data=bytes(2_000_000)))
""",
        settings="ring_size_mb = 1",
    )
    job = node.wait_job("once", lambda job: job.state in ("backoff", "failed"))
    assert "set ring_size_mb = 4" in job.exit_reason
    node.stop()


def test_snapshot_is_never_split(node: Node) -> None:
    once(
        node,
        'self.table({"n": np.arange(50_000)}, file_path="live.csv", overwrite=True)',
        settings="ring_size_mb = 1",
    )
    assert node.stop() == 0, node.log()
    assert pacsv.read_csv(node.out / "live.csv").num_rows == 50_000


def test_table_that_csv_cannot_hold_is_put_aside_and_holds_up_nobody(node: Node) -> None:
    once(
        node,
        """
self.table({"b": pa.array([b"\\xff\\xfe"]).view(pa.string())}, file_path="bad.csv")
self.table({"n": [1, 2]}, file_path="good.csv")
""",
    )
    node.wait((node.out / "good.csv").exists, what="the good rows")
    assert node.job("csv").restarts == 0
    node.wait_job("csv", lambda job: job.lost == 1)
    assert len(list((node.out / "set-aside").glob("*.record"))) == 1
    assert node.stop() == 0, node.log()
    assert read(node.out / "good.csv") == [["n"], ["1"], ["2"]]


def test_large_table_is_split_by_rows(node: Node) -> None:
    once(
        node,
        'self.table({"n": np.arange(500_000)})',
        settings="ring_size_mb = 1",
    )
    assert node.stop() == 0, node.log()
    assert pacsv.read_csv(node.out / "a.csv")["n"].to_pylist() == list(range(500_000))


def test_message_that_no_store_takes_is_counted_with_one_warning(node: Node) -> None:
    once(
        node,
        """
for _ in range(50):
    self.publish(DAQJobMessageStoreRaw(
        store_config=DAQJobStoreConfig(raw=DAQJobStoreConfigRaw(file_path="x")), data=b"x"))
""",
    )
    node.wait_job("once", lambda job: job.unrouted == 50)
    assert node.log().count("were not stored: no job takes them") == 1
    node.stop()


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ('self.rows(["a"], [[1, 2]])', "row of 2 values for 1 keys"),
        ('self.rows(["a"], [[object()]])', "CodecError: value cannot be sent"),
        ('self.rows(["a"], [[1]], tag="../x")', "use letters, digits"),
        ('self.rows(["a"], [[1]], file_path="../x.csv")', "below the store's out_dir"),
        ('self.rows(["a"], [[2**70]])', "cannot be sent"),
        (
            "self.publish(DAQJobMessageStoreRaw(store_config=config(file_path='a'), data=b'x'))",
            "it takes rows",
        ),
    ],
    ids=["ragged row", "unknown value", "tag", "path", "huge number", "bytes for rows"],
)
def test_wrong_message_is_an_error_where_it_is_made(
    node: Node, statement: str, reason: str
) -> None:
    once(node, statement)
    job = node.wait_job("once", lambda job: job.state in ("backoff", "failed", "running"))
    assert reason in job.exit_reason
    node.stop()
    assert not (node.out.parent / "x.csv").exists()


def test_raw_store(node: Node) -> None:
    node.add("raw", 'daq_job_type = "DAQJobStoreRaw"')
    once(
        node,
        """
for n in range(5):
    for path, overwrite in (("all.bin", False), ("last.bin", True)):
        self.publish(DAQJobMessageStoreRaw(data=bytes([n]) * 3, store_config=DAQJobStoreConfig(
            raw=DAQJobStoreConfigRaw(file_path=path, overwrite=overwrite))))
""",
    )
    assert node.stop() == 0, node.log()
    assert (node.out / "all.bin").read_bytes() == bytes([n for n in range(5) for _ in range(3)])
    assert (node.out / "last.bin").read_bytes() == b"\4\4\4"


def test_ring_in_an_ordinary_file(node: Node) -> None:
    once(
        node,
        'self.table({"n": np.arange(200_000)})',
        settings="use_shm_when_possible = false\nring_size_mb = 1",
    )
    assert node.stop() == 0, node.log()
    assert pacsv.read_csv(node.out / "a.csv").num_rows == 200_000
