"""Cuts records into batches, as they cross a link."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from enrgdaq.daq.mirrored import Home
from enrgdaq.federation import wire
from enrgdaq.transport.ring import Record, RecordKind

# With the window of a line this is all that a spoke can make its hub hold in memory.
BATCH_BYTES: Final = 1 << 19


class Held(msgspec.Struct, frozen=True, gc=False):
    """A record that the other end does not have yet."""

    home: Home
    record: Record
    topics: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of header and payload."""
        return len(self.record.header) + len(self.record.payload)


class SentBatch(NamedTuple):
    """A batch, and the headers and payloads that follow it, in pieces."""

    head: wire.Batch
    pieces: list[bytes | memoryview]


def batches(
    session: str,
    held: Sequence[Held],
    next_number: Callable[[], int],
    *,
    most_bytes: int = BATCH_BYTES,
) -> Iterator[SentBatch]:
    """Cut records into batches; each is made when the one before it is on its way."""
    first = 0
    while first < len(held):
        size, last = 0, first
        for one in itertools.islice(held, first, first + wire.MOST_RECORDS):
            size += one.size
            if last > first and size > most_bytes:
                break
            last += 1
        yield make_batch(session, next_number(), held[first:last])
        first = last


def make_batch(session: str, number: int, held: Sequence[Held]) -> SentBatch:
    """All these records in one batch."""
    homes: dict[str, int] = {}
    heads: dict[bytes, int] = {}
    batch = wire.Batch(session=session, number=number, homes=[], heads=[], records=[])
    for one in held:
        record, ring = one.record, one.home.ring_uuid
        if ring not in homes:
            homes[ring] = len(homes)
            batch.homes.append(one.home)
        if record.header not in heads:
            heads[record.header] = len(heads)
            batch.heads.append(wire.Head(one.topics, len(record.header)))
        batch.records.append(
            wire.SentRecord(
                home=homes[ring],
                head=heads[record.header],
                start=record.start,
                end=record.end,
                sequence=record.sequence,
                kind=RecordKind(record.kind),
                timestamp_ns=record.timestamp_ns,
                messages=record.messages,
                length=len(record.payload),
            )
        )
    return SentBatch(batch, [*heads, *(one.record.payload for one in held)])
