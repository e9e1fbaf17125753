"""What a node makes of a stream: all once and in order, however it is delivered."""

import logging
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from enrgdaq.daq.mirrored import Home, unmirror
from enrgdaq.daq.outbox import PassedOn
from enrgdaq.errors import TransportError
from enrgdaq.federation.batching import Held, make_batch
from enrgdaq.federation.jetstream.arrival import Arrived
from enrgdaq.federation.jetstream.messages import parts, read_place, whole, write_place
from enrgdaq.federation.jetstream.reading import StreamReading, Taken
from enrgdaq.federation.positions import Positions
from enrgdaq.federation.unpacking import HEADER_ROOM
from enrgdaq.models import SupervisorInfo
from enrgdaq.transport.ring import Record, RecordKind, RingWriter
from tests.transport.rings import make_ring

RING = "0" * 31 + "1"
HOME = Home(
    ring_uuid=RING,
    producer="source",
    producer_type="DAQJobTest",
    supervisor=SupervisorInfo(supervisor_id="spoke"),
)
LOG = logging.getLogger("test")


def held(number: int, size: int = 4) -> Held:
    record = Record(
        start=64 * number,
        end=64 * (number + 1),
        sequence=number,
        kind=RecordKind.RAW,
        timestamp_ns=number,
        header=b"header",
        payload=memoryview(number.to_bytes(4, "little") * (size // 4)),
        messages=1,
    )
    return Held(HOME, record, ("store.DAQJobStoreCSV",))


class Stream:
    """What a sender's stream has, by its numbers."""

    def __init__(self) -> None:
        self.messages: dict[int, Arrived] = {}
        self._before = 0

    def send(self, records: list[Held], *, largest: int = 10_000, only: int | None = None) -> None:
        data = whole(make_batch("0" * 32, 0, records))
        end = records[-1].record.end
        for part in list(parts(data, self._before, end, largest))[:only]:
            number = len(self.messages) + 1
            place = read_place(write_place(part.place))
            arrived = Arrived(number, False, RING, place, part.data, f"reply.{number}")
            self.messages[number] = arrived
        if only is None:
            self._before = records[-1].record.end

    def __iter__(self) -> Iterator[Arrived]:
        return iter(self.messages.values())


class Near:
    """A reading, its mirror ring, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 0.0
        self.numbers: list[int] = []
        self.acknowledged: list[str] = []
        self.restarts = 0
        self.start()

    def start(self, *, largest_bytes: int = 100_000) -> None:
        self.positions = Positions(self.folder / "positions")
        self.reading = StreamReading(
            "spoke",
            "x-data-spoke",
            self.positions,
            largest_bytes=largest_bytes,
            log=LOG,
            clock=lambda: self.now,
        )

    def begin(
        self, last: int, *, first: int = 1, delivered: int = 0, created: str = "then"
    ) -> None:
        self.reading.begin(created, acknowledged=0, delivered=delivered, first=first, last=last)

    def take(self, arrived: Arrived) -> None:
        self.restarts += self.reading.counts_anew(arrived)
        self.reading.take(arrived)
        ready, self.reading.ready = self.reading.ready, []
        for taken in ready:
            self.write(taken)
        self.positions.save()
        self.acknowledged += self.reading.replies()

    def write(self, taken: Taken) -> None:
        self.numbers += [_number(record) for record in taken.records]
        self.reading.note(taken, len(taken.records))


def _number(passed: PassedOn) -> int:
    record = Record(
        start=0,
        end=0,
        sequence=0,
        kind=RecordKind(passed.kind),
        timestamp_ns=0,
        header=passed.header,
        payload=passed.payload,
        messages=1,
    )
    return unmirror(record).record.sequence


@pytest.fixture
def near(tmp_path: Path) -> Near:
    return Near(tmp_path)


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
    stream = Stream()
    for number in range(6):
        stream.send([held(number)])
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
    stream = Stream()
    for number in range(2):
        stream.send([held(number)])
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
    stream = Stream()
    for number in range(5):
        stream.send([held(number)])
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


def test_nothing_is_taken_behind_a_gap_before_it_is_sent_again(
    near: Near, caplog: pytest.LogCaptureFixture
) -> None:
    """A stream has lost its second message, and has the others under the same numbers as ever."""
    stream = Stream()
    for number in range(4):
        stream.send([held(number)])
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


def test_a_stream_that_began_long_ago_is_read_from_where_it_begins(
    near: Near, caplog: pytest.LogCaptureFixture
) -> None:
    stream = Stream()
    for number in range(5):
        stream.send([held(number)])
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
    old, new = Stream(), Stream()
    for number in range(3):
        old.send([held(number)])
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
    stream, after = Stream(), Stream()
    for number in range(4):
        stream.send([held(number)])
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
    stream, after = Stream(), Stream()
    for number in range(4):
        stream.send([held(number)])
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


def test_a_node_that_came_late_misses_the_beginnings_of_later_rings(near: Near) -> None:
    stream = Stream()
    for number in range(3):
        stream.send([held(number)])
    near.begin(3, first=3)
    assert not near.reading.ends.knows_beginnings
    near.reading.give_up(3)
    near.take(stream.messages[3])
    near.reading.look_at(3)
    assert near.reading.ends.knows_beginnings


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


@pytest.mark.parametrize(
    "text", ["", "1 2", "1 5 4 1 1 9", "2 0 4 1 1 9", "1 0 4 2 1 9", "1 0 ٤ 1 1 9"]
)
def test_a_place_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(TransportError):
        read_place(text)
