"""The way out of a job: messages into its ring, bells to whoever may be asleep."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from enrgdaq.daq.counters import Counters
from enrgdaq.daq.models import DAQJobMessage, DAQJobStopError
from enrgdaq.daq.packing import Envelope, PackedMessage, Packer, are_alike, split
from enrgdaq.daq.payloads import Payload
from enrgdaq.daq.raw_batch import batches, number_messages
from enrgdaq.daq.store.models import DAQJobMessageStore
from enrgdaq.daq.watchdog import Watchdog
from enrgdaq.errors import TransportError
from enrgdaq.transport.bell import BellRinger
from enrgdaq.transport.ring import RecordKind, RingFile, RingWriter, layout
from enrgdaq.transport.routes import Routes, load_routes

# Seconds. A consumer that is only just slower frees room within milliseconds: to look rarely
# then would leave it without work. So the pause is a quarter of what was waited already: a look
# costs a process that shares its core as much as a small message does.
_SHORTEST_WAIT = 0.0001
_LONGEST_WAIT = 0.005


StagedMessage = tuple[tuple[str, ...], Payload, int, int]
"""A message that lies in the ring: topics, payload, where it starts, sequence number."""


class PassedOn(NamedTuple):
    """A record of another node, as it goes into a mirror ring."""

    topics: tuple[str, ...]
    header: bytes
    kind: int
    payload: memoryview
    timestamp_ns: int
    messages: int
    not_to: str
    """A consumer here that takes nothing of where the record comes from: it is owed nothing."""


class RingSlot:
    """Space in a ring; see :class:`enrgdaq.daq.reservation.Slot`."""

    def __init__(self, space: memoryview, end: Callable[[bool], None]) -> None:
        self.space = space
        self._end = end

    def commit(self) -> None:
        """Send what the space holds."""
        self._end(True)

    def cancel(self) -> None:
        """Give the space back."""
        self._end(False)


class Outbox:
    """Publishes into one ring. Safe to use from all threads of the job."""

    def __init__(
        self,
        ring: RingFile,
        routes_path: Path,
        counters: Counters,
        stopping: threading.Event,
        watchdogs: list[Watchdog],
        log: logging.Logger,
        announce: Callable[[Sequence[StagedMessage]], None],
    ) -> None:
        self._lock = threading.RLock()
        self._ring = ring
        self._uuid = ring.identity.uuid
        # A table may take half the ring, less what aligning its record takes.
        self._undivided = ring.capacity // 2 - 3 * layout.ALIGN
        self._routes_path = routes_path
        self._counters = counters
        self._stopping = stopping
        self._watchdogs = watchdogs
        self._log = log
        self._announce = announce
        self._packer = Packer()
        self._ringer = BellRinger()
        self._routes = Routes()
        self._masks: dict[tuple[str, ...], int] = {}
        self._bits: dict[str, int] = {}
        self._bells: dict[int, str] = {}
        self._staged: list[StagedMessage] = []
        self._has_slot = False
        self._is_copy = False
        self._warn_after = 0.0
        self._unrouted_since = 0
        self._writer = RingWriter(ring, self._look_at_routes)

    def publish(self, message: DAQJobMessage) -> None:
        """Write a message into the ring, cut by rows where it is large.

        Raises :class:`DAQJobStopError` when told to stop while it waits for room.
        """
        with self._lock:
            if self._has_slot:
                self._check_no_slot()
            try:
                self._stage(message, self._packer.pack(message), time.time_ns())
            finally:
                self._show()

    def publish_many(self, messages: Sequence[DAQJobMessage]) -> None:
        """Write messages into the ring and show them at once, or as far as there is room.

        Raises as :meth:`publish`; a message that cannot be sent ends the batch before it.
        """
        with self._lock:
            self._check_no_slot()
            now_ns = time.time_ns()
            try:
                for item in batches(messages, are_alike):
                    if isinstance(item, DAQJobMessage):
                        self._stage(item, self._packer.pack(item), now_ns)
                    else:
                        self._stage_whole(item[0], self._packer.pack_batch(*item), now_ns)
            finally:
                self._show()

    def pass_on(self, records: Sequence[PassedOn]) -> int:
        """Write records of other nodes and show them; returns how many there was room for.

        Never waits. What nobody takes here is left out. Taps hear nothing of them: their
        headers are those of a mirror.
        """
        written = 0
        with self._lock:
            try:
                for record in records:
                    if not self._pass_one_on(record):
                        break
                    written += 1
            finally:
                self._show()
        return written

    def _pass_one_on(self, record: PassedOn) -> bool:
        self._writer.refresh_rows()
        mask = self._mask(record.topics) & ~self._bit(record.not_to)
        if not mask:
            return True
        if (
            self._writer.append(
                mask,
                record.kind,
                record.header,
                record.payload,
                record.timestamp_ns,
                record.messages,
            )
            is None
        ):
            return False
        self._counters.sent(record.topics, len(record.payload), 0, record.messages)
        return True

    def add_waited(self, seconds: float) -> None:
        """Count time that what is to be passed on has waited for room."""
        self._writer.add_waited(int(seconds * 1e9))

    def reserve_table(self, message: DAQJobMessageStore, length: int, rows: int) -> "RingSlot":
        """Space for an Arrow stream of ``length`` bytes. Nobody else publishes until it is done.

        Raises as :meth:`publish`.
        """
        self._lock.acquire()
        try:
            self._check_no_slot()
            envelope = self._packer.envelope(message)
            space, mask = self._room((message,), envelope, length)
        except BaseException:
            self._lock.release()
            raise
        payload = Payload(RecordKind.ARROW, length, rows)
        if space is None:
            space = memoryview(bytearray(length))
        self._has_slot = True
        return RingSlot(space, partial(self._end_slot, envelope, payload, mask))

    def disown(self) -> None:
        """In a process that the job has forked: its writes would overwrite its parent's."""
        # Another thread of the parent may have held it.
        self._lock = threading.RLock()
        self._has_slot = self._is_copy = True

    def close(self) -> None:
        """Let go of the ring; idempotent."""
        self._ringer.close()
        self._ring.close()

    def _end_slot(self, envelope: Envelope, payload: Payload, mask: int, commit: bool) -> None:
        try:
            if commit and mask:
                topics, header = envelope
                start, sequence = self._writer.stage(mask, payload.kind, header, time.time_ns())
                self._staged.append((topics, payload, start, sequence))
                self._show()
        finally:
            self._has_slot = False
            self._lock.release()

    def _check_no_slot(self) -> None:
        if self._is_copy:
            raise TransportError(
                "this process was forked by the job, and only the job itself can publish: hand"
                " the data to it through a pipe or a multiprocessing.Queue"
            )
        # Other threads wait for the lock; this is the one that fills the slot.
        if self._has_slot:
            raise TransportError(
                "a table is being filled in the ring: leave its reserve block before publishing"
            )

    def _stage(self, message: DAQJobMessage, packed: PackedMessage, now_ns: int) -> None:
        envelope, payload = packed
        if len(envelope.header) + payload.length <= self._undivided:
            self._stage_whole((message,), packed, now_ns)
            return
        # All of it fits, or nothing is sent.
        for part, packed_part in self._parts(message, packed):
            self._stage_whole((part,), packed_part, now_ns)

    def _parts(
        self, message: DAQJobMessage, packed: PackedMessage
    ) -> list[tuple[DAQJobMessage, PackedMessage]]:
        envelope, payload = packed
        size = len(envelope.header) + payload.length
        if size <= self._undivided:
            return [(message, packed)]
        parts = split(message, -(-size // self._undivided) + 1)
        if len(parts) == 1:
            self._writer.check_size(len(envelope.header), payload.length)
            return [(message, packed)]
        return [piece for part in parts for piece in self._parts(part, self._packer.pack(part))]

    def _stage_whole(
        self, messages: Sequence[DAQJobMessage], packed: PackedMessage, now_ns: int
    ) -> None:
        envelope, payload = packed
        topics, header = envelope
        written = None
        mask = self._masks.get(topics)
        if mask and payload.data is not None:
            written = self._writer.append(
                mask, payload.kind, header, payload.data, now_ns, payload.messages
            )
        if written is None:
            written = self._write_with_patience(messages, envelope, payload, now_ns)
            if written is None:
                return
        start, sequence = written
        if len(messages) == 1:
            messages[0].id = f"{self._uuid}:{sequence}"
        else:
            number_messages(messages, f"{self._uuid}:{sequence}")
        self._staged.append((topics, payload, start, sequence))

    def _write_with_patience(
        self, messages: Sequence[DAQJobMessage], envelope: Envelope, payload: Payload, now_ns: int
    ) -> tuple[int, int] | None:
        """Start and sequence number of a record that was waited for; ``None``: nobody takes it."""
        space, mask = self._room(messages, envelope, payload.length)
        if space is None:
            return None
        if payload.fill is not None:
            payload.fill(space)
        elif payload.data is not None:
            space[:] = payload.data
        return self._writer.stage(mask, payload.kind, envelope.header, now_ns, payload.messages)

    def _room(
        self, messages: Sequence[DAQJobMessage], envelope: Envelope, length: int
    ) -> tuple[memoryview | None, int]:
        """Space for a record, waited for, and its targets; ``None`` when nobody takes it."""
        topics, header = envelope
        self._writer.refresh_rows()
        if not self._mask(topics):
            self._nobody_takes(messages, topics)
            return None, 0
        space = self._wait_for_room(len(header), length)
        # Rows may have changed meanwhile.
        return space, self._mask(topics)

    def _show(self) -> None:
        for row in self._writer.commit():
            bell = self._bells.get(row)
            if bell is not None:
                self._ringer.ring(bell)
        staged = self._staged
        if not staged:
            return
        self._announce(staged)
        for topics, payload, _, _ in staged:
            self._counters.sent(topics, payload.length, payload.rows, payload.messages)
        staged.clear()

    def _wait_for_room(self, header_length: int, payload_length: int) -> memoryview:
        # The room may be taken by what is staged, and nobody can read that yet.
        self._show()
        space = self._writer.reserve(header_length, payload_length)
        if space is not None:
            return space
        began = time.monotonic_ns()
        counted = began
        delay = _SHORTEST_WAIT
        try:
            while space is None:
                # Not Event.wait(), which costs as much as several looks.
                time.sleep(delay)
                if self._stopping.is_set():
                    raise DAQJobStopError("stopped while it waited for room in its ring")
                for watchdog in self._watchdogs:
                    watchdog.reset()
                now = time.monotonic_ns()
                delay = min(max(delay, (now - began) / 4e9), _LONGEST_WAIT)
                if now - counted > 250_000_000:
                    # Shown while it lasts, not only when it is over.
                    self._writer.add_waited(now - counted)
                    counted = now
                space = self._writer.reserve(header_length, payload_length)
        finally:
            self._writer.add_waited(time.monotonic_ns() - counted)
        return space

    def _mask(self, topics: tuple[str, ...]) -> int:
        mask = self._masks.get(topics)
        if mask is not None:
            return mask
        mask = 0
        for consumer in self._routes.targets(topics):
            row = self._ring.row_of(consumer.name)
            if row is not None:
                mask |= 1 << row
                self._bells[row] = consumer.bell
        if len(self._masks) > 10_000:
            self._masks.clear()
        self._masks[topics] = mask
        return mask

    def _bit(self, name: str) -> int:
        """The bit of a consumer's row; 0 for one that has none."""
        bit = self._bits.get(name)
        if bit is None:
            row = self._ring.row_of(name)
            bit = self._bits[name] = 0 if row is None else 1 << row
        return bit

    def _look_at_routes(self) -> None:
        self._routes = load_routes(self._routes_path)
        self._masks = {}
        self._bits = {}
        self._bells = {}

    def _nobody_takes(self, messages: Sequence[DAQJobMessage], topics: tuple[str, ...]) -> None:
        if not isinstance(messages[0], DAQJobMessageStore):
            return
        self._counters.unrouted += len(messages)
        self._unrouted_since += len(messages)
        now = time.monotonic()
        if now >= self._warn_after:
            self._warn_after = now + 60
            if topics:
                self._log.warning(
                    "%d message(s) for %s were not stored: no job takes them; add one, such as"
                    ' a file with daq_job_type = "DAQJobStoreCSV"',
                    self._unrouted_since,
                    ", ".join(topics),
                )
            else:
                self._log.warning(
                    "%d message(s) were not stored: their store_config names no backend; add one,"
                    " such as [store_config.csv] in this job's file",
                    self._unrouted_since,
                )
            self._unrouted_since = 0
