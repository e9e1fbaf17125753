import time

import msgspec
import pytest

from enrgdaq.daq.jobs.test_job import DAQJobTest, DAQJobTestConfig
from enrgdaq.testing import RecordingHost


def make_config(**keys):
    return msgspec.convert(
        {
            "daq_job_type": "DAQJobTest",
            "rand_min": -3,
            "rand_max": 3,
            "interval_seconds": 0.001,
            "store_config": {"csv": {"file_path": "test.csv"}},
            **keys,
        },
        DAQJobTestConfig,
    )


def test_rows_hold_the_time_and_three_integers_within_the_bounds():
    host = RecordingHost(stop_after=200)
    before = time.time()
    DAQJobTest(make_config(), host=host).start()
    rows = [row for message in host.published for row in message.data]
    assert all(message.keys == ["timestamp", "A", "B", "C"] for message in host.published)
    assert before <= rows[0][0] <= rows[-1][0] <= time.time()
    numbers = {number for row in rows for number in row[1:]}
    assert numbers == set(range(-3, 4))
    assert all(type(number) is int for row in rows for number in row[1:])


def test_bounds_in_the_wrong_order_are_refused():
    with pytest.raises(msgspec.ValidationError, match="rand_max = 1 is below rand_min = 2"):
        make_config(rand_min=2, rand_max=1)


def test_the_interval_is_a_second_by_default():
    config = make_config()
    assert type(config).__struct_defaults__[-1] == 1.0
    with pytest.raises(msgspec.ValidationError):
        make_config(interval_seconds=0)
