"""Real input through the whole system: this host, a serial line, a detector's own files."""

import os
import shutil
import tty
from pathlib import Path

import h5py
import numpy as np
import psutil
import pyarrow.csv as pacsv
import pytest

from enrgdaq.daq.store.hdf5.reading import committed_rows
from tests.system.node import Node

ROOT = Path(__file__).parent.parent.parent
STORE = 'daq_job_type = "DAQJobStoreCSV"\n'


def test_demo_stores_every_row_that_it_counts(node: Node) -> None:
    for file in (ROOT / "configs").glob("*.toml"):
        if file.name != "supervisor.toml":
            shutil.copy(file, node.configs)
    node.start()
    node.wait(
        lambda: node.job("detector").messages_out >= 20 and node.job("pc_metrics").messages_out > 1,
        what="some data",
    )
    for source in ("detector", "pc_metrics"):
        node.client.stop(source)
        node.wait_job(source, lambda job: job.state == "stopped")
    node.wait(lambda: not any(job.queued_bytes for job in node.snapshot().jobs), what="the stores")
    rows = {topic.topic: topic.rows for topic in node.snapshot().topics}
    assert node.stop() == 0, node.log()
    (charges,) = node.out.glob("*_charges.csv")
    (metrics,) = node.out.glob("*_pc_metrics.csv")
    (waveforms,) = node.out.glob("*_waveforms.h5")
    stored = pacsv.read_csv(charges)
    host = pacsv.read_csv(metrics)
    assert stored.num_rows + host.num_rows == rows["store.DAQJobStoreCSV"]
    with h5py.File(waveforms) as file:
        assert committed_rows(file["waveforms"]) == stored.num_rows
    assert set(stored["channel"].to_pylist()) == set(range(8))
    memory = psutil.virtual_memory().percent
    assert host["memory"].to_pylist()[-1] == pytest.approx(memory, abs=20)


class Cable:
    """A pseudo-terminal behind a name that survives replugging."""

    def __init__(self, port: Path) -> None:
        self.port = port
        self.master = -1

    def plug(self) -> None:
        self.master, slave = os.openpty()
        tty.setraw(slave)
        self.port.symlink_to(os.ttyname(slave))
        os.close(slave)

    def unplug(self) -> None:
        os.close(self.master)
        self.port.unlink()


def test_serial_line_that_is_unplugged_and_plugged_again(node: Node) -> None:
    cable = Cable(node.folder / "tty")
    cable.plug()
    node.add("csv", STORE)
    node.add(
        "gps",
        f"""
        daq_job_type = "DAQJobSerial"
        port = "{cable.port}"
        first_frame = "keep"
        format = "nmea"
        nmea_sentences = ["GGA"]
        reconnect_first_seconds = 0.05
        columns = [{{ name = "utc", type = "str", source = 1 }},
                   {{ name = "altitude", unit = "m", source = 9 }}]
        [store_config.csv]
        file_path = "gps.csv"
        """,
    )
    node.start()
    # What came in before the port was opened is dropped with the rest of its buffer.
    node.wait(lambda: "is open" in node.log(), what="the open port")
    gga = b"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n"
    os.write(cable.master, gga + b"$GPGGA,broken*00\r\n" + gga)
    node.wait_job("gps", lambda job: job.messages_out >= 1)
    cable.unplug()
    node.wait_job("gps", lambda job: "waiting for" in job.condition)
    assert any("waiting for" in problem for problem in node.snapshot().supervisor.problems)
    cable.plug()
    node.wait_job("gps", lambda job: not job.condition)
    before = node.job("gps").messages_out
    os.write(cable.master, gga)
    node.wait_job("gps", lambda job: job.messages_out > before)
    cable.unplug()
    assert node.stop() == 0, node.log()
    stored = pacsv.read_csv(node.out / "gps.csv")
    assert stored["altitude_m"].to_pylist() == [545.4] * 3
    assert "broken" in (node.out / "gps_bad_lines.txt").read_text()
    assert "gps: 0 messages in, " in node.log()
    assert ", 0 restarts" in node.log().split("gps: 0 messages in, ")[1].splitlines()[0]


def test_file_of_a_neutrino_telescope_value_for_value(node: Node, needs_real_files: None) -> None:
    from km3net_testdata import data_path

    path = data_path("hdf5/basic_analysis_sample.h5")
    with h5py.File(path) as file:
        name = max(
            (key for key in file if isinstance(file[key], h5py.Dataset) and file[key].dtype.names),
            key=lambda key: len(file[key]),
        )
        original = file[name][:]
    node.add("csv", STORE)
    node.add(
        "replay",
        f"""
        daq_job_type = "DAQJobReplay"
        file_path = "{path}"
        object_path = "{name}"
        mode = "fast"
        batch_rows = 1000
        [store_config.csv]
        file_path = "replayed.csv"
        """,
    )
    node.start(wait_running=False)
    job = node.wait_job("replay", lambda job: job.state == "stopped", seconds=60)
    assert job.restarts == 0
    assert node.stop() == 0, node.log()
    stored = pacsv.read_csv(node.out / "replayed.csv")
    assert stored.num_rows == len(original)
    for column in original.dtype.names:
        np.testing.assert_array_equal(
            stored[column].to_numpy(), original[column].astype(stored[column].to_numpy().dtype)
        )
