"""Moves a store's records from its rings to a spool while it cannot write, and back in order."""

import time
from collections.abc import Sequence
from typing import Final, Protocol

from enrgdaq.daq.consume import CRASHED, MessageStream
from enrgdaq.daq.host import ProcessHost
from enrgdaq.daq.inbox import Sender
from enrgdaq.daq.mirrored import Home
from enrgdaq.daq.models import DAQJobMessage
from enrgdaq.daq.store.journal import Position
from enrgdaq.daq.store.spool import Spool, SpooledRecord
from enrgdaq.errors import StoreError
from enrgdaq.transport import faults
from enrgdaq.transport.memory import MEGABYTE
from enrgdaq.transport.ring import Record, RingReader

_BLOCK_BYTES: Final = MEGABYTE
_LEAST_BATCH_BYTES: Final = MEGABYTE // 4
_LAST_DRAIN_SECONDS: Final = 2.0


class SpoolingStore(Protocol):
    """What a spooler needs of its store."""

    def keep(self, sender: Sender, record: Record, messages: Sequence[DAQJobMessage]) -> None:
        """Keep a record's messages for the next flush, or put them aside."""

    def messages_in(
        self, stream: MessageStream, sender: Sender, record: Record
    ) -> Sequence[DAQJobMessage]:
        """The messages in a record; none where it cannot be read."""

    def flush(self) -> None:
        """Make all that was kept durable."""

    def forget(self) -> None:
        """Drop what was kept: it comes again."""

    def look_for_server(self) -> None:
        """Raise :class:`ServerAwayError` while a flush would."""

    def say_waiting(self, what: str, reason: str) -> None:
        """Say what is waited for, in condition and log."""

    def say_working(self, condition: str) -> None:
        """Nothing is waited for any more."""


class Spooler:
    """Between a store, its rings and its spool; everything runs on the store's thread.

    While anything is in the spool, or the store cannot write, all records go through it, so
    that the store sees them in order. Where ``may_move`` is false, it is only drained.
    """

    def __init__(
        self,
        store: SpoolingStore,
        spool: Spool,
        host: ProcessHost,
        stream: MessageStream,
        *,
        may_move: bool,
        flush_bytes: int,
        flush_seconds: float,
    ) -> None:
        self.spool = spool
        self.may_move = may_move
        self._store = store
        self._host = host
        self._stream = stream
        self._flush_bytes = flush_bytes
        self._flush_seconds = flush_seconds
        self._is_moving = False
        self._held: list[SpooledRecord] = []
        self._held_bytes = 0
        self._moved_at = time.monotonic()
        self._full = ""
        self._is_away = False
        self._smallest_ring = flush_bytes
        self._senders: dict[str, Sender] = {}

    @property
    def is_stuck(self) -> bool:
        """Whether the store cannot write, and nothing more can be moved either."""
        return self._is_away and (bool(self._full) or not self.may_move)

    @property
    def is_in_use(self) -> bool:
        """Whether records go through the spool now."""
        return self._is_moving or not self.spool.is_empty

    def begin(self) -> None:
        """The store cannot write what it keeps: it comes again, through the spool."""
        self._store.forget()
        self._start_over()
        self._is_moving = True

    def begin_if_behind(self) -> None:
        """Take what has come in meanwhile away, if the store is slower than its producers."""
        live = [s for s in self._stream.inbox.current() if not s.spec.is_old and s.reader]
        if any(2 * s.reader.ahead_bytes >= s.ring.capacity for s in live if s.reader):
            self._is_moving = True
            self._take()
            self._move()

    def turn(self, *, is_stopping: bool) -> bool:
        """Move what has come in, write a batch of what is oldest; whether there is more to do."""
        if self.may_move:
            self._take()
            if is_stopping or time.monotonic() - self._moved_at >= self._flush_seconds:
                self._move()
        has_written = self._drain()
        self._report()
        if has_written and self.spool.is_empty:
            # What is held and not on the disk yet, the store reads from the rings itself.
            self._start_over()
            self._is_moving = False
            self._store.say_working("")
            self._report()
        return has_written

    def finish(self) -> None:
        """The store is to end: move what it is owed, and write what the time is enough for."""
        if self.may_move:
            self._take()
            self._move()
        deadline = time.monotonic() + _LAST_DRAIN_SECONDS
        while not self.spool.is_empty and time.monotonic() < deadline and self._drain():
            pass
        self._report()

    def close(self) -> None:
        """Close the files; idempotent."""
        self.spool.close()

    def _take(self) -> None:
        """Hold what has come in; move it when that is much."""
        if self._full and not self._move():
            return  # held in the rings, so producers wait
        for sender, reader, record in self._stream.take():
            self._smallest_ring = min(self._smallest_ring, reader.ring.capacity)
            if not self.spool.has(Position(sender.home.ring_uuid, record.end)):
                self._held.append(_spooled(sender.home, record))
                self._held_bytes += len(record.payload) + len(record.header)
            is_much = self._held_bytes >= _BLOCK_BYTES or reader.is_half_held()
            if is_much and not self._move():
                return

    def _move(self) -> bool:
        """Put on the disk what is held, then let the rings have its space again."""
        if self._held:
            try:
                self._full = self.spool.full_reason()
                if not self._full:
                    self.spool.add(self._held)
            except OSError as error:
                self._full = f"{error.filename or 'the spool'}: {error.strerror}"
            if self._full:
                return False
        self._held.clear()
        self._held_bytes = 0
        self._moved_at = time.monotonic()
        for reader in self._stream.inbox.readers():
            if reader.held_bytes:
                reader.commit()
        return True

    def _start_over(self) -> None:
        self._held.clear()
        self._held_bytes = 0
        self._full = ""
        for reader in self._stream.inbox.readers():
            reader.put_down()
            reader.rewind()

    def _drain(self) -> bool:
        """Write the oldest records; whether that worked."""
        try:
            self._store.look_for_server()
            readers = {s.uuid: s.reader for s in self._stream.inbox.current()}
            # So much that the rings do not fill while it is written.
            batch = max(_LEAST_BATCH_BYTES, min(self._flush_bytes, self._smallest_ring // 4))
            for spooled in self.spool.read(batch):
                self._hand_over(spooled, readers.get(spooled.ring_uuid))
            self._store.flush()
        except (OSError, StoreError) as error:
            self._is_away = True
            self._store.forget()
            self.spool.rewind()
            what = "server" if isinstance(error, StoreError) else "disk"
            self._store.say_waiting(what, f"{error}; {self._in_words()}")
            return False
        self._is_away = False
        faults.hit("spool.drained")
        self.spool.commit()
        self._store.say_working(self._in_words())
        return True

    def _hand_over(self, spooled: SpooledRecord, reader: RingReader | None) -> None:
        record = Record(
            start=spooled.start,
            end=spooled.end,
            sequence=spooled.sequence,
            kind=spooled.kind,
            timestamp_ns=spooled.timestamp_ns,
            header=spooled.header,
            payload=memoryview(spooled.payload),
            messages=spooled.messages,
        )
        if self._stream.is_set_aside(spooled.ring_uuid, record):
            self._stream.put_aside(spooled.producer, spooled.ring_uuid, record, CRASHED)
            return
        if reader is not None:
            reader.take_in_hand(record)
        sender = self._senders.get(spooled.ring_uuid)
        if sender is None:
            home = Home(
                ring_uuid=spooled.ring_uuid,
                producer=spooled.producer,
                producer_type=spooled.producer_type,
                supervisor=spooled.supervisor or self._host.supervisor,
            )
            sender = self._senders[spooled.ring_uuid] = Sender(home, for_store=True)
        messages = self._store.messages_in(self._stream, sender, record)
        self._store.keep(sender, record, messages)
        if reader is not None:
            reader.put_down()

    def _in_words(self) -> str:
        size = f"{self.spool.bytes / 1e6:.1f} MB in the spool"
        if not self.spool.is_empty:
            size += f", the oldest {time.time() - self.spool.oldest_ns / 1e9:.0f} s old"
        return f"{size}; producers wait: {self._full}" if self._full else size

    def _report(self) -> None:
        self._host.spool_bytes = self.spool.bytes
        self._host.spool_oldest_ns = self.spool.oldest_ns


def _spooled(home: Home, record: Record) -> SpooledRecord:
    return SpooledRecord(
        ring_uuid=home.ring_uuid,
        producer=home.producer,
        producer_type=home.producer_type,
        start=record.start,
        end=record.end,
        sequence=record.sequence,
        kind=record.kind,
        timestamp_ns=record.timestamp_ns,
        header=record.header,
        payload=record.payload,  # type: ignore[arg-type]  # any buffer will do
        messages=record.messages,
        supervisor=home.supervisor,
    )
