"""When a sender believes that its stream has lost what readers say they do not have."""

from enrgdaq.federation.jetstream.missing import Missing
from enrgdaq.federation.jetstream.wants import HasRead

RING = "1" * 32


class Sender:
    """Sent a ring up to 500, with message 40 as the stream's last one."""

    def __init__(self) -> None:
        self.missing = Missing()

    def look(
        self,
        now: float,
        *,
        number: int,
        have: int = 100,
        lacks: bool = False,
        created: str = "then",
        last: int = 40,
        published: int = 40,
    ) -> int | None:
        """From where the ring is to be sent again, by what a reader says."""
        said = HasRead(
            node="hub",
            created=created,
            number=number,
            rings={RING: have},
            lacks=[RING] if lacks else [],
        )
        found = self.missing.rings(
            [said], {RING: 500}, created="then", last=last, published=published, now=now
        )
        return found.get(RING)


def test_a_gap_is_sent_at_once_and_again_only_when_readers_have_come_to_it() -> None:
    sender = Sender()
    assert sender.look(0, number=20, lacks=True) == 100
    sender.missing.note_sent(RING, 50, 1)
    assert sender.look(100, number=49, last=60, lacks=True) is None
    assert sender.look(101, number=50, last=60, lacks=True) is None
    assert sender.look(110, number=55, last=60, lacks=True) == 100


def test_what_does_not_help_is_done_less_and_less_often() -> None:
    sender, now, waits = Sender(), 0.0, []
    sender.look(now, number=50, lacks=True)
    for _ in range(9):
        sender.missing.note_sent(RING, 40, now)
        sent_at = now
        while sender.look(now, number=50, lacks=True) is None:
            now += 1
        waits.append(now - sent_at)
    assert waits == [10, 20, 40, 80, 160, 320, 600, 600, 600]


def test_a_stream_that_counts_anew_is_compared_with_its_end() -> None:
    sender = Sender()
    sender.look(0, number=20, lacks=True)
    sender.missing.note_sent(RING, 50, 1)
    assert sender.look(11, number=30, last=30, lacks=True) == 100


def test_a_reader_that_stands_at_the_end_lacks_something() -> None:
    sender = Sender()
    assert sender.look(0, number=40) is None
    assert sender.look(9, number=40) is None
    assert sender.look(10, number=40) == 100
    sender.missing.note_sent(RING, 50, 11)
    assert sender.look(20, number=50, last=50) is None
    assert sender.look(21, number=50, last=50) == 100


def test_a_reader_that_gets_on_or_is_on_its_way_lacks_nothing() -> None:
    sender = Sender()
    for now, have in enumerate(range(100, 500, 10)):
        assert sender.look(now, number=40, have=have) is None
    for now in range(40, 80):
        assert sender.look(now, number=39, have=490) is None
    assert sender.look(80, number=40, have=490, created="before") is None
    assert sender.look(100, number=40, have=500) is None


def test_what_other_rings_send_meanwhile_hides_nothing() -> None:
    """The reader is always a little behind the end of a stream that goes on."""
    sender = Sender()
    for now in range(10):
        last = 40 + 10 * now
        assert sender.look(now, number=last - 5, last=last, published=last) is None
    assert sender.look(14, number=170, last=180, published=180) == 100


def test_a_new_line_waits_until_readers_have_come_to_what_it_found() -> None:
    """What they said last may be old, and what they lack on its way."""
    sender = Sender()
    sender.missing = Missing(40)
    assert sender.look(0, number=5, last=60, lacks=True) is None
    assert sender.look(50, number=39, last=60, lacks=True) is None
    assert sender.look(51, number=40, last=60, lacks=True) == 100


def test_a_ring_is_sent_from_where_the_first_of_its_readers_is() -> None:
    said = [
        HasRead(node=node, created="then", number=40, rings={RING: have}, lacks=[RING])
        for node, have in (("hall", 300), ("hub", 100), ("room", 200))
    ]
    found = Missing().rings(said, {RING: 500}, created="then", last=40, published=40, now=0)
    assert found == {RING: 100}


def test_a_gap_is_answered_also_where_nothing_is_kept() -> None:
    said = HasRead(node="hub", created="then", number=40, lacks=[RING])
    assert Missing().rings([said], {}, created="then", last=40, published=40, now=0) == {RING: 0}
