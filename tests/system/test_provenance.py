"""Files say which job, settings, run and host their rows are from."""

import json
import socket
from typing import Any

import h5py
import uproot

from enrgdaq import __version__
from enrgdaq.daq.store.hdf5.reading import committed_rows, read_origins
from tests.system.node import Node

SOURCE = """
# high voltage {volts} V
# password = "hunter2"
daq_job_type = "DAQJobTest"
rand_min = {volts}
rand_max = {volts}
interval_seconds = 0.02
[store_config.hdf5]
file_path = "a.h5"
dataset_name = "rows"
[store_config.root]
file_path = "a.root"
tree_name = "rows"
"""
FLUSH = "flush_interval_seconds = 0.05\n"


def hdf5_rows(node: Node) -> int:
    path = node.out / "a.h5"
    try:
        with h5py.File(path, "r", swmr=True) as file:
            return committed_rows(file["rows"])
    except OSError:  # not there yet, or not open for readers yet
        return 0


def assert_told(origins: list[dict[str, Any]], values: list[int]) -> None:
    """Each origin's first row is the first that was taken under its text."""
    assert [origin["first_row"] for origin in origins] == [0, values.index(1_500)]
    for origin, volts in zip(origins, (1_400, 1_500), strict=True):
        assert origin["config"] == SOURCE.format(volts=volts).replace("hunter2", "********")
        assert origin["config_file"] == "hv.toml"
        assert (origin["job"], origin["job_type"]) == ("hv", "DAQJobTest")
        assert origin["host"] == socket.gethostname()
        assert origin["software"] == f"ENRGDAQ {__version__}"
        assert origin["run_started"].endswith("+00:00")


def test_rows_are_told_apart_by_the_file_they_were_taken_under(node: Node) -> None:
    node.add("hv", SOURCE.format(volts=1_400))
    node.add("hdf5", 'daq_job_type = "DAQJobStoreHDF5"\n' + FLUSH)
    node.add("root", 'daq_job_type = "DAQJobStoreROOT"\nfinish_wait_seconds = 30\n' + FLUSH)
    node.configure(stop_grace_seconds=120)
    node.start()
    node.wait(lambda: hdf5_rows(node) > 2, what="rows")
    node.kill_job("hv")  # the same text goes on
    node.wait_job("hv", lambda job: job.state == "running" and job.restarts == 1)
    node.add("hv", SOURCE.format(volts=1_500))
    assert node.run("reload", "hv").returncode == 0
    rows = hdf5_rows(node)
    node.wait(lambda: hdf5_rows(node) > rows + 5, what="rows under the other text")
    assert node.stop(seconds=120) == 0, node.log()
    with h5py.File(node.out / "a.h5") as file:
        values = file["rows/A"][:].tolist()
        assert_told(read_origins(file["rows"]), values)
        assert "1400 V" in file["rows"].attrs["config"]
        assert file["rows/timestamp"].attrs["units"] == "s"
    with uproot.open(node.out / "a.root") as file:
        tree = json.loads(file["enrgdaq_provenance"])["trees"]["rows"]
        assert_told(tree["origins"], file["rows/A"].array().tolist())
        assert tree["units"] == {"timestamp": "s"}
    sidecar = json.loads((node.out / "a.root.json").read_text())
    texts = [origin["config"] for origin in sidecar["origins"]]
    assert [
        SOURCE.format(volts=volts).replace("hunter2", "********") for volts in (1_400, 1_500)
    ] == texts
    assert node.run("verify", str(node.out)).returncode == 0
    told = [
        path for path in node.out.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()
    ]
    assert not told
    assert not list((node.out / "state").glob("*/origins/*"))
