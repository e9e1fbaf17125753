"""The ring as a state machine: whatever is killed, and whenever, nothing is lost or doubled."""

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from enrgdaq.transport.ring import (
    Policy,
    RecordKind,
    RingFile,
    RingReader,
    RingWriter,
    RowState,
    layout,
)
from tests.transport.rings import make_ring

CAPACITY = layout.PAGE  # small, so that wraps are frequent
CONSUMERS = ("csv", "raw", "monitor", "late")


class Killed(BaseException):
    """SIGKILL between two machine instructions, as far as shared memory can tell."""


class Fuse:
    """Burns down by one per store to shared memory; at zero the process is gone."""

    def __init__(self) -> None:
        self.left: int | None = None

    def burn(self) -> None:
        if self.left is not None:
            if self.left == 0:
                raise Killed
            self.left -= 1


class FusedMemory:
    """A view of shared memory whose every store may be the last."""

    def __init__(self, view: memoryview, fuse: Fuse) -> None:
        self._view = view
        self._fuse = fuse

    def __getitem__(self, key: Any) -> Any:
        found = self._view[key]
        return FusedMemory(found, self._fuse) if isinstance(found, memoryview) else found

    def __setitem__(self, key: Any, value: Any) -> None:
        self._fuse.burn()
        self._view[key] = value

    def __bytes__(self) -> bytes:
        return bytes(self._view)


def messages_in(number: int) -> int:
    """How many messages a record is said to hold."""
    return number % 3 + 1


class RingMachine(RuleBasedStateMachine):
    """A producer that may die at any store, and consumers that may die between any two steps.

    The model: per consumer, the numbers it is owed, and those that were durably committed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "ring"
        self.ring = make_ring(self.path, CAPACITY)
        self.fuse = Fuse()
        self.rows: dict[str, int] = {}
        self.readers: dict[str, RingReader] = {}
        self.owed: dict[str, list[int]] = {name: [] for name in CONSUMERS}
        self.unsure: dict[str, set[int]] = {name: set() for name in CONSUMERS}
        self.durable: dict[str, list[int]] = {name: [] for name in CONSUMERS}
        self.watermark: dict[str, int] = dict.fromkeys(CONSUMERS, 0)
        self.batch: dict[str, list[int]] = {name: [] for name in CONSUMERS}
        self.next_number = 0
        for name in ("csv", "raw"):
            self.rows[name] = self.ring.attach(name)
        self.rows["monitor"] = self.ring.attach("monitor", Policy.SKIP)
        self.start_producer()

    def start_producer(self) -> None:
        ring = RingFile.open(self.path)
        ring.words = FusedMemory(ring.words, self.fuse)  # type: ignore[assignment]
        ring.data = FusedMemory(ring.data, self.fuse)  # type: ignore[assignment]
        self.fuse.left = None
        self.writer = RingWriter(ring)

    @rule(
        sizes=st.lists(st.integers(0, 700), min_size=1, max_size=4),
        to=st.sets(st.sampled_from(CONSUMERS)),
        dies=st.none() | st.integers(0, 40),
    )
    def write(self, sizes: list[int], to: set[str], dies: int | None) -> None:
        """A batch: shown at once, or not at all; as far as there is room."""
        targets = to & set(self.rows)
        staged: list[int] = []
        asleep = {name for name in targets if self.may_be_asleep(name)}
        self.fuse.left = dies
        try:
            for size in sizes:
                if not self.stage(size, targets):
                    break
                staged.append(self.next_number)
                self.next_number += 1
            rung = self.writer.commit()
        except Killed:
            self.start_producer()
            # They were never acknowledged; each is there wholly or not at all.
            numbers = {*staged, self.next_number}
            self.next_number += 1
            for name in targets:
                self.unsure[name] |= numbers
            return
        self.fuse.left = None
        if not staged:
            held = [self.ring.consumer(self.rows[n]) for n in self.rows if n != "monitor"]
            assert any(c.is_owed for c in held), "no room, though nobody is owed anything"
            return
        for name in targets:
            self.owed[name] += staged
        assert {self.rows[name] for name in asleep} <= set(rung), "asleep, owed, and not rung"

    def stage(self, size: int, targets: set[str]) -> bool:
        number = self.next_number
        header = b"h" * (number % 70)
        body = number.to_bytes(8, "little") + bytes([number % 251]) * size
        mask = sum(1 << self.rows[name] for name in targets)
        if number % 2:
            self.writer.refresh_rows()
            messages = messages_in(number)
            placed = self.writer.append(mask, RecordKind.RAW, header, body, number, messages)
            return placed is not None
        space = self.writer.reserve(len(header), len(body))
        if space is None:
            return False
        space[:] = body
        self.writer.stage(mask, RecordKind.RAW, header, number, messages_in(number))
        return True

    def may_be_asleep(self, name: str) -> bool:
        return name in self.readers and self.ring.consumer(self.rows[name]).read == self.ring.head

    @rule(name=st.sampled_from(CONSUMERS))
    def sleep(self, name: str) -> None:
        reader = self.readers.get(name)
        if reader is not None:
            reader.await_bell()

    @rule()
    def restart_producer(self) -> None:
        self.start_producer()

    @rule(name=st.sampled_from(CONSUMERS), at_most=st.integers(1, 30))
    def read(self, name: str, at_most: int) -> None:
        reader = self.reader(name)
        if reader is None:
            return
        for count, record in enumerate(reader.read(), start=1):
            number = int.from_bytes(record.payload[:8], "little")
            assert bytes(record.payload[8:]) == bytes([number % 251]) * (len(record.payload) - 8)
            assert record.header == b"h" * (number % 70)
            assert record.timestamp_ns == number
            assert record.messages == messages_in(number)
            if record.end > self.watermark[name]:
                self.batch[name].append(number)
            if name == "monitor":
                self.flush(name, dies_before_cursor=False)
            if count == at_most:
                break

    @rule(name=st.sampled_from(CONSUMERS), dies_before_cursor=st.booleans())
    def flush_rule(self, name: str, dies_before_cursor: bool) -> None:
        if name in self.readers:
            self.flush(name, dies_before_cursor)

    def flush(self, name: str, dies_before_cursor: bool) -> None:
        """The durable unit: rows and watermark together; then, perhaps, the cursor."""
        reader = self.readers[name]
        self.durable[name] += self.batch[name]
        self.watermark[name] = max(self.watermark[name], reader.position)
        self.batch[name] = []
        if dies_before_cursor and name != "monitor":
            del self.readers[name]
        else:
            reader.commit()

    @rule(name=st.sampled_from(CONSUMERS))
    def kill_consumer(self, name: str) -> None:
        self.readers.pop(name, None)
        self.batch[name] = []

    @precondition(lambda self: "late" not in self.rows)
    @rule()
    def join(self) -> None:
        self.rows["late"] = self.ring.attach("late")

    @precondition(lambda self: "late" in self.rows)
    @rule()
    def detach(self) -> None:
        self.settle("late")
        self.readers.pop("late", None)
        self.ring.detach(self.rows.pop("late"))
        self.owed["late"], self.durable["late"], self.unsure["late"] = [], [], set()

    def reader(self, name: str) -> RingReader | None:
        if name not in self.rows:
            return None
        if name not in self.readers:
            ring = RingFile.open(self.path)
            if ring.row_state(self.rows[name]) is RowState.JOINING:
                return None
            self.readers[name] = RingReader(ring, self.rows[name])
        return self.readers[name]

    @invariant()
    def a_consumer_owed_nothing_holds_nobody(self) -> None:
        if not any(self.ring.consumer(row).is_owed for row in self.rows.values()):
            assert self.writer.reserve(0, CAPACITY // 2 - layout.ALIGN) is not None

    def settle(self, name: str) -> None:
        """Read all, flush, and compare with the model."""
        self.read(name, at_most=10**9)
        if name in self.readers:
            self.flush(name, dies_before_cursor=False)
        got = self.durable[name]
        assert got == sorted(set(got)), f"{name}: out of order or twice: {got}"
        missing = set(self.owed[name]) - set(got)
        surplus = set(got) - set(self.owed[name]) - self.unsure[name]
        assert not surplus, f"{name}: never addressed to it: {surplus}"
        if name == "monitor":
            skipped = self.ring.consumer(self.rows[name]).skipped
            assert sum(map(messages_in, missing)) <= skipped, "a loss that was not counted"
        else:
            assert not missing, f"{name}: lost {missing}"

    def teardown(self) -> None:
        self.fuse.left = None
        try:
            for name in list(self.rows):
                self.settle(name)
        finally:
            self.readers.clear()
            self.folder.cleanup()


RingMachine.TestCase.settings = settings(
    max_examples=int(os.environ.get("RING_EXAMPLES", "120")),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestRing = pytest.mark.timeout(170)(RingMachine.TestCase)
