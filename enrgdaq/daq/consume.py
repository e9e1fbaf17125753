"""Hands the records of an inbox to a job, one by one, and remembers which it is at."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from enrgdaq.daq.counters import Counters
from enrgdaq.daq.inbox import Inbox, Source
from enrgdaq.daq.models import DAQJobMessage
from enrgdaq.daq.spec import RecordSetAside, SetAside
from enrgdaq.errors import CodecError
from enrgdaq.transport.bell import LOOK_SECONDS
from enrgdaq.transport.ring import Record, RingReader

_SET_ASIDE_MAGIC = b"ENRGASIDE1\n"


class MessageStream:
    """The messages of an inbox, with the bookkeeping that every consumer needs."""

    def __init__(
        self,
        inbox: Inbox,
        counters: Counters,
        set_aside: list[SetAside],
        set_aside_folder: Path,
        report: Callable[[RecordSetAside], None],
        log: logging.Logger,
    ) -> None:
        self.inbox = inbox
        self.unreadable = 0
        self._set_aside_folder = set_aside_folder
        self._counters = counters
        self._set_aside = {(entry.ring_uuid, entry.end) for entry in set_aside}
        self._report = report
        self._log = log
        self._warned: set[str] = set()

    def read(self) -> Iterator[tuple[Source, RingReader, Record, DAQJobMessage]]:
        """What is there now. The record counts as being in hand until the next one is asked for."""
        for source, reader, record in self.inbox.read():
            if self._set_aside and (source.uuid, record.end) in self._set_aside:
                self.put_aside(source, record, "this job crashed at it again and again")
                continue
            reader.take_in_hand(record)
            message = self._unpack(source, record)
            if message is not None:
                now_ns = time.time_ns()
                self._counters.took(len(record.payload), record.timestamp_ns, now_ns)
                yield source, reader, record, message
            reader.put_down()

    def _unpack(self, source: Source, record: Record) -> DAQJobMessage | None:
        try:
            return source.unpack(record)
        except CodecError as error:
            self.unreadable += 1
            if str(error) not in self._warned:
                self._warned.add(str(error))
                self._log.error("message from %s dropped: %s", source.spec.producer, error)
            return None

    def put_aside(self, source: Source, record: Record, reason: str) -> None:
        """Keep a record that cannot be handled in a file of its own, counted, and pass it."""
        folder = self._set_aside_folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{source.spec.producer}_{source.uuid[:8]}_{record.end}.record"
        if path.exists():
            # It was passed in an earlier life that ended before its cursor had moved on.
            return
        sizes = f"{len(record.header)} {len(record.payload)} {record.kind}\n".encode()
        unfinished = path.with_suffix(".new")
        unfinished.write_bytes(
            b"".join((_SET_ASIDE_MAGIC, sizes, record.header, bytes(record.payload)))
        )
        unfinished.replace(path)
        self._log.error(
            "a message from %s was put aside in %s: %s", source.spec.producer, path, reason
        )
        self._report(RecordSetAside(ring_uuid=source.uuid, end=record.end, path=str(path)))


def handle_each(
    stream: MessageStream, handle: Callable[[DAQJobMessage], bool], may_go_on: Callable[[], bool]
) -> None:
    """Give every message to ``handle``; each is done with, for good, when that returns."""
    while True:
        for _, reader, record, message in stream.read():
            handle(message)
            reader.commit(record.end)
            if not may_go_on():
                return
        for reader in stream.inbox.readers():
            # Also past what was addressed to others, so that it holds nobody up.
            if reader.held_bytes:
                reader.commit()
        if not may_go_on():
            return
        stream.inbox.wait(LOOK_SECONDS)
