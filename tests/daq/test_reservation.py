"""Tables that a job fills in the ring itself."""

import numpy as np
import pyarrow as pa
import pytest

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.models import DAQJobConfig
from enrgdaq.daq.reservation import Column
from enrgdaq.daq.store.models import (
    DAQJobMessageStorePyArrow,
    DAQJobStoreConfig,
    DAQJobStoreConfigMemory,
)
from enrgdaq.testing import RecordingHost

STORE = DAQJobStoreConfig(memory=DAQJobStoreConfigMemory())


@pytest.fixture
def host() -> RecordingHost:
    return RecordingHost()


@pytest.fixture
def job(host: RecordingHost) -> DAQJob:
    return DAQJob(DAQJobConfig(daq_job_type="DAQJob"), host=host)


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_what_is_filled_in_is_what_arrives(job: DAQJob, host: RecordingHost, rows: int) -> None:
    columns: dict[str, Column] = {
        "time": np.float64,
        "channel": np.uint8,
        "adc": (np.int16, 33),
        "charge": np.float32,
    }
    random = np.random.default_rng(rows)
    adc = random.integers(-1000, 1000, (rows, 33), dtype=np.int16)
    time = random.random(rows)
    with job.reserve(STORE, columns, rows, tag="pmt") as reserved:
        reserved.columns["time"][:] = time
        reserved.columns["channel"][:] = np.arange(rows) % 250
        reserved.columns["adc"][:] = adc
        reserved.columns["charge"][:] = adc.sum(axis=1)
    (message,) = host.published
    assert isinstance(message, DAQJobMessageStorePyArrow)
    assert message.tag == "pmt"
    table = message.get_table()
    assert [str(field.type) for field in table.schema] == [
        "double",
        "uint8",
        "fixed_size_list<item: int16>[33]",
        "float",
    ]
    assert table["time"].to_numpy().tolist() == time.tolist()
    assert table["channel"].to_pylist() == [n % 250 for n in range(rows)]
    assert table["adc"].to_pylist() == adc.tolist()
    assert table["charge"].to_pylist() == adc.sum(axis=1).tolist()


def test_an_exception_sends_nothing(job: DAQJob, host: RecordingHost) -> None:
    with pytest.raises(OSError, match="unplugged"), job.reserve(STORE, {"a": np.int32}, 5):
        raise OSError("unplugged")
    assert not host.published


def test_views_cannot_be_written_once_the_table_is_sent(job: DAQJob) -> None:
    with job.reserve(STORE, {"a": np.int32}, 5) as reserved:
        column = reserved.columns["a"]
        column[:] = 1
    with pytest.raises(ValueError, match="read-only"):
        column[0] = 2


@pytest.mark.parametrize(
    ("columns", "rows", "error"),
    [({"a": np.bool_}, 1, TypeError), ({"a": np.int8}, 0, ValueError), ({}, 1, ValueError)],
)
def test_what_cannot_be_reserved_is_refused(
    job: DAQJob, columns: dict[str, Column], rows: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        job.reserve(STORE, columns, rows)


def test_the_stream_is_what_arrow_itself_would_write(job: DAQJob, host: RecordingHost) -> None:
    with job.reserve(STORE, {"a": np.int64}, 3) as reserved:
        reserved.columns["a"][:] = [1, 2, 3]
    (message,) = host.published
    assert isinstance(message, DAQJobMessageStorePyArrow)
    assert message.get_table().equals(pa.table({"a": [1, 2, 3]}))
