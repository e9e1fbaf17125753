"""Periods and timelines, driven by scripted clocks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrgdaq.daq.jobs.pacing import Backoff, Ticker, Timeline, percent


def test_intervals_follow_each_other_without_drift():
    ticker = Ticker(100, start_ns=1000)
    now = 1000
    for n in range(1000):
        assert (ticker.begin_ns, ticker.end_ns) == (1000 + 100 * n, 1100 + 100 * n)
        # Always a little late, never more than a period.
        now = ticker.end_ns + (n * 37) % 100
        assert ticker.is_due(now)
        assert ticker.advance(now) == 0


def test_after_a_stall_one_interval_is_made_up_for_and_the_rest_are_counted():
    ticker = Ticker(100, start_ns=0)
    assert ticker.advance(1050) == 8
    assert ticker.begin_ns == 900
    assert ticker.is_due(1050)
    assert ticker.advance(1050) == 0
    assert not ticker.is_due(1050)
    assert ticker.remaining_seconds(1050) == 50e-9


@given(st.lists(st.integers(0, 10**12), min_size=1), st.integers(1, 10**9))
def test_every_interval_is_either_taken_or_counted_as_skipped(delays, period):
    ticker = Ticker(period, start_ns=0)
    now = skipped = 0
    for taken, delay in enumerate(delays, 1):
        now = max(now, ticker.end_ns) + delay
        skipped += ticker.advance(now)
        assert ticker.begin_ns == (taken + skipped) * period
        # Never more than one whole interval behind.
        assert now - ticker.end_ns < period


def test_a_clock_that_was_set_back_is_noticed_and_never_waited_for():
    ticker = Ticker(100, start_ns=10_000)
    assert not ticker.was_set_back(9_900)
    assert ticker.was_set_back(5_000)
    assert ticker.remaining_seconds(5_000) == 200e-9
    ticker.restart(5_000)
    assert ticker.begin_ns == 5_000


def test_a_period_must_be_positive():
    with pytest.raises(ValueError, match="positive"):
        Ticker(0, 0)


def test_a_timeline_keeps_pace_and_moves_back_after_a_stall():
    timeline = Timeline(start=100.0, slack_seconds=1.0)
    assert timeline.wait_seconds(2.0, now=100.5) == 1.5
    timeline.resume(2.0, now=102.5)
    assert timeline.shifted_seconds == 0.0
    assert timeline.wait_seconds(3.0, now=102.5) == 0.5
    timeline.resume(3.0, now=113.0)
    assert timeline.shifted_seconds == 10.0
    assert timeline.wait_seconds(4.0, now=113.0) == 1.0
    assert timeline.position(113.0) == 3.0


def test_backoff_doubles_up_to_its_limit_and_starts_anew():
    backoff = Backoff(0.5, 3.0)
    assert [backoff.next_seconds() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    backoff.reset()
    assert backoff.next_seconds() == 0.5


def test_percent_is_100_only_at_the_end():
    assert percent(1, None) == ""
    assert percent(999_999, 1_000_000) == " (99.9 %)"
    assert percent(5, 5) == " (100.0 %)"
