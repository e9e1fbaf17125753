"""The detector runs in real time and tells the same story on all three ways out."""

import time

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from running import running, wait_until

from enrgdaq.daq.jobs.pulses import measure
from enrgdaq.daq.jobs.simulated_detector import (
    DAQJobSimulatedDetector,
    DAQJobSimulatedDetectorConfig,
)
from enrgdaq.daq.jobs.waveform_format import unpack_waveforms
from enrgdaq.daq.store.models import DAQJobMessageStoreRaw
from enrgdaq.testing import RecordingHost

CSV = {"csv": {"file_path": "charges.csv"}}
HDF5 = {"hdf5": {"file_path": "waveforms.h5", "dataset_name": "waveforms"}}
RAW = {"raw": {"file_path": "waveforms.bin", "overwrite": False}}


def make_job(host=None, **keys):
    config = msgspec.convert(
        {
            "daq_job_type": "DAQJobSimulatedDetector",
            "seed": 1,
            "batch_seconds": 0.02,
            "store_config": CSV,
            **keys,
        },
        DAQJobSimulatedDetectorConfig,
    )
    host = host or RecordingHost("detector")
    return DAQJobSimulatedDetector(config, host=host), host


def test_events_come_in_real_time_with_their_columns():
    job, host = make_job()
    before = time.time_ns()
    with running(job, host):
        wait_until(lambda: len(host.published) >= 10, "ten batches")
    after = time.time_ns()
    table = pa.concat_tables([message.get_table() for message in host.published])
    assert table.column_names == [
        "event_time_ns",
        "channel",
        "charge_pC",
        "time_ns",
        "baseline",
        "amplitude",
    ]
    assert table.schema.field("event_time_ns").type == pa.int64()
    times = table["event_time_ns"].to_numpy()
    assert before <= times.min()
    assert times.max() <= after
    assert (np.diff(times) >= 0).all()
    assert set(table["channel"].to_pylist()) <= set(range(8))


def test_rows_lists_and_bytes_hold_the_same_events():
    job, host = make_job(
        RecordingHost(stop_after=6), waveform_store_config=HDF5, raw_store_config=RAW
    )
    job.start()
    for rows, lists, raw in zip(*[iter(host.published)] * 3, strict=True):
        assert isinstance(raw, DAQJobMessageStoreRaw)
        (block,) = unpack_waveforms(raw.data)
        assert rows.store_config.csv is not None
        assert lists.store_config.hdf5 is not None
        lists_table = lists.get_table()
        assert lists_table.schema.field("waveform").type == pa.list_(pa.uint16())
        assert lists_table["waveform"].to_pylist() == block.waveform.tolist()
        for table in (rows.get_table(), lists_table):
            assert table["event_time_ns"].to_pylist() == block.event_time_ns.tolist()
            assert table["channel"].to_pylist() == block.channel.tolist()
        charges = measure(block.waveform, job.config.settings()).charge_pc
        np.testing.assert_allclose(rows.get_table()["charge_pC"].to_numpy(), charges, atol=1e-4)


class SlowHost(RecordingHost):
    """Holds the job up once, for many batches."""

    def publish(self, message):
        if not self.published:
            time.sleep(0.3)
        super().publish(message)


def test_a_stall_is_dead_time_and_no_burst():
    host = SlowHost("detector")
    job, _ = make_job(host, rate_hz=1000.0)
    with running(job, host):
        wait_until(lambda: len(host.published) >= 10, "it went on after the stall")
    assert job.dead_seconds >= 0.3 - 3 * 0.02
    first, second = (
        message.get_table()["event_time_ns"].to_numpy() for message in host.published[:2]
    )
    assert second.min() - first.max() >= (0.3 - 4 * 0.02) * 1e9


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"samples": 16, "pretrigger_samples": 16}, "leaves nothing of the 16 samples"),
        ({"rate_hz": 1e6, "batch_seconds": 10}, "lower batch_seconds"),
        ({"raw_store_config": CSV}, "needs .raw_store_config.raw"),
        ({"adc_bits": 17}, "<= 16"),
    ],
)
def test_impossible_detectors_are_refused(keys, message):
    with pytest.raises(msgspec.ValidationError, match=message):
        make_job(**keys)
