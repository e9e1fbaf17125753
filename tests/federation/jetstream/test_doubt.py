"""When a message counts as lost: after half a minute of one answer, and never after less."""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from enrgdaq.federation.jetstream.doubt import ASK_AGAIN_SECONDS, Doubts
from enrgdaq.federation.jetstream.reader_line import Facts
from enrgdaq.federation.jetstream.receiver import DAQJobNatsReceiver
from tests.federation.jetstream.near import Near, Stream, held, near

__all__ = ["near"]

LINE, CREATED, NUMBER = object(), "then", 7
FIRST = 3


def hear(
    doubts: Doubts,
    now: float,
    *,
    line: object = LINE,
    created: str = CREATED,
    number: int = NUMBER,
    first: int = FIRST,
) -> int | None:
    return doubts.hear("x-data-spoke", line, created, number, first=first, now=now)


def test_half_a_minute_of_the_same_answer_is_believed() -> None:
    doubts = Doubts()
    for now in range(0, 30, 5):
        assert hear(doubts, now, first=9 if now else 2) is None
        assert not doubts.may_ask("x-data-spoke", NUMBER, now + ASK_AGAIN_SECONDS - 0.1)
        assert doubts.may_ask("x-data-spoke", NUMBER, now + ASK_AGAIN_SECONDS)
    assert hear(doubts, 30) == 2


@pytest.mark.parametrize(
    "changed", [{"line": object()}, {"created": "later"}, {"number": NUMBER + 1}]
)
def test_another_line_stream_or_message_begins_anew(changed: dict[str, Any]) -> None:
    doubts = Doubts()
    for now in range(0, 30, 5):
        assert hear(doubts, now) is None
    for now in range(30, 60, 5):
        assert hear(doubts, now, **changed) is None
    assert hear(doubts, 60, **changed) == FIRST


def test_two_single_answers_prove_nothing() -> None:
    """As when the mirror ring was full in between, and nothing was asked."""
    doubts = Doubts()
    assert hear(doubts, 100) is None
    assert hear(doubts, 135) is None
    assert hear(doubts, 140) is None


def test_what_a_stream_said_before_it_was_unknown_does_not_count() -> None:
    doubts = Doubts()
    for now in range(0, 30, 5):
        assert hear(doubts, now) is None
    doubts.forget("x-data-spoke")
    assert doubts.may_ask("x-data-spoke", NUMBER, 26)
    assert hear(doubts, 30) is None


def test_a_receiver_gives_up_only_what_one_line_denied_all_the_time(
    near: Near, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Stream()
    for number in range(3):
        stream.send([held(number)])
    near.begin(3)
    near.take(stream.messages[1])
    job = object.__new__(DAQJobNatsReceiver)
    job._doubts = Doubts()

    def deny(line: Any, now: float) -> int:
        monkeypatch.setattr(time, "monotonic", lambda: now)
        job._doubt(line, near.reading, 2)
        return near.reading.next

    one, two = (SimpleNamespace(facts={"x-data-spoke": Facts("", 3, 3, False)}) for _ in range(2))
    assert [deny(one, 0), deny(two, 35)] == [2, 2]
    for now in range(40, 65, 5):
        assert deny(two, now) == 2
    assert deny(two, 65) == 3
