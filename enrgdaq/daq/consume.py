"""Hands the records of an inbox to a job, one by one, and remembers which it is at."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from enrgdaq.daq.aside_file import write_aside
from enrgdaq.daq.counters import Counters
from enrgdaq.daq.inbox import Inbox, Sender, Source
from enrgdaq.daq.models import DAQJobMessage
from enrgdaq.daq.raw_batch import blobs_of
from enrgdaq.daq.spec import RecordSetAside, SetAside
from enrgdaq.errors import CodecError, RingCorruptError
from enrgdaq.transport.bell import LOOK_SECONDS
from enrgdaq.transport.ring import Record, RecordKind, RingReader

CRASHED = "this job crashed at it again and again"
"""Why a record is put aside before it is handed to the job."""


class MessageStream:
    """The messages of an inbox, with the bookkeeping that every consumer needs."""

    def __init__(
        self,
        name: str,
        inbox: Inbox,
        counters: Counters,
        set_aside: list[SetAside],
        set_aside_folder: Path,
        report: Callable[[RecordSetAside], None],
        log: logging.Logger,
    ) -> None:
        """``name`` of the consumer, for files that it puts aside."""
        self.inbox = inbox
        self._name = name
        self.unreadable = 0
        self._set_aside_folder = set_aside_folder
        self._counters = counters
        self._set_aside = {(entry.ring_uuid, entry.end) for entry in set_aside}
        self._report = report
        self._log = log
        self._warned: set[str] = set()

    def read(self) -> Iterator[tuple[Sender, RingReader, Record, Sequence[DAQJobMessage]]]:
        """What is there now. A record counts as being in hand until the next one is asked for."""
        busy: RingReader | None = None
        try:
            for source, reader, record in self.inbox.read():
                if busy is not reader:
                    if busy is not None:
                        busy.put_down()
                    busy = reader
                if self._set_aside and self.is_set_aside(source.uuid, record):
                    reader.put_down()
                    self.put_aside(source.spec.producer, source.uuid, record, CRASHED)
                    continue
                reader.take_in_hand(record)
                try:
                    sender, at_home = source.at_home(record)
                    messages = sender.unpack(at_home)
                except CodecError as error:
                    self._note_unreadable(source.spec.producer, error)
                else:
                    self._count(source, record)
                    yield sender, reader, at_home, messages
        except RingCorruptError:
            # It is the next record that is broken. What anything else ends at stays in hand.
            if busy is not None:
                busy.put_down()
            raise
        if busy is not None:
            busy.put_down()

    def take(self) -> Iterator[tuple[Sender, RingReader, Record]]:
        """What is there now, as it is: for whoever only passes it on."""
        for source, reader, record in self.inbox.read():
            try:
                sender, at_home = source.at_home(record)
            except CodecError as error:
                self._note_unreadable(source.spec.producer, error)
                continue
            self._count(source, record)
            yield sender, reader, at_home

    def is_set_aside(self, ring_uuid: str, record: Record) -> bool:
        """Whether this job has crashed at a record too often."""
        return (ring_uuid, record.end) in self._set_aside

    def unpack(
        self, producer: str, unpack: Callable[[Record], Sequence[DAQJobMessage]], record: Record
    ) -> Sequence[DAQJobMessage]:
        """The messages in a record; none, counted and logged, when it cannot be read."""
        try:
            return unpack(record)
        except CodecError as error:
            self._note_unreadable(producer, error)
            return ()

    def _note_unreadable(self, producer: str, error: CodecError) -> None:
        self.unreadable += 1
        if str(error) not in self._warned:
            self._warned.add(str(error))
            self._log.error("message from %s dropped: %s", producer, error)

    def _count(self, source: Source, record: Record) -> None:
        # Not twice what a store reads again because it could not write it.
        if record.end > source.counted:
            source.counted = record.end
            self._counters.took(
                len(record.payload), record.timestamp_ns, time.time_ns(), record.messages
            )

    def put_message_aside(
        self, producer: str, ring_uuid: str, record: Record, index: int, reason: str
    ) -> None:
        """Put one of a record's messages aside: the others are taken."""
        if record.messages > 1:
            blob = blobs_of(record.payload)[index]
            record = msgspec.structs.replace(record, kind=RecordKind.RAW, payload=blob, messages=1)
            self.put_aside(producer, ring_uuid, record, reason, number=f".{index}")
        else:
            self.put_aside(producer, ring_uuid, record, reason)

    def put_aside(
        self, producer: str, ring_uuid: str, record: Record, reason: str, *, number: str = ""
    ) -> None:
        """Keep a record that cannot be handled in a file of its own, counted, and pass it."""
        folder = self._set_aside_folder
        folder.mkdir(parents=True, exist_ok=True)
        # Stores may share a folder, and each answers for what it did not write.
        name = f"{self._name}_{producer}_{ring_uuid[:8]}_{record.end}{number}.record"
        path = folder / name
        if path.exists():
            # It was passed in an earlier life that ended before its cursor had moved on.
            return
        write_aside(path, record)
        self._log.error("a message from %s was put aside in %s: %s", producer, path, reason)
        self._report(RecordSetAside(ring_uuid=ring_uuid, end=record.end, path=str(path)))


def handle_each(
    stream: MessageStream, handle: Callable[[DAQJobMessage], bool], may_go_on: Callable[[], bool]
) -> None:
    """Give every message to ``handle``; a record is done with, for good, when that returns."""
    while True:
        for _, reader, _, messages in stream.read():
            for message in messages:
                handle(message)
            reader.commit()
            if not may_go_on():
                return
        for reader in stream.inbox.readers():
            # Also past what was addressed to others, so that it holds nobody up.
            if reader.held_bytes:
                reader.commit()
        if not may_go_on():
            return
        stream.inbox.wait(LOOK_SECONDS)
