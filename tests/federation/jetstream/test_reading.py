"""What a node makes of a stream: all once and in order, however it is delivered."""

import random
from pathlib import Path

import pytest

from enrgdaq.errors import TransportError
from enrgdaq.federation.jetstream.messages import read_place
from enrgdaq.federation.unpacking import HEADER_ROOM
from enrgdaq.transport.ring import RingWriter
from tests.federation.jetstream.near import Near, Stream, held, near
from tests.transport.rings import make_ring

__all__ = ["near"]


@pytest.mark.parametrize("seed", range(5))
def test_order_is_that_of_the_stream_whatever_that_of_delivery(near: Near, seed: int) -> None:
    stream, draw = Stream(), random.Random(seed)
    for number in range(0, 60, 2):
        stream.send([held(number, 40), held(number + 1, 40)], largest=draw.choice((90, 10_000)))
    near.begin(len(stream.messages))
    messages = list(stream)
    while messages:
        window = messages[:8]
        one = draw.choice(window)
        near.take(one)
        if draw.random() < 0.8:
            messages.remove(one)
    for one in stream:
        near.take(one._replace(is_again=True))
    assert near.numbers == list(range(60))
    assert set(near.acknowledged) == {one.reply for one in stream}
    assert near.reading.figures.redelivered == len(stream.messages)


def test_nothing_is_acknowledged_before_it_is_whole(near: Near) -> None:
    stream = Stream()
    stream.send([held(0, 400)], largest=200)
    near.begin(len(stream.messages))
    *first, last = stream
    for one in first:
        near.take(one)
    assert near.acknowledged == []
    near.take(last)
    assert near.numbers == [0]
    assert near.acknowledged == [one.reply for one in stream]


def test_half_a_batch_is_superseded_by_the_whole(near: Near) -> None:
    stream = Stream()
    stream.send([held(0, 400)], largest=200, only=2)
    stream.send([held(0, 400), held(1, 400)], largest=300)
    near.begin(len(stream.messages))
    for one in stream:
        near.take(one)
    assert near.numbers == [0, 1]
    assert len(near.acknowledged) == len(stream.messages)


def test_a_restart_goes_on_where_it_was_and_asks_for_what_was_under_way(near: Near) -> None:
    stream = Stream.of(6)
    near.begin(6)
    for number in (1, 2):
        near.take(stream.messages[number])
    near.start()
    near.begin(6, delivered=4)
    near.take(stream.messages[5])
    for number in (3, 4):
        assert near.reading.missing == number
        near.take(stream.messages[number]._replace(reply=""))
    assert near.reading.missing is None
    near.take(stream.messages[6])
    assert near.numbers == list(range(6))


def test_what_a_consumer_forgot_is_asked_for_after_a_while(near: Near) -> None:
    stream = Stream.of(2)
    near.begin(2)
    assert near.reading.missing is None
    near.now += 60
    assert near.reading.missing == 1
    near.take(stream.messages[1])
    near.reading.hurry()
    assert near.reading.missing == 2


def test_what_comes_after_a_long_silence_is_not_late(near: Near) -> None:
    stream = Stream()
    stream.send([held(0)])
    near.begin(1)
    near.take(stream.messages[1])
    near.now += 600
    near.reading.look_at(2)
    assert near.reading.missing is None
    near.now += 60
    assert near.reading.missing == 2


def test_what_the_stream_has_lost_is_said(near: Near, caplog: pytest.LogCaptureFixture) -> None:
    stream = Stream.of(5)
    near.begin(5)
    near.take(stream.messages[1])
    near.start()
    near.begin(5, delivered=1)
    near.take(stream.messages[4])
    assert near.reading.missing is None
    near.now += 60
    assert near.reading.missing == 2
    near.reading.give_up(4)
    assert "messages 2 to 3 were never read here and are gone (2)" in caplog.text


def test_a_stream_that_began_long_ago_is_read_from_where_it_begins(
    near: Near, caplog: pytest.LogCaptureFixture
) -> None:
    stream = Stream.of(5)
    near.begin(5, first=4)
    near.now += 60
    assert near.reading.missing == 1
    near.reading.give_up(4)
    assert near.reading.missing is None
    for number in (4, 5):
        near.take(stream.messages[number])
    assert near.numbers == [3, 4]
    assert not caplog.text


def test_a_stream_of_the_same_name_begins_anew(near: Near) -> None:
    old, new = Stream.of(3), Stream()
    near.begin(3)
    for one in old:
        near.take(one)
    new.send([held(2)])
    new.send([held(3)])
    near.begin(2, created="later")
    for one in new:
        near.take(one)
    assert near.numbers == [0, 1, 2, 3]


def test_a_server_that_lost_the_end_of_a_stream_counts_anew(near: Near) -> None:
    stream, after = Stream.of(4), Stream()
    near.begin(4)
    for number in (1, 2):
        near.take(stream.messages[number])
    near.take(stream.messages[4])
    after.send([held(0)])
    after.send([held(5), held(6)])
    near.take(after.messages[2])
    assert near.restarts == 1
    assert near.numbers == [0, 1, 5, 6]
    near.take(after.messages[2])
    assert near.restarts == 1
    # Not number 4, which waits no more: it may be that of something else by now.
    assert near.acknowledged == ["reply.1", "reply.2", "reply.2", "reply.2"]


def test_a_new_line_goes_on_where_a_stream_that_counts_anew_was_read(near: Near) -> None:
    stream, after = Stream.of(4), Stream()
    near.begin(4)
    for one in stream:
        near.take(one)
    after.send([held(0)])
    after._before = 256
    after.send([held(4)])
    near.take(after.messages[2])
    near.begin(2)
    assert (near.reading.committed, near.reading.next, near.reading.missing) == (2, 3, None)
    assert near.numbers == [0, 1, 2, 3, 4]


def test_messages_that_overlap_bring_each_record_once(near: Near) -> None:
    """Two of them are taken before the first is in the mirror ring."""
    stream = Stream()
    stream.send([held(number) for number in range(4)])
    stream._before = 0
    stream.send([held(number) for number in range(6)])
    near.begin(2)
    for one in stream:
        near.reading.take(one)
    for taken in near.reading.ready:
        near.write(taken)
    assert near.numbers == list(range(6))
    figures = near.reading.figures
    assert (figures.messages, figures.repeated, figures.bytes) == (6, 4, 24)
    assert not near.reading.ends._unpacked


def test_what_was_unpacked_and_not_written_comes_with_the_stream_that_is_made_anew(
    near: Near,
) -> None:
    stream = Stream()
    stream.send([held(0), held(1)])
    near.begin(1)
    near.reading.take(stream.messages[1])
    near.begin(1, created="later")
    near.take(stream.messages[1])
    assert near.numbers == [0, 1]


@pytest.mark.parametrize(("size", "megabytes"), [(20_000_000, 39), (1_000_000, 2)])
def test_a_message_that_has_no_room_is_not_passed_by(near: Near, size: int, megabytes: int) -> None:
    stream = Stream()
    stream.send([held(0, size)], largest=1 << 19)
    stream.send([held(1)])
    near.begin(len(stream.messages))
    with pytest.raises(TransportError, match=rf"mirror_size_mb = {megabytes} or more"):
        for one in stream:
            near.take(one)
    with pytest.raises(TransportError, match="does not fit"):
        near.take(stream.messages[len(stream.messages)])
    assert near.numbers == []
    assert near.acknowledged == []


def test_what_is_taken_fits_into_the_mirror_ring_to_the_byte(near: Near, tmp_path: Path) -> None:
    ring = make_ring(tmp_path / "ring", 1 << 20, is_mirror=True)
    ring.attach("test")
    writer, half = RingWriter(ring), ring.capacity // 2
    refused = 0
    for size in range(half - 512, half, 16):
        near.start(largest_bytes=half - HEADER_ROOM)
        near.begin(1, created=str(size))
        stream = Stream()
        stream.send([held(size, size)], largest=1 << 20)
        try:
            near.reading.take(stream.messages[1])
        except TransportError:
            refused += 1
            continue
        (record,) = near.reading.ready[0].records
        writer.check_size(len(record.header), len(record.payload))
    assert 0 < refused < 32
    ring.close()


@pytest.mark.parametrize(
    "text", ["", "1 2", "1 5 4 1 1 9", "2 0 4 1 1 9", "1 0 4 2 1 9", "1 0 ٤ 1 1 9"]
)
def test_a_place_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(TransportError):
        read_place(text)
