"""Messages into a real ring, and out of it as a store reads them."""

import datetime as dt
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from enrgdaq.daq.consume import MessageStream
from enrgdaq.daq.counters import Counters
from enrgdaq.daq.inbox import Inbox
from enrgdaq.daq.models import DAQJobMessage, DAQJobStopError
from enrgdaq.daq.outbox import Outbox, PassedOn
from enrgdaq.daq.raw_batch import batch_payload, blobs_of
from enrgdaq.daq.reservation import Reservation, table_layout
from enrgdaq.daq.spec import RecordSetAside, SourceRing
from enrgdaq.daq.store.models import (
    DAQJobMessageStorePyArrow,
    DAQJobMessageStoreRaw,
    DAQJobMessageStoreTabular,
    DAQJobStoreConfig,
    DAQJobStoreConfigMemory,
)
from enrgdaq.errors import CodecError, StoreError, TransportError
from enrgdaq.models import SupervisorInfo
from enrgdaq.transport.ring import RecordKind
from enrgdaq.transport.routes import Consumer, Routes, save_routes
from tests.transport.rings import make_ring

STORE = DAQJobStoreConfig(memory=DAQJobStoreConfigMemory())
CAPACITY = 1 << 20


class Pair:
    """A producer's outbox and the inbox of the one consumer of its ring."""

    def __init__(self, folder: Path) -> None:
        ring = self.ring = make_ring(folder / "ring", CAPACITY)
        ring.attach("memory")
        bell = folder / "bell"
        topics = ("store.DAQJobStoreMemory",)
        consumer = Consumer(name="memory", topics=topics, bell=str(bell))
        save_routes(folder / "routes", Routes(consumers=(consumer,)))
        self.stopping = threading.Event()
        self.announced: list[int] = []
        self.counters = Counters()
        self.outbox = Outbox(
            ring,
            folder / "routes",
            self.counters,
            self.stopping,
            [],
            logging.getLogger("test"),
            lambda staged: self.announced.extend(sequence for *_, sequence in staged),
        )
        source = SourceRing(
            path=str(folder / "ring"),
            origins=str(folder / "origins"),
            producer="source",
            producer_type="Test",
            is_old=False,
        )
        self.inbox = Inbox(
            [source], "memory", SupervisorInfo(supervisor_id="test"), bell, for_store=True
        )

    def received(self) -> list[Any]:
        """What has come in since the last call, in memory of its own."""
        messages: list[Any] = []
        for source, reader, record in self.inbox.read():
            sender, at_home = source.at_home(record)
            for message in sender.unpack(at_home):
                if isinstance(message, DAQJobMessageStorePyArrow):
                    message.table = message.copy_table()
                elif isinstance(message, DAQJobMessageStoreRaw):
                    message.data = bytes(message.data)
                messages.append(message)
            reader.commit(record.end)
        return messages


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path)
    yield made
    made.outbox.close()
    made.inbox.close()


def raw(number: int, size: int = 100) -> DAQJobMessageStoreRaw:
    return DAQJobMessageStoreRaw(store_config=STORE, data=number.to_bytes(4, "big") * (size // 4))


def test_a_batch_arrives_in_order_with_its_ids(pair: Pair) -> None:
    messages = [raw(number) for number in range(500)]
    pair.outbox.publish_many(messages)
    received = pair.received()
    assert [message.data for message in received] == [message.data for message in messages]
    assert [message.id for message in received] == [message.id for message in messages]
    assert len({message.id for message in messages}) == 500
    assert pair.announced == [0], "small messages share a record"
    assert pair.counters.messages_out == 500
    assert 50_000 <= pair.counters.bytes_out < 55_000


def test_a_batch_is_cut_where_its_messages_become_large_or_other(pair: Pair) -> None:
    sizes = [100] * 3 + [20_000] + [16_000] * 20 + [0, 1, 7, 8]
    messages = [
        DAQJobMessageStoreRaw(store_config=STORE, data=bytes([number]) * size)
        for number, size in enumerate(sizes)
    ]
    messages[1].tag = messages[2].tag = "a"
    pair.outbox.publish_many(messages)
    received = pair.received()
    assert [message.data for message in received] == [message.data for message in messages]
    assert [message.id for message in received] == [message.id for message in messages]
    assert [message.tag for message in received[:4]] == [None, "a", "a", None]
    assert len(pair.announced) == 5


def test_a_message_that_cannot_be_sent_ends_the_batch_before_it(pair: Pair) -> None:
    bad = DAQJobMessageStoreRaw(store_config=STORE, data="text")  # type: ignore[arg-type]
    with pytest.raises(CodecError, match="must be bytes, not str"):
        pair.outbox.publish_many([raw(0), raw(1), bad, raw(3)])
    assert [message.data for message in pair.received()] == [raw(0).data, raw(1).data]


@pytest.mark.parametrize("position", [0, 1, 4, 8, 9])
def test_a_damaged_batch_is_refused(position: int) -> None:
    blobs = [memoryview(b"abc"), memoryview(b"0123456789")]
    payload = batch_payload(blobs)
    space = bytearray(payload.length)
    assert payload.fill is not None
    payload.fill(memoryview(space))
    assert [bytes(blob) for blob in blobs_of(memoryview(space))] == [b"abc", b"0123456789"]
    space[position] ^= 0x40
    with pytest.raises(CodecError, match="batch of"):
        blobs_of(memoryview(space))


def test_what_is_passed_on_is_not_owed_to_the_way_back(pair: Pair) -> None:
    def record(number: int, not_to: str) -> PassedOn:
        payload = memoryview(b"%d" % number)
        topics = ("store.DAQJobStoreMemory",)
        return PassedOn(topics, b"header", RecordKind.RAW, payload, number, 1, not_to)

    records = [record(1, "memory"), record(2, "downlink.x"), record(3, "memory")]
    assert pair.outbox.pass_on(records) == 3
    assert [bytes(record.payload) for _, _, record in pair.inbox.read()] == [b"2"]


def test_rows_by_column_that_are_larger_than_the_ring_are_cut(pair: Pair) -> None:
    count = 300_000
    message = DAQJobMessageStoreTabular(
        store_config=STORE, keys=["n"], data_columns={"n": range(count)}
    )
    taken: list[int] = []
    sending = threading.Thread(target=pair.outbox.publish, args=(message,), daemon=True)
    sending.start()
    while len(taken) < count:
        for part in pair.received():
            taken += part.data_columns["n"]
    sending.join()
    assert taken == list(range(count))


def test_two_columns_of_one_name_are_refused(pair: Pair) -> None:
    message = DAQJobMessageStoreTabular(store_config=STORE, keys=["a", "a"], data=[[1, 2]])
    with pytest.raises(StoreError, match="columns a, a: each name may be there once"):
        pair.outbox.publish(message)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ([1, 2], "each a list of 1 values"),
        (np.ones((3, 1)), "must be a list of rows, not ndarray; arrays go into data_columns"),
        ([[1, 2]], "row of 2 values for 1 keys"),
    ],
    ids=["numbers", "array", "too long"],
)
def test_rows_that_are_none_are_refused_in_words(pair: Pair, data: Any, reason: str) -> None:
    message = DAQJobMessageStoreTabular(store_config=STORE, keys=["n"], data=data)
    with pytest.raises(CodecError, match=reason):
        pair.outbox.publish(message)


def test_one_message_of_a_batch_is_put_aside_alone(pair: Pair, tmp_path: Path) -> None:
    reports: list[RecordSetAside] = []
    stream = MessageStream(
        "store",
        pair.inbox,
        Counters(),
        [],
        tmp_path / "aside",
        reports.append,
        logging.getLogger("test"),
    )
    pair.outbox.publish_many([raw(number) for number in range(3)])
    for sender, _, record, _ in stream.read():
        for index in (1, 1):
            uuid = sender.home.ring_uuid
            stream.put_message_aside("source", uuid, record, index, "no such place")
    (path,) = (tmp_path / "aside").iterdir()
    assert path.read_bytes().endswith(bytes(raw(1).data))
    assert raw(0).data[:20] not in path.read_bytes()
    assert [report.path for report in reports] == [str(path)]


def test_messages_of_several_kinds_keep_their_settings_in_a_batch(pair: Pair) -> None:
    table = pa.table({"n": [1, 2]})
    other = DAQJobStoreConfig(memory=DAQJobStoreConfigMemory(), target_local_supervisor=True)
    sent: list[DAQJobMessage] = [
        raw(1),
        DAQJobMessageStorePyArrow(store_config=STORE, table=table),
        DAQJobMessageStorePyArrow(store_config=STORE, table=table, tag="a"),
        DAQJobMessageStorePyArrow(store_config=other, table=table, tag="a"),
        DAQJobMessageStorePyArrow(store_config=STORE, table=table),
    ]
    pair.outbox.publish_many(sent)
    received = pair.received()
    assert [type(message) for message in received] == [type(message) for message in sent]
    assert [message.tag for message in received] == [None, None, "a", "a", None]
    assert [message.store_config for message in received] == [STORE, STORE, STORE, other, STORE]


def test_a_settings_object_that_is_changed_between_batches_is_noticed(pair: Pair) -> None:
    config = DAQJobStoreConfig(memory=DAQJobStoreConfigMemory())
    message = DAQJobMessageStoreRaw(store_config=config, data=b"x")
    pair.outbox.publish(message)
    config.target_local_supervisor = True
    pair.outbox.publish(message)
    kept = [message.store_config.target_local_supervisor for message in pair.received()]
    assert kept == [False, True]


@pytest.mark.parametrize("many", [False, True])
def test_a_time_of_its_own_is_not_given_to_the_messages_after_it(pair: Pair, many: bool) -> None:
    long_ago = dt.datetime(2001, 2, 3, tzinfo=dt.UTC)
    messages = [raw(number) for number in range(3)]
    messages[0].timestamp = long_ago
    if many:
        pair.outbox.publish_many(messages)
    else:
        for message in messages:
            pair.outbox.publish(message)
    times = [message.timestamp for message in pair.received()]
    assert times[0] == long_ago
    assert all(time.year > 2001 for time in times[1:])


def test_a_message_that_has_room_has_not_waited(pair: Pair) -> None:
    for number in range(3):
        pair.outbox.publish(raw(number))
    assert pair.ring.waited_seconds == 0


def test_a_full_ring_shows_what_is_there_and_a_stop_ends_the_wait(pair: Pair) -> None:
    pair.stopping.set()
    with pytest.raises(DAQJobStopError):
        pair.outbox.publish_many([raw(number, 100_000) for number in range(50)])
    assert pair.ring.waited_seconds > 0
    numbers = [int.from_bytes(message.data[:4], "big") for message in pair.received()]
    assert numbers == list(range(len(numbers)))
    assert 5 < len(numbers) < 11


def test_a_table_of_more_than_half_the_ring_is_cut_by_rows(pair: Pair) -> None:
    table = pa.table({"n": np.arange(200_000)})
    sent = threading.Thread(
        target=pair.outbox.publish,
        args=(DAQJobMessageStorePyArrow(store_config=STORE, table=table),),
    )
    sent.start()
    parts: list[pa.Table] = []
    while sum(part.num_rows for part in parts) < 200_000:
        parts += [message.table for message in pair.received()]
    sent.join()
    assert len(parts) > 1
    assert pa.concat_tables(parts).equals(table)


def reserve(pair: Pair, rows: int) -> Reservation:
    layout = table_layout({"n": np.int64}, rows)
    message = DAQJobMessageStorePyArrow(store_config=STORE)
    return Reservation(pair.outbox.reserve_table(message, layout.size, rows), layout, rows)


def test_a_table_is_filled_in_the_ring(pair: Pair) -> None:
    for begin in range(0, 300_000, 10_000):
        with reserve(pair, 10_000) as table:
            table.columns["n"][:] = np.arange(begin, begin + 10_000)
            assert not pair.received()
        (message,) = pair.received()
        assert message.table["n"].to_pylist() == list(range(begin, begin + 10_000))


def test_nothing_is_published_into_a_table_that_is_being_filled(pair: Pair) -> None:
    with reserve(pair, 10) as table:
        table.columns["n"][:] = 7
        with pytest.raises(TransportError, match="reserve block"):
            pair.outbox.publish(raw(1))
    with pytest.raises(OSError, match="unplugged"), reserve(pair, 10):
        raise OSError("unplugged")
    pair.outbox.publish(raw(2))
    first, second = pair.received()
    assert first.table["n"].to_pylist() == [7] * 10
    assert second.data[:4] == (2).to_bytes(4, "big")
