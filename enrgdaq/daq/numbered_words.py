"""Numbered payloads whose every word can be checked by one sum: for measurements."""

from typing import Any, Final

import numpy as np

_MIX: Final = 0x9E3779B97F4A7C15

Words = np.ndarray[Any, np.dtype[np.uint64]]


def make_words(size: int) -> Words:
    """A payload of ``size`` bytes, rounded down to whole words: a pattern, not zeros."""
    return np.arange(size // 8, dtype=np.uint64)


def number_words(words: Words, number: int) -> None:
    """Write a message's number into its first word, and what follows from it into its last."""
    words[0] = number
    words[-1] = number ^ _MIX


def number_many(words: Words, numbers: Words) -> None:
    """The same for many payloads, shape (payloads, words), and as many numbers."""
    words[:, 0] = numbers
    words[:, -1] = numbers ^ np.uint64(_MIX)


def is_whole(words: Words) -> bool:
    """Whether every word is what the number says: checked by one sum over all of them."""
    number, inner = int(words[0]), len(words) - 2
    expected = number + (number ^ _MIX) + inner * (inner + 1) // 2
    return int(words.sum(dtype=np.uint64)) == expected % 2**64


def are_whole(words: Words) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """The same for many payloads, shape (payloads, words)."""
    numbers, inner = words[:, 0], words.shape[1] - 2
    expected = numbers + (numbers ^ np.uint64(_MIX)) + np.uint64(inner * (inner + 1) // 2)
    whole: np.ndarray[Any, np.dtype[np.bool_]] = words.sum(axis=1, dtype=np.uint64) == expected
    return whole
