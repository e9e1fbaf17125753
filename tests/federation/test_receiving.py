"""What a receiver takes: all once and in order, whatever is cut, full, repeated or nonsense."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from enrgdaq.daq.mirrored import Home, home_of, unmirror
from enrgdaq.daq.outbox import PassedOn
from enrgdaq.errors import TransportError
from enrgdaq.federation import wire
from enrgdaq.federation.positions import Positions
from enrgdaq.federation.receiving import Receiver
from enrgdaq.models import SupervisorInfo
from enrgdaq.transport.ring import Record, RecordKind

HUB, SPOKE = (SupervisorInfo(supervisor_id=name) for name in ("hub", "spoke"))
RINGS = ["0" * 31 + number for number in "12"]
HEAD = wire.Head(("store.DAQJobStoreCSV",), 6)


def home(ring: str, node: SupervisorInfo = SPOKE) -> Home:
    return Home(ring_uuid=ring, producer="source", producer_type="DAQJobTest", supervisor=node)


def session_of(number: int) -> str:
    return f"{number:032x}"


def batch(
    session: str, number: int, records: Sequence[tuple[int, int]]
) -> tuple[wire.Batch, bytes]:
    """A batch of records, each named by ring and number; the payload says both."""
    body = b"header"
    sent = []
    for ring, one in records:
        payload = f"{ring}:{one}".encode()
        place = 64 * one, 64 * (one + 1)
        sent.append(wire.SentRecord(ring, 0, *place, one, RecordKind.RAW, one, 1, len(payload)))
        body += payload
    homes = [home(ring) for ring in RINGS]
    head = wire.Batch(session=session, number=number, homes=homes, heads=[HEAD], records=sent)
    return head, body


class Far:
    """A receiver, and what came out of it."""

    def __init__(self, folder: Path) -> None:
        self.taken: list[PassedOn] = []
        self.said: list[wire.FromReceiver] = []
        self.room = 1_000_000
        self._folder = folder
        self.start()

    def start(self) -> None:
        """A new life: only the positions are left of the one before."""
        self.receiver = Receiver(
            HUB,
            Positions(self._folder),
            self._pass_on,
            lambda _, message: self.said.append(message),
            largest_bytes=1 << 20,
            may_bring=lambda sender, node: sender == node,
            way_back_to=lambda node: f"downlink.{node}",
        )

    def open(self, session: str) -> None:
        self.receiver.take(
            b"a",
            "spoke",
            wire.Open(version=wire.LINK_VERSION, session=session, node=SPOKE, rings=RINGS),
            b"",
        )

    def rows(self, ring: int) -> list[int]:
        """The numbers of the records of a ring, in the order in which they came."""
        names = [bytes(one.payload).decode().split(":") for one in self.taken]
        return [int(number) for at, number in names if int(at) == ring]

    def _pass_on(self, records: Sequence[PassedOn]) -> int:
        count = min(len(records), self.room)
        self.room -= count
        self.taken += records[:count]
        return count


class LinkMachine(RuleBasedStateMachine):
    """A sender that sends again what was not acknowledged, and a line that fails it."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.mkdtemp()
        self.far = Far(Path(self._folder))
        self.sessions = 0
        self.number = 0
        self.written = [0, 0]
        self.pending: list[tuple[int, int]] = []
        self.sent: list[tuple[int, list[tuple[int, int]]]] = []
        self.reopen()

    @rule()
    def reopen(self) -> None:
        """The connection broke: all that was not acknowledged comes again."""
        self.sessions += 1
        self.number = 0
        self.pending = [one for _, records in self.sent for one in records] + self.pending
        self.sent = []
        self.far.said.clear()
        self.far.open(session_of(self.sessions))

    @rule(ring=st.integers(0, 1), count=st.integers(1, 5))
    def write(self, ring: int, count: int) -> None:
        """Something is published."""
        for _ in range(count):
            self.pending.append((ring, self.written[ring]))
            self.written[ring] += 1

    @precondition(lambda self: self.pending and len(self.sent) < wire.WINDOW)
    @rule(count=st.integers(1, 8), is_lost=st.booleans())
    def send(self, count: int, is_lost: bool) -> None:
        records, self.pending = self.pending[:count], self.pending[count:]
        message, body = batch(session_of(self.sessions), self.number, records)
        self.sent.append((self.number, records))
        self.number += 1
        if not is_lost:
            self.far.receiver.take(b"a", "spoke", message, body)

    @rule(room=st.integers(0, 10))
    def work(self, room: int) -> None:
        """The mirror ring has so much room."""
        self.far.room = room
        self.far.receiver.work()
        self._hear()

    @rule()
    def kill(self) -> None:
        """The receiver is killed; its acknowledgements may be lost."""
        self.far.start()
        self.far.said.clear()

    @invariant()
    def all_is_there_once_and_in_order(self) -> None:
        for ring in (0, 1):
            rows = self.far.rows(ring)
            assert rows == list(range(len(rows)))

    def teardown(self) -> None:
        self.reopen()
        while self.pending:
            self.send(8, False)
            self.work(1_000_000)
        assert [len(self.far.rows(ring)) for ring in (0, 1)] == self.written
        shutil.rmtree(self._folder)

    def _hear(self) -> None:
        is_again = False
        for message in self.far.said:
            if isinstance(message, wire.Ack) and message.session == session_of(self.sessions):
                self.sent = [(n, records) for n, records in self.sent if n > message.number]
            is_again = is_again or isinstance(message, wire.Again)
        self.far.said.clear()
        if is_again:
            self.reopen()


LinkMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestLink = LinkMachine.TestCase


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Far]:
    made = Far(tmp_path)
    made.open(session_of(1))
    yield made


def test_a_record_comes_out_as_it_was_at_home(far: Far) -> None:
    far.receiver.take(b"a", "spoke", *batch(session_of(1), 0, [(1, 7)]))
    far.receiver.work()
    (one,) = far.taken
    said, found = unmirror(
        Record(
            start=0,
            end=64,
            sequence=0,
            kind=one.kind,
            timestamp_ns=one.timestamp_ns,
            header=one.header,
            payload=one.payload,
        )
    )
    assert home_of(said) == home(RINGS[1])
    assert (found.start, found.end, found.sequence, found.header) == (448, 512, 7, b"header")


def test_a_node_brings_nothing_of_others(far: Far) -> None:
    message, body = batch(session_of(1), 0, [(0, 0)])
    foreign = wire.Batch(
        session=message.session,
        number=0,
        homes=[home(RINGS[0], HUB)],
        heads=message.heads,
        records=message.records,
    )
    with pytest.raises(TransportError, match="what is of hub"):
        far.receiver.take(b"a", "spoke", foreign, body)


def test_a_key_is_that_of_its_node_only(far: Far) -> None:
    opened = wire.Open(version=wire.LINK_VERSION, session=session_of(2), node=SPOKE, rings=[])
    with pytest.raises(TransportError, match="not that of a node called 'spoke'"):
        far.receiver.take(b"b", "other", opened, b"")
    assert isinstance(far.said[-1], wire.Refused)


def test_who_has_not_opened_is_told_to(far: Far) -> None:
    far.receiver.take(b"b", "spoke", *batch(session_of(1), 0, [(0, 0)]))
    far.receiver.take(b"a", "spoke", *batch(session_of(9), 0, [(0, 0)]))
    assert [type(message) for message in far.said[-2:]] == [wire.Again, wire.Again]
    assert not far.receiver.is_full


def test_who_sends_more_than_the_window_begins_anew(far: Far) -> None:
    far.room = 0
    for number in range(wire.WINDOW):
        far.receiver.take(b"a", "spoke", *batch(session_of(1), number, [(0, number)]))
        far.receiver.work()
    with pytest.raises(TransportError, match="more than it may"):
        far.receiver.take(b"a", "spoke", *batch(session_of(1), wire.WINDOW, [(0, wire.WINDOW)]))
    assert isinstance(far.said[-1], wire.Again)


def test_a_full_receiver_answers_and_says_that_it_is_busy(far: Far) -> None:
    far.room = 0
    far.receiver.take(b"a", "spoke", *batch(session_of(1), 0, [(0, 0)]))
    far.receiver.work()
    assert far.receiver.is_full
    far.receiver.take(b"a", "spoke", wire.Ping(session=session_of(1), number=7), b"")
    far.receiver.say_busy()
    assert far.said[-2:] == [
        wire.Pong(session=session_of(1), number=7),
        wire.Busy(session=session_of(1)),
    ]


def test_a_node_that_says_too_much_of_itself_is_refused(far: Far) -> None:
    message, body = batch(session_of(1), 0, [(0, 0)])
    tagged = SupervisorInfo(supervisor_id="spoke", supervisor_tags=["x" * 1_000] * 9)
    wordy = wire.Batch(
        session=message.session,
        number=0,
        homes=[home(RINGS[0], tagged)],
        heads=message.heads,
        records=message.records,
    )
    with pytest.raises(TransportError, match="more of itself"):
        far.receiver.take(b"a", "spoke", wordy, body)
    with pytest.raises(TransportError, match="no message of a link"):
        wire.decode(wire.SPOKE_DECODER, wire.encode(wordy))


_MUTATED = st.tuples(st.integers(0, 500), st.integers(0, 255), st.integers(0, 30))


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(mutation=_MUTATED, body=st.binary(max_size=30), random=st.binary(max_size=100))
def test_nonsense_is_refused_and_no_more(
    far: Far, mutation: tuple[int, int, int], body: bytes, random: bytes
) -> None:
    at, value, cut = mutation
    valid = bytearray(wire.encode(batch(session_of(1), 0, [(0, 0), (1, 0)])[0]))
    valid[at % len(valid)] = value
    for data in (bytes(valid[: len(valid) - cut]), random):
        for decoder in (wire.SPOKE_DECODER, wire.HUB_DECODER, wire.RECEIVER_DECODER):
            try:
                message = wire.decode(decoder, data)
            except TransportError:
                continue
            if isinstance(message, wire.FromSender):
                try:
                    far.receiver.take(b"a", "spoke", message, body)
                except TransportError:
                    continue
    assert all(one.header.startswith(bytes.fromhex(RINGS[0][:30])) for one in far.taken)


def test_a_huge_first_frame_is_not_even_decoded() -> None:
    with pytest.raises(TransportError, match="too many"):
        wire.decode(wire.SPOKE_DECODER, bytes(wire.FIRST_FRAME_BYTES + 1))
