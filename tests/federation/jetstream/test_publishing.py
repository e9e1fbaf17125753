"""What a sender's stream holds when others, dead or alive, write into it too."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import nats
import pytest

from enrgdaq.daq.store.floor import FreeSpaceFloor
from enrgdaq.errors import ServerAwayError
from enrgdaq.federation.batching import Held
from enrgdaq.federation.jetstream import api, names, nats_line
from enrgdaq.federation.jetstream.arrival import Arrived
from enrgdaq.federation.jetstream.connection import Connection
from enrgdaq.federation.jetstream.login import Login
from enrgdaq.federation.jetstream.messages import (
    ID_HEADER,
    LAST_ID_HEADER,
    LAST_SEQUENCE_HEADER,
    PLACE_HEADER,
    Place,
    read_place,
)
from enrgdaq.federation.jetstream.nats_line import NatsLine
from enrgdaq.federation.jetstream.publishing import OutOfStepError, Published, Publisher
from enrgdaq.federation.jetstream.unread import Unread
from enrgdaq.federation.jetstream.wants import (
    VERSION,
    HasRead,
    Want,
    say_progress,
    say_want,
    wants_of_others,
)
from enrgdaq.models import FederationNatsConfig
from tests.federation.jetstream.near import HOME, LOG, RING, Near, held, near
from tests.private_servers import private_nats
from tests.servers import NatsNames

__all__ = ["near"]
NODE = HOME.supervisor.supervisor_id


class Sender:
    """A node that sends, and a connection to look at its stream."""

    def __init__(self, nats_names: NatsNames, folder: Path, replicas: Literal[1, 3] = 1) -> None:
        self.names = nats_names
        self.settings = FederationNatsConfig(
            servers=[nats_names.url], prefix=nats_names.prefix, replicas=replicas
        )
        self.near = self.connect()
        self.stream = names.data_stream(nats_names.prefix, NODE)
        self.folder = folder
        self.unread = Unread(folder, FreeSpaceFloor(folder, 0))
        want = Want(version=VERSION, node="hub", topics=["x"], largest_bytes=1 << 30)
        self.near.call(wants_of_others(self.near, self.settings, "hub", LOG))
        self.near.call(say_want(self.near, self.settings, want))

    def close(self) -> None:
        self.near.close()
        self.unread.close()

    def connect(self) -> Connection:
        return Connection(Login([self.names.url]), name="test", timeout_seconds=5.0)

    def line(self) -> NatsLine:
        return NatsLine(
            self.connect(),
            self.settings,
            NODE,
            self.unread,
            logging.getLogger("test"),
            patience_seconds=0.0,
        )

    def send(self, line: NatsLine, *records: Held) -> None:
        line.send(records, bool)

    def intrude(self, number: int, **headers: str) -> api.PubAck:
        """Store something that this line knows nothing of, as a late message would be."""
        subject = names.data_subject(self.names.prefix, NODE, "f" * 32)
        said = {name.replace("_", "-"): value for name, value in headers.items()}

        async def publish() -> bytes:
            said[ID_HEADER] = f"late {number}"
            message = await self.near.client.request(subject, b"late", headers=said, timeout=5)
            return bytes(message.data)

        return api.decode(api.PubAck, self.near.call(publish()))

    def places(self) -> dict[int, Place]:
        """What the stream has of the ring, by its numbers."""
        found = {}
        for number in range(1, self.info().state.last_seq + 1):
            with contextlib.suppress(ServerAwayError):
                answer = self.ask(api.MessageAnswer, "STREAM.MSG.GET", seq=number)
                assert answer.message is not None
                if answer.message.subject.endswith(RING):
                    headers = api.headers_of(answer.message.hdrs)
                    found[number] = read_place(headers[PLACE_HEADER])
        return found

    def numbers(self) -> list[int]:
        """Under which numbers it has them."""
        return list(self.places())

    def info(self) -> api.StreamInfo:
        return self.ask(api.StreamInfo, "STREAM.INFO")

    def delete(self, number: int) -> None:
        """Lose a message that was acknowledged."""
        self.ask(api.Answer, "STREAM.MSG.DELETE", seq=number)

    def say_read(self, number: int, rings: dict[str, int], lacks: Sequence[str] = ()) -> None:
        """Say what a reader would."""
        said = HasRead(
            node="hub",
            created=self.info().created,
            number=number,
            rings=rings,
            lacks=list(lacks),
        )
        self.near.call(say_progress(self.near, self.settings, NODE, said))

    def ask(self, kind: type[api.AnswerT], what: str, **request: int) -> api.AnswerT:
        return self.near.call(self.near.ask(kind, f"{what}.{self.stream}", request))


def look_until(line: NatsLine, is_so: Callable[[], bool]) -> None:
    """Look as a job does."""
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        line.look()
        time.sleep(0.02)


@pytest.fixture
def sender(nats_names: NatsNames, tmp_path: Path) -> Iterator[Sender]:
    made = Sender(nats_names, tmp_path / "unread")
    yield made
    made.close()


def test_a_line_goes_on_behind_what_it_did_not_send(sender: Sender) -> None:
    line = sender.line()
    sender.send(line, held(0))
    assert sender.intrude(1).seq == 2
    sender.send(line, held(1))
    sender.send(line, held(2))
    line.close()
    assert sender.numbers() == [1, 3, 4]


def test_what_is_stored_is_not_sent_again_by_the_next_line(sender: Sender) -> None:
    line = sender.line()
    sender.send(line, held(0), held(1))
    line.close()
    line = sender.line()
    sender.send(line, held(0), held(1), held(2))
    line.close()
    assert sender.numbers() == [1, 2]


def test_what_is_sent_again_has_another_id(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    """A leader remembers the id of a message that it has lost, and refuses it for two minutes."""
    line, ids = sender.line(), []
    publish = line._publisher.publish

    def lose_the_first(message: Published, give_up: Callable[[], bool]) -> None:
        ids.append(message.message_id)
        if len(ids) == 1:
            raise OutOfStepError("is storing it")
        publish(message, give_up)

    monkeypatch.setattr(line._publisher, "publish", lose_the_first)
    sender.send(line, held(0))
    sender.send(line, held(1))
    line.close()
    assert (ids[0], ids[2]) == (f"{RING}:0-64", f"{RING}:64-128")
    assert ids[1].startswith(f"{ids[0]}:")
    assert sender.numbers() == [1, 2]


def leader_of(sender: Sender) -> str:
    """Empty while there is none: then nobody answers either."""
    try:
        cluster = sender.info().cluster
    except ServerAwayError:
        return ""
    return cluster.leader if cluster is not None else ""


def test_a_leader_that_refuses_everything_is_asked_to_step_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_line, "_MOST_STEPS", 2)
    with private_nats(tmp_path, 3) as cluster:
        there: Any = SimpleNamespace(url=cluster.urls[0], prefix="x")
        sender = Sender(there, tmp_path / "unread", replicas=3)
        line = sender.line()
        before = sender.info().cluster
        assert before is not None
        with monkeypatch.context() as patched:
            # As wrong about the stream's end as such a leader is.
            patched.setattr(Publisher, "step_to", lambda publisher, last: None)
            line._publisher.last_sequence = 7
            with pytest.raises(ServerAwayError, match="2 times: somebody else writes there too"):
                sender.send(line, held(0))
        line.close()
        deadline = time.monotonic() + 40
        while leader_of(sender) in ("", before.leader):
            assert time.monotonic() < deadline
        line = sender.line()
        sender.send(line, held(0))
        assert sender.numbers() == [1]
        line.close()
        sender.close()


def test_the_server_takes_a_message_behind_its_own_predecessor_only(sender: Sender) -> None:
    """What the order of a stream rests on: the number alone would let a message in."""
    line = sender.line()
    sender.send(line, held(0))
    line.close()
    sender.intrude(1)
    refused = sender.intrude(2, **{LAST_SEQUENCE_HEADER: "2", LAST_ID_HEADER: "another"})
    assert refused.error is not None
    assert refused.error.err_code == api.WRONG_LAST_ID
    assert sender.intrude(3, **{LAST_SEQUENCE_HEADER: "2", LAST_ID_HEADER: "late 1"}).seq == 3


@pytest.mark.parametrize(("number", "what"), [(0, "is storing it"), (7, "has it already")])
def test_a_duplicate_counts_as_stored_only_with_its_number(number: int, what: str) -> None:
    """A leader knows an id before it has stored the message, and may lose it until then."""
    connection: Any = SimpleNamespace(inbox="_INBOX.x", address="server", timeout=1.0)
    connection.client = SimpleNamespace(publish=lambda *_, **__: "")
    connection.begin = lambda _: Future()
    publisher = Publisher(connection, "x-data-spoke", 10)
    publisher.publish(Published("x", b"", "id", ""), bool)
    said = b'{"stream": "x-data-spoke", "seq": %d, "duplicate": true}' % number
    answer: Any = SimpleNamespace(subject="_INBOX.x.ack.0", headers=None, data=said)
    publisher._take(answer)
    with pytest.raises(OutOfStepError, match=what):
        publisher.finish(bool)


def test_a_line_waits_for_room_and_then_goes_on(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender.settings.max_size_mb = 16
    line = sender.line()
    records = [held(number, 1_000_000) for number in range(30)]
    sender.send(line, *records[:12])
    reader = threading.Timer(0.5, sender.say_read, (sender.info().state.last_seq, {}))
    reader.start()
    sender.send(line, *records[12:24])
    reader.join()
    assert sender.numbers()[-1] == 24
    monkeypatch.setattr(nats_line, "_FULL_SECONDS", 0.3)
    with pytest.raises(ServerAwayError, match="is full"):
        sender.send(line, *records[24:])
    line.close()


def test_large_records_come_through_in_parts(sender: Sender, near: Near) -> None:
    line = sender.line()
    sender.send(line, held(0, 40), held(1, 2_500_000), held(2, 40))
    line.close()
    taken: list[Arrived] = []
    asyncio.run(_read_all(sender, taken))
    assert len(taken) == 5
    near.start(largest_bytes=4_000_000)
    near.begin(len(taken))
    for one in taken:
        near.take(one)
    assert near.numbers == [0, 1, 2]


def test_what_readers_lack_is_sent_again_and_then_let_go(sender: Sender) -> None:
    line = sender.line()
    for number in range(4):
        sender.send(line, held(number))
    sender.delete(2)
    sender.delete(3)
    line.look()
    assert sender.numbers() == [1, 4]
    sender.say_read(4, {RING: 64}, lacks=[RING])
    look_until(line, lambda: sender.numbers() == [1, 4, 5, 6, 7])
    ends = [(place.before, place.end) for place in sender.places().values()]
    assert ends[2:] == [(64, 128), (128, 192), (192, 256)]
    sender.say_read(7, {RING: 256})
    look_until(line, lambda: not sender.unread.bytes)
    assert not list(sender.folder.iterdir())
    sender.send(line, held(4))
    assert sender.numbers() == [1, 4, 5, 6, 7, 8]
    line.close()


def test_a_restart_does_not_hide_what_a_stream_has_lost(sender: Sender) -> None:
    """The stream's last message says less than was sent; what follows tells where that ended."""
    line = sender.line()
    sender.send(line, held(0))
    sender.send(line, held(1))
    line.close()
    sender.delete(2)
    sender.unread.close()
    sender.unread = Unread(sender.folder, FreeSpaceFloor(sender.folder, 0))
    line = sender.line()
    sender.send(line, held(2))
    line.close()
    ends = [(place.before, place.end) for place in sender.places().values()]
    assert ends == [(0, 64), (128, 192)]


def test_what_is_not_kept_any_more_holds_up_nobody(
    sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    line = sender.line()
    sender.send(line, held(0))
    sender.unread.release(lambda _: 64)
    sender.say_read(1, {}, lacks=[RING])
    look_until(line, lambda: "nothing of it is kept here" in caplog.text)
    sender.send(line, held(1))
    line.close()
    assert [(place.before, place.end) for place in sender.places().values()] == [(0, 64), (0, 128)]


@pytest.mark.parametrize("how", [{"keep_unread": False}, {"discard": "old"}, {"max_age_hours": 1}])
def test_where_nothing_is_kept_no_reader_waits_for_it(sender: Sender, how: dict[str, Any]) -> None:
    for key, value in how.items():
        setattr(sender.settings, key, value)
    line = sender.line()
    sender.send(line, held(0))
    sender.send(line, held(1))
    line.close()
    assert [(place.before, place.end) for place in sender.places().values()] == [(0, 64), (0, 128)]
    assert not sender.unread.bytes


async def _read_all(sender: Sender, into: list[Arrived]) -> None:
    client = await nats.connect(sender.names.url)
    try:
        found = await client.jetstream().pull_subscribe_bind("hub", sender.stream)
        for message in await found.fetch(10, timeout=1):
            place = read_place((message.headers or {})[PLACE_HEADER])
            number = message.metadata.sequence.stream
            ring_uuid = message.subject.rpartition(".")[2]
            into.append(Arrived(number, False, ring_uuid, place, message.data, message.reply))
    finally:
        await client.close()
