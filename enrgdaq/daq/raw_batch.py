"""Many small raw messages in one record: what ``publish_many`` makes of them.

A record costs each side some 4 µs, whatever it holds: for messages of 1.6 kB ten times the
copy. Within one record a message costs a quarter of that. The price is that a batch is made
durable, replayed, and, when its consumer crashes at it, put aside as one; so it is kept small.

The payload is the number of messages and their lengths, each u32 and little-endian, then the
messages, each beginning at a multiple of 8 bytes.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from enrgdaq.daq.models import DAQJobMessage
from enrgdaq.daq.payloads import Payload, bytes_in
from enrgdaq.daq.store.models import DAQJobMessageStore, DAQJobMessageStoreRaw
from enrgdaq.errors import CodecError
from enrgdaq.transport.ring import RecordKind

LARGEST_MESSAGE: Final = 16 << 10
"""Bytes. What a larger one saves is lost in the time that its copy takes."""

LARGEST_BATCH: Final = 256 << 10
"""Bytes of messages in one record."""


def batches(
    messages: Sequence[DAQJobMessage],
    are_alike: Callable[[DAQJobMessageStore, DAQJobMessageStore], bool],
) -> Iterator[tuple[list[DAQJobMessageStoreRaw], list[memoryview]] | DAQJobMessage]:
    """Small raw messages that follow one another and may share a header, with their bytes.

    Others come by themselves, in their place.
    """
    run: list[DAQJobMessageStoreRaw] = []
    blobs: list[memoryview] = []
    size = 0
    for message in messages:
        blob = _small(message)
        if run and (
            blob is None or size + len(blob) > LARGEST_BATCH or not are_alike(message, run[0])  # type: ignore[arg-type]  # it has a blob
        ):
            yield (run, blobs) if len(run) > 1 else run[0]
            run, blobs, size = [], [], 0
        if blob is None:
            yield message
        else:
            run.append(message)  # type: ignore[arg-type]
            blobs.append(blob)
            size += len(blob)
    if run:
        yield (run, blobs) if len(run) > 1 else run[0]


def batch_payload(blobs: Sequence[memoryview]) -> Payload:
    """The payload of a record for these messages, each of single bytes."""
    lengths = [len(blob) for blob in blobs]
    table = struct.pack(f"<{1 + len(blobs)}I", len(blobs), *lengths)
    begin = len(table) + 7 & -8

    def fill(space: memoryview) -> None:
        space[: len(table)] = table
        at = begin
        for blob, length in zip(blobs, lengths, strict=True):
            space[at : at + length] = blob
            at += length + 7 & -8

    size = begin + sum(length + 7 & -8 for length in lengths)
    return Payload(RecordKind.RAW_BATCH, size, len(blobs), fill=fill, messages=len(blobs))


def number_messages(messages: Sequence[DAQJobMessage], record_id: str) -> None:
    """Give messages of a batch the ids that their readers see: the record's, and a number."""
    for number, message in enumerate(messages):
        message.id = f"{record_id}.{number}"


def blobs_of(payload: memoryview) -> list[memoryview]:
    """The messages in a record's payload, in place. Raises :class:`CodecError`."""
    count = int.from_bytes(payload[:4], "little")
    if 4 + 4 * count > len(payload):
        raise CodecError(f"batch of {count} messages in {len(payload)} bytes")
    lengths = struct.unpack_from(f"<{count}I", payload, 4)
    at = 4 + 4 * count + 7 & -8
    blobs = []
    for length in lengths:
        blobs.append(payload[at : at + length])
        at += length + 7 & -8
    if at != len(payload):
        raise CodecError(f"batch of {at} bytes in {len(payload)} bytes")
    return blobs


def _small(message: DAQJobMessage) -> memoryview | None:
    if type(message) is not DAQJobMessageStoreRaw:
        return None
    try:
        blob = bytes_in(message)
    except CodecError:
        return None  # it is refused in its turn, after those before it were sent
    return blob if len(blob) <= LARGEST_MESSAGE else None
