"""Rows of real files go out once each, in order, and at the asked pace."""

import logging
import time

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from running import running, wait_until

from enrgdaq.daq.jobs import replay
from enrgdaq.daq.jobs.replay import DAQJobReplay, DAQJobReplayConfig
from enrgdaq.daq.jobs.replay_sources import ReplayError
from enrgdaq.daq.models import DAQJobStopError
from enrgdaq.errors import ConfigurationError
from enrgdaq.testing import RecordingHost


def write(path, n_rows=25, seconds_apart=0.0):
    table = pa.table(
        {"time": np.arange(n_rows) * seconds_apart, "charge_pC": np.arange(n_rows) / 3}
    )
    pa.parquet.write_table(table, path)
    return table


def make_job(path, host=None, **keys):
    config = msgspec.convert(
        {
            "daq_job_type": "DAQJobReplay",
            "file_path": str(path),
            "batch_rows": 10,
            "store_config": {"csv": {"file_path": "replay.csv"}},
            **keys,
        },
        DAQJobReplayConfig,
    )
    host = host or RecordingHost("replay")
    return DAQJobReplay(config, host=host), host


def sent(host):
    return pa.concat_tables([message.get_table() for message in host.published])


def test_all_rows_are_sent_once_and_the_job_is_done(tmp_path):
    table = write(tmp_path / "run.parquet")
    job, host = make_job(tmp_path / "run.parquet")
    with pytest.raises(DAQJobStopError, match=r"replayed 25 rows of .*run\.parquet"):
        job.start()
    assert sent(host).equals(table)
    assert [message.get_table().num_rows for message in host.published] == [10, 10, 5]


def test_a_rate_is_kept_and_no_message_is_sent_for_each_row(tmp_path):
    table = write(tmp_path / "run.parquet", 500)
    job, host = make_job(
        tmp_path / "run.parquet", mode="rate", rows_per_second=1000, batch_rows=200
    )
    began = time.monotonic()
    with pytest.raises(DAQJobStopError):
        job.start()
    assert time.monotonic() - began >= 0.499
    assert sent(host).equals(table)
    assert len(host.published) < 100


def test_the_original_pace_is_kept(tmp_path):
    table = write(tmp_path / "run.parquet", 21, seconds_apart=1.0)
    job, host = make_job(tmp_path / "run.parquet", mode="original", time_column="time", speed=50.0)
    began = time.monotonic()
    with pytest.raises(DAQJobStopError, match="replayed 21 rows"):
        job.start()
    assert time.monotonic() - began >= 0.399
    assert sent(host).equals(table)


def test_a_looping_replay_goes_on_until_it_is_stopped(tmp_path):
    table = write(tmp_path / "run.parquet")
    job, host = make_job(tmp_path / "run.parquet", RecordingHost(stop_after=7), loop=True)
    job.start()
    assert sent(host).equals(pa.concat_tables([table, table, table.slice(0, 10)]))


def test_a_long_pause_in_the_recording_does_not_delay_the_stop(tmp_path):
    write(tmp_path / "run.parquet", 2, seconds_apart=1e6)
    job, host = make_job(tmp_path / "run.parquet", mode="original", time_column="time")
    with running(job, host) as raised:
        wait_until(lambda: host.published, "the first row")
    assert raised == []
    assert sent(host).num_rows == 1


def test_an_empty_file_is_done_even_when_it_loops(tmp_path):
    write(tmp_path / "run.parquet", 0)
    job, host = make_job(tmp_path / "run.parquet", loop=True)
    with pytest.raises(DAQJobStopError, match="replayed 0 rows"):
        job.start()
    assert host.published == []


def test_progress_is_reported_with_percent(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(replay, "_REPORT_SECONDS", 0.0)
    caplog.set_level(logging.INFO)
    write(tmp_path / "run.parquet", 40)
    job, _ = make_job(tmp_path / "run.parquet")
    with pytest.raises(DAQJobStopError):
        job.start()
    assert "10 rows sent (25.0 %)" in caplog.text


def test_a_file_that_is_damaged_midway_says_how_far_it_got(tmp_path):
    path = tmp_path / "run.arrows"
    schema = pa.schema({"x": pa.int64()})
    with pa.ipc.new_stream(path, schema) as writer:
        for _ in range(3):
            writer.write_batch(pa.record_batch([pa.array(range(100))], schema=schema))
    path.write_bytes(path.read_bytes()[:-500])
    job, host = make_job(path, batch_rows=100)
    with pytest.raises(ReplayError, match=r"beyond the rows sent so far \(200\)"):
        job.start()
    assert sent(host).num_rows == 200


def test_a_missing_file_is_named(tmp_path):
    job, _ = make_job(tmp_path / "run.parquet")
    with pytest.raises(ConfigurationError, match="no such file"):
        job.start()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"mode": "original"}, "needs time_column"),
        ({"columns": []}, "name each column once"),
        ({"columns": ["a", "a"]}, "name each column once"),
        ({"columns": ["a"], "mode": "original", "time_column": "t"}, "does not hold time_column"),
        ({"format": "xls"}, "Invalid enum value 'xls'"),
    ],
)
def test_mistakes_are_found_when_the_file_is_read(tmp_path, keys, message):
    with pytest.raises(msgspec.ValidationError, match=message):
        make_job(tmp_path / "run.parquet", **keys)
