"""One checksum wherever the bytes are cut, another one for other bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrgdaq.daq.store.checksum import checksum, checksum_of, in_few_pieces

WORDS = np.random.default_rng(1).integers(1, 2**63, 5_000).astype(np.uint64)
DATA = WORDS.tobytes()


@given(st.lists(st.integers(0, len(WORDS)), max_size=20), st.integers(0, len(WORDS)))
def test_it_does_not_depend_on_the_cuts(cuts: list[int], length: int) -> None:
    data = DATA[: 8 * length]
    ends = sorted({min(8 * cut, len(data)) for cut in cuts} | {len(data)})
    pieces = [data[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    assert checksum(pieces) == checksum([data])


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_an_altered_byte_is_found(at: int, change: int) -> None:
    altered = bytearray(DATA)
    altered[at] ^= change
    assert checksum([altered]) != checksum([DATA])
    assert checksum_of(bytes(altered)) != checksum_of(DATA)


@given(st.integers(0, len(DATA) - 1))
def test_a_piece_of_any_length_has_one_of_its_own(length: int) -> None:
    assert checksum_of(DATA[:length]) != checksum_of(DATA)
    assert checksum_of(DATA[:length] + bytes(len(DATA) - length)) != checksum_of(DATA)


@pytest.mark.parametrize(
    "other",
    [
        DATA[:-8],
        bytes(4096) + DATA[4096:],
        DATA[4096:8192] + DATA[:4096] + DATA[8192:],
        DATA[:4096] + DATA[:4096] + DATA[8192:],
    ],
    ids=["cut", "zeroed", "swapped", "doubled"],
)
def test_blocks_that_are_not_where_they_were_are_found(other: bytes) -> None:
    assert checksum([other]) != checksum([DATA])
    assert checksum_of(other) != checksum_of(DATA)


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_few_pieces_hold_the_same_bytes(small: list[bytes]) -> None:
    pieces: list[bytes] = []
    at = 0
    for piece in small:
        if len(piece) >= 16:  # large ones are aligned
            pieces.append(bytes(-at % 8))
            at += -at % 8
        pieces.append(piece)
        at += len(piece)
    pieces.append(bytes(-at % 8))
    found = in_few_pieces(pieces, least=16)
    assert b"".join(found) == b"".join(pieces)
    assert all(len(piece) % 8 == 0 for piece in found)
