"""The benchmark measures the real system and notices what is wrong."""

from typing import Any

import numpy as np
import pytest

from enrgdaq.daq.numbered_words import is_whole, make_words, number_words
from enrgdaq.errors import ConfigurationError
from enrgdaq.trials.bench import BenchPlan, measure


@pytest.mark.parametrize(
    ("lane", "hand_in"),
    [
        ("arrow", "publish"),
        ("raw", "publish"),
        ("rows", "publish"),
        ("raw", "many"),
        ("rows", "gather"),
        ("arrow", "reserve"),
    ],
)
def test_every_message_is_read_once(lane: str, hand_in: str) -> None:
    plan = BenchPlan(payload_bytes=16_000, lane=lane, hand_in=hand_in, seconds=0.3)
    result = measure(plan, lambda text: None)
    assert result.rows_per_s > 1_000
    assert (result.lost, result.duplicated, result.out_of_order, result.corrupted) == (0, 0, 0, 0)
    assert result.seconds >= 0.3
    assert 0 < result.p50_us <= result.p99_us <= result.max_us


@pytest.mark.parametrize(
    ("store", "lane"), [("csv", "arrow"), ("hdf5", "rows"), ("root", "arrow"), ("raw", "raw")]
)
def test_what_a_store_wrote_is_read_back(store: str, lane: str) -> None:
    plan = BenchPlan(payload_bytes=16_000, lane=lane, store=store, seconds=0.3)
    result = measure(plan, lambda text: None)
    assert result.rows_per_s > 100
    assert (result.lost, result.duplicated, result.out_of_order, result.corrupted) == (0, 0, 0, 0)
    assert result.library_rows_per_s > 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"hand_in": "many", "lane": "arrow"},
        {"store": "csv", "lane": "raw"},
        {"store": "csv", "lane": "arrow", "consumers": 2},
    ],
)
def test_what_does_not_go_together_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        BenchPlan(payload_bytes=16_000, **wrong)


def test_two_producers_and_two_consumers() -> None:
    plan = BenchPlan(payload_bytes=100_000, lane="raw", producers=2, consumers=2, seconds=0.3)
    result = measure(plan, lambda text: None)
    assert (result.lost, result.duplicated, result.out_of_order, result.corrupted) == (0, 0, 0, 0)


@pytest.mark.parametrize("position", [0, 1, 500, -1])
def test_a_changed_word_is_noticed(position: int) -> None:
    words = make_words(8_000)
    number_words(words, 12345)
    assert is_whole(words)
    words[position] ^= np.uint64(1 << 40)
    assert not is_whole(words)
