"""What jobs print reaches no terminal raw."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrgdaq.text import LONGEST_LINE, clean, clean_lines


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]52;c;ZWNobw==\x1b\\text", "text"),
        ("\x1bPdevice\x1b\\text", "text"),
        ("\x9b31mred", "31mred"),
        ("a\x00b\x08c\x7fd", "abcd"),
        ("tab\there", "tab here"),
        ("\u202eesrever", "esrever"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("\ud800lone", "lone"),
    ],
)
def test_control_sequences_are_taken_out(raw: str, shown: str) -> None:
    assert clean(raw) == shown


@given(st.text())
def test_nothing_but_text_is_left(raw: str) -> None:
    assert all(ord(c) >= 32 and not 0x7F <= ord(c) < 0xA0 for c in clean(raw))


def test_long_lines_are_cut() -> None:
    assert len(clean("x" * 100_000)) < LONGEST_LINE + 20


def test_carriage_returns_do_not_overwrite() -> None:
    assert clean_lines("10 %\r20 %\n") == ["10 %", "20 %"]
