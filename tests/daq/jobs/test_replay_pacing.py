"""Positions in time follow the recording, whatever its type of time and however it is cut."""

import datetime as dt
import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrgdaq.daq.jobs.replay_pacing import OriginalPacing, RatePacing
from enrgdaq.errors import ConfigurationError


def batch(times, type_=None):
    return pa.record_batch({"t": pa.array(times, type_)})


def test_a_rate_is_kept_across_batches_and_passes():
    pacing = RatePacing(10.0)
    assert pacing.positions(batch([0, 0, 0])).tolist() == [0.0, 0.1, 0.2]
    pacing.begin_pass()
    assert pacing.positions(batch([0])).tolist() == [0.3]


def test_original_times_are_relative_to_the_first_and_scaled():
    pacing = OriginalPacing("t", "ms", speed=2.0)
    assert pacing.positions(batch([1000, 1100, 1500])).tolist() == [0.0, 0.05, 0.25]
    assert pacing.positions(batch([2000])).tolist() == [0.5]
    pacing.begin_pass()
    # The second pass begins where the first one ended.
    assert pacing.positions(batch([1000, 1100])).tolist() == [0.5, 0.55]


def test_nanoseconds_since_1970_keep_their_last_digit():
    start = 1_750_000_000_123_456_789
    pacing = OriginalPacing("t", "ns", speed=1.0)
    assert pacing.positions(batch([start, start + 1, start + 1000])).tolist() == [0, 1e-9, 1e-6]
    pacing = OriginalPacing("t", "ns", speed=1.0)
    near_the_end = batch([2**64 - 3, 2**64 - 1], pa.uint64())
    assert pacing.positions(near_the_end).tolist() == [0, 2e-9]


def test_arrow_timestamps_bring_their_own_unit():
    start = dt.datetime(2025, 1, 1)
    times = [start, start + dt.timedelta(milliseconds=1500)]
    for unit in ("ms", "us", "ns"):
        pacing = OriginalPacing("t", "s", speed=1.0)
        assert pacing.positions(batch(times, pa.timestamp(unit))).tolist() == [0.0, 1.5]


def test_rows_that_go_back_or_have_no_time_are_due_with_their_predecessor():
    pacing = OriginalPacing("t", "s", speed=1.0)
    times = [None, 5.0, 4.0, None, float("nan"), 7.0]
    assert pacing.positions(batch(times)).tolist() == [0, 0, 0, 0, 0, 2]
    assert pacing.positions(batch([None, 6.0, 8.0], pa.float64())).tolist() == [2, 2, 3]


@given(
    times=st.lists(st.one_of(st.none(), st.integers(0, 2**40)), max_size=30),
    places=st.lists(st.integers(0, 30)),
)
def test_positions_do_not_depend_on_how_the_rows_are_cut(times, places):
    whole = OriginalPacing("t", "us", speed=3.0).positions(batch(times, pa.int64()))
    edges = [0, *sorted(place % (len(times) + 1) for place in places), len(times)]
    pacing = OriginalPacing("t", "us", speed=3.0)
    parts = [pacing.positions(batch(times[a:b], pa.int64())) for a, b in itertools.pairwise(edges)]
    assert np.concatenate(parts).tolist() == whole.tolist()
    assert (np.diff(whole) >= 0).all()


def test_a_wrong_time_column_is_named():
    with pytest.raises(ConfigurationError, match="'time' is not in the rows; they have t"):
        OriginalPacing("time", "s", 1.0).positions(batch([1]))
    with pytest.raises(ConfigurationError, match="has type string"):
        OriginalPacing("t", "s", 1.0).positions(batch(["noon"]))
