"""What is in hand, and rings that end, as a consumer reads."""

import logging
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from enrgdaq.daq.consume import MessageStream, handle_each
from enrgdaq.daq.counters import Counters
from enrgdaq.daq.inbox import Inbox
from enrgdaq.daq.models import DAQJobMessage
from enrgdaq.daq.spec import SourceRing
from enrgdaq.errors import RingCorruptError
from enrgdaq.models import SupervisorInfo
from enrgdaq.transport.ring import RingFile
from tests.daq.test_outbox import Pair, raw


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path)
    yield made
    made.outbox.close()
    made.inbox.close()


def stream_of(inbox: Inbox, folder: Path) -> MessageStream:
    log = logging.getLogger("test")
    return MessageStream("store", inbox, Counters(), [], folder / "aside", lambda _: None, log)


def in_hand(folder: Path) -> int:
    ring = RingFile.open(folder / "ring")
    found = ring.consumer(0).in_hand
    ring.close()
    return found


def test_a_record_is_in_hand_until_the_next_is_asked_for(pair: Pair, tmp_path: Path) -> None:
    for number in range(2):
        pair.outbox.publish(raw(number))
    ends = []
    for _, _, record, _ in stream_of(pair.inbox, tmp_path).read():
        assert in_hand(tmp_path) == record.end
        ends.append(record.end)
    assert len(ends) == 2
    assert in_hand(tmp_path) == 0


def test_what_a_handler_ends_at_stays_in_hand(pair: Pair, tmp_path: Path) -> None:
    pair.outbox.publish(raw(0))

    def fail(message: DAQJobMessage) -> bool:
        raise ValueError(message.id)

    with pytest.raises(ValueError, match="0:0"):
        handle_each(stream_of(pair.inbox, tmp_path), fail, lambda: True)
    assert in_hand(tmp_path) > 0


def test_the_record_before_a_broken_one_is_not_blamed(pair: Pair, tmp_path: Path) -> None:
    for number in range(2):
        pair.outbox.publish(raw(number))
    ring = RingFile.open(tmp_path / "ring")
    with pytest.raises(RingCorruptError):
        for _, _, record, _ in stream_of(pair.inbox, tmp_path).read():
            ring.data[record.end + 20] ^= 1
    ring.close()
    assert in_hand(tmp_path) == 0


def test_the_end_of_an_old_ring_is_no_harm(pair: Pair, tmp_path: Path) -> None:
    pair.outbox.publish(raw(0))
    old = RingFile.open(tmp_path / "ring")
    identity = msgspec.structs.replace(old.identity, uuid="1" * 32)
    old.close()
    following = RingFile.create(tmp_path / "following", identity)
    following.attach("memory")
    following.close()
    sources = [
        SourceRing(
            path=str(tmp_path / name),
            origins=str(tmp_path / "origins"),
            producer="source",
            producer_type="Test",
            is_old=name == "ring",
        )
        for name in ("ring", "following")
    ]
    node = SupervisorInfo(supervisor_id="test")
    inbox = Inbox(sources, "memory", node, tmp_path / "bell-2", for_store=False)
    handled = []

    def handle(message: DAQJobMessage) -> bool:
        handled.append(message.id)
        return True

    handle_each(stream_of(inbox, tmp_path), handle, lambda: not inbox.is_drained())
    assert len(handled) == 1
    inbox.close()
