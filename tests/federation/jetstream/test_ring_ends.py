"""What a node does about a ring of which something is missing in the stream."""

import pytest

from tests.federation.jetstream.near import RING, Near, Stream, held, near

__all__ = ["near"]


def test_nothing_is_taken_behind_a_gap_before_it_is_sent_again(
    near: Near, caplog: pytest.LogCaptureFixture
) -> None:
    """A stream has lost its second message, and has the others under the same numbers as ever."""
    stream = Stream.of(4)
    del stream.messages[2]
    near.begin(4)
    near.take(stream.messages[1])
    near.reading.give_up(3)
    for number in (3, 4, 4):
        near.take(stream.messages[number])
    assert near.numbers == [0]
    assert list(near.reading.ends.lacks) == [RING]
    assert (near.reading.committed, near.restarts) == (4, 0)
    assert f"lost before 128 of ring {RING}" in caplog.text
    stream._before = near.reading.ends.newest()[RING]
    stream.send([held(number) for number in (1, 2, 3, 4)])
    near.take(stream.messages.pop(4)._replace(sequence=5))
    assert near.numbers == list(range(5))
    assert not near.reading.ends.lacks


def test_the_beginning_of_a_ring_is_missed_by_those_who_were_there(near: Near) -> None:
    stream = Stream()
    stream._before = 64
    stream.send([held(1)])
    near.begin(1)
    near.take(stream.messages[1])
    assert (near.numbers, list(near.reading.ends.lacks)) == ([], [RING])


def test_a_node_that_came_late_misses_the_beginnings_of_later_rings(near: Near) -> None:
    stream = Stream.of(3)
    near.begin(3, first=3)
    assert not near.reading.ends.knows_beginnings
    near.reading.give_up(3)
    near.take(stream.messages[3])
    near.reading.look_at(3)
    assert near.reading.ends.knows_beginnings


def test_nonsense_is_asked_for_again_and_passed_the_second_time(
    near: Near, caplog: pytest.LogCaptureFixture
) -> None:
    stream = Stream()
    stream.send([held(0)])
    stream.send([held(1)])
    wrong = stream.messages[1]._replace(data=b"\xff" * 40)
    near.begin(4)
    near.take(wrong)
    near.take(stream.messages[2])
    assert (near.numbers, list(near.reading.ends.lacks)) == ([], [RING])
    near.reading.take(wrong._replace(sequence=3))
    near.reading.take(stream.messages[2]._replace(sequence=4))
    for taken in near.reading.ready:
        near.write(taken)
    assert (near.numbers, near.reading.ends.lacks) == ([1], {})
    assert "message 1 dropped" in caplog.text
    assert near.reading.committed == 4
