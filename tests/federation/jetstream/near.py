"""A sender's stream, and a node near by that reads it."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from enrgdaq.daq.mirrored import Home, unmirror
from enrgdaq.daq.outbox import PassedOn
from enrgdaq.federation.batching import Held, make_batch
from enrgdaq.federation.jetstream.arrival import Arrived
from enrgdaq.federation.jetstream.messages import parts, read_place, whole, write_place
from enrgdaq.federation.jetstream.reading import StreamReading, Taken
from enrgdaq.federation.positions import Positions
from enrgdaq.models import SupervisorInfo
from enrgdaq.transport.ring import Record, RecordKind

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

    @classmethod
    def of(cls, count: int) -> "Stream":
        """So many records, each a message of its own."""
        made = cls()
        for number in range(count):
            made.send([held(number)])
        return made

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
