"""Stores stop above the end of the disk, say so, and go on by themselves."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow.csv as pacsv
import pytest

from enrgdaq.trials.chaos.room import TmpfsRoom, enter_private_mounts
from tests.system.node import Node

PRODUCER = """
import numpy as np
import pyarrow as pa
from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.store.models import DAQJobMessageStorePyArrow, StorableDAQJobConfig


class DAQJobCount(DAQJob):
    config_type = StorableDAQJobConfig

    def start(self):
        for first in range(0, 1 << 40, 10):
            table = pa.table({"n": np.arange(first, first + 10)})
            self.publish(
                DAQJobMessageStorePyArrow(store_config=self.config.store_config, table=table)
            )
            self.sleep(0.01)
"""
SETTINGS = {"csv": "", "raw": "", "hdf5": 'dataset_name = "rows"', "root": 'tree_name = "rows"'}
BALLAST = 44 << 20


def configure(node: Node, stores: dict[str, str], floor_mb: float) -> None:
    node.add_code("count", PRODUCER)
    sections = ""
    for store, job_type in stores.items():
        sections += f'[store_config.{store}]\nfile_path = "n.{store}"\n{SETTINGS[store]}\n'
        node.add(
            store,
            f'daq_job_type = "{job_type}"\nflush_interval_seconds = 0.05\n'
            f'free_space_floor_mb = {floor_mb}\nout_dir = "data/{store}"\n',
        )
    node.add("source", f'daq_job_type = "DAQJobCount"\n{sections}')


def says_waiting(node: Node, store: str, floor: str) -> bool:
    condition = node.job(store).condition
    is_said = condition.startswith(f"waiting for disk: data/{store}: ") and condition.endswith(
        f" MiB free, floor {floor} MiB"
    )
    return is_said and f"{store}: {condition}" in node.snapshot().supervisor.problems


@pytest.fixture
def apart() -> Iterator[ThreadPoolExecutor]:
    """A thread with mounts of its own: what it starts sees them too, and nobody else."""
    with ThreadPoolExecutor(1) as thread:
        if not thread.submit(enter_private_mounts).result():
            pytest.skip("this host does not allow mounts of one's own")
        yield thread


def test_a_store_leaves_the_floor_of_a_small_disk_free(
    node: Node, apart: ThreadPoolExecutor
) -> None:
    stores = {"csv": "DAQJobStoreCSV", "hdf5": "DAQJobStoreHDF5", "root": "DAQJobStoreROOT"}
    configure(node, stores, 32)
    data = node.folder / "data"
    data.mkdir()
    apart.submit(lambda: TmpfsRoom(data, limit_bytes=64 << 20)).result()

    def size(name: str) -> int:
        path = data / name
        return apart.submit(lambda: path.stat().st_size if path.exists() else 0).result()

    apart.submit(node.start).result()
    node.wait(lambda: size("csv/n.csv"), what="the first rows")
    apart.submit((data / "ballast").write_bytes, bytes(BALLAST)).result()
    for store in stores:
        node.wait(lambda s=store: says_waiting(node, s, "32"), what=f"{store} to say it")
    stood = size("csv/n.csv")
    assert apart.submit(os.statvfs, data).result().f_bavail > 0
    apart.submit((data / "ballast").unlink).result()
    for store in stores:
        node.wait_job(store, lambda job: not job.condition)
    node.wait(lambda: size("csv/n.csv") > stood, what="more rows")
    assert node.stop() == 0, node.log()[-6000:]
    text = apart.submit((data / "csv/n.csv").read_bytes).result()
    (node.folder / "n.csv").write_bytes(text)
    rows = pacsv.read_csv(node.folder / "n.csv")["n"].to_numpy()
    assert np.array_equal(rows, np.arange(len(rows)))


def test_a_floor_above_what_is_free_holds_a_store_until_it_is_lowered(node: Node) -> None:
    configure(node, {"csv": "DAQJobStoreCSV"}, 1e9)
    node.configure(stop_grace_seconds=1)  # it tries to write for so long before it is reloaded
    node.start()
    node.wait(lambda: says_waiting(node, "csv", "1e+09"), what="the store to say it")
    assert not list(Path(node.folder / "data/csv").glob("n*"))
    configure(node, {"csv": "DAQJobStoreCSV"}, 0)
    assert node.run("reload", "csv").returncode == 0
    written = node.folder / "data/csv/n.csv"
    node.wait(lambda: written.exists() and written.stat().st_size, what="rows")
    node.wait_job("csv", lambda job: not job.condition)
    node.stop()  # not with 0: the store had to be killed once
    rows = pacsv.read_csv(written)["n"].to_numpy()
    assert np.array_equal(rows, np.arange(len(rows)))
