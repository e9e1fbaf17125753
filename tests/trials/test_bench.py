"""The benchmark measures the real system and notices what is wrong."""

import numpy as np
import pytest

from enrgdaq.daq.numbered_words import is_whole, make_words, number_words
from enrgdaq.trials.bench import BenchPlan, measure


@pytest.mark.parametrize("lane", ["arrow", "raw", "rows"])
def test_every_message_is_read_once(lane: str) -> None:
    plan = BenchPlan(payload_bytes=16_000, lane=lane, seconds=0.3)
    result = measure(plan, lambda text: None)
    assert result.messages > 100
    assert (result.lost, result.duplicated, result.out_of_order, result.corrupted) == (0, 0, 0, 0)
    assert result.seconds >= 0.3
    assert 0 < result.p50_us <= result.p99_us <= result.max_us


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
