"""What a line makes of deliveries, and of a consumer that does not deliver."""

import time
from collections import Counter, deque
from threading import Condition
from types import SimpleNamespace
from typing import Any

from enrgdaq.federation.jetstream.arrival import Arrived
from enrgdaq.federation.jetstream.messages import PLACE_HEADER, Place, write_place
from enrgdaq.federation.jetstream.reader_line import ReaderLine
from enrgdaq.federation.jetstream.unacknowledged import Unacknowledged
from tests.federation.jetstream.near import LOG, held
from tests.federation.jetstream.test_publishing import Sender, sender

__all__ = ["sender"]
FOR_EVER = 1e12


def test_only_the_newest_delivery_of_a_message_is_kept() -> None:
    waiting = Unacknowledged()
    waiting.hear("a", 1, "first", 0.0)
    waiting.hear("a", 1, "again", 1.0)
    waiting.hear("b", 1, "other", 2.0)
    assert waiting.since(2.0) == ["again"]
    assert waiting.since(3.0) == ["again", "other"]
    waiting.end("first")
    assert waiting.since(3.0) == ["again", "other"]
    waiting.end("again")
    assert waiting.since(3.0) == ["other"]


def test_what_a_stream_delivered_before_it_began_is_forgotten() -> None:
    waiting = Unacknowledged()
    for number in range(10):
        waiting.hear("a", number, f"a.{number}", 0.0)
        waiting.hear("b", number, f"b.{number}", 0.0)
    waiting.begin("a")
    assert waiting.since(FOR_EVER) == [f"b.{number}" for number in range(10)]
    waiting.begin("b")
    assert not waiting._places


def test_a_line_keeps_one_delivery_of_each_message() -> None:
    line = object.__new__(ReaderLine)
    line._unacknowledged, line._changed = Unacknowledged(), Condition()
    line._came, line._counts = deque(), Counter()
    pull: Any = SimpleNamespace(got=0)
    headers = {PLACE_HEADER: write_place(Place(0, 64, 1, 1, 4))}
    for delivered in range(1, 4):
        reply = f"$JS.ACK.stream.hub.{delivered}.7.{delivered}.0.0"
        message: Any = SimpleNamespace(reply=reply, subject="1" * 32, headers=headers, data=b"")
        line._hear("stream", pull, message)
    assert line._unacknowledged.since(FOR_EVER) == ["$JS.ACK.stream.hub.3.7.3.0.0"]
    again = [one.is_again for _, one in line._came if isinstance(one, Arrived)]
    assert again == [False, True, True]


def test_a_consumer_that_is_made_anew_begins_where_it_is_told(sender: Sender) -> None:
    out = sender.line()
    for number in range(4):
        sender.send(out, held(number))
    line = ReaderLine(sender.connect(), sender.settings, "hub", LOG)
    came: list[int] = []

    def take_until(numbers: list[int]) -> None:
        deadline = time.monotonic() + 15
        while came != numbers:
            assert time.monotonic() < deadline
            came.extend(one.sequence for _, one in line.take(0.1) if isinstance(one, Arrived))

    take_until([1, 2, 3, 4])
    line.renew(sender.stream, 3)
    sender.send(out, held(4))
    take_until([1, 2, 3, 4, 5, 3, 4, 5])
    line.close()
    out.close()
