"""A batch of one ring as messages of a stream.

A batch is cut where the server takes no message so large. Each part says the place of the whole
batch, so that the last message of a subject tells how far its ring was stored: to the batch's end
if it is the last part, to its beginning if not.
"""

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

from enrgdaq.errors import TransportError
from enrgdaq.federation import wire
from enrgdaq.federation.batching import SentBatch

PLACE_HEADER: Final = "Enrgdaq-Place"
ID_HEADER: Final = "Nats-Msg-Id"
LAST_SEQUENCE_HEADER: Final = "Nats-Expected-Last-Sequence"
LAST_ID_HEADER: Final = "Nats-Expected-Last-Msg-Id"
STREAM_HEADER: Final = "Nats-Expected-Stream"
HEADER_ROOM: Final = 1_024
"""What headers take of a message at most."""
SMALLEST_PAYLOAD: Final = 64 << 10
LARGEST_PAYLOAD: Final = 64 << 20
"""Servers that allow less, or more, are not used."""

_LENGTH_BYTES: Final = 4
_LONGEST_PLACE: Final = 200


class Place(NamedTuple):
    """Which part of which batch a message is. Positions are those of the ring at home."""

    before: int
    """Where the record before the batch ended; everything up to it was sent earlier."""
    end: int
    part: int
    parts: int
    size: int
    """Bytes of all parts together."""

    @property
    def stored_end(self) -> int:
        """How far the ring is stored when this is the last message of its subject."""
        return self.end if self.part == self.parts else self.before


def write_place(place: Place) -> str:
    """The header of a message."""
    return " ".join(map(str, (wire.LINK_VERSION, *place)))


def read_place(text: str) -> Place:
    """The same, read back. Raises :class:`TransportError` for what is none."""
    fields = text.split(" ") if len(text) <= _LONGEST_PLACE else []
    if not fields or not all(field.isascii() and field.isdigit() for field in fields):
        raise TransportError(f"{text[:_LONGEST_PLACE]!r} is no place of a batch")
    version, *numbers = map(int, fields)
    if version != wire.LINK_VERSION:
        raise TransportError(f"speaks version {version} of the link, not {wire.LINK_VERSION}")
    if len(numbers) != len(Place._fields):
        raise TransportError(f"{text!r} is no place of a batch")
    place = Place(*numbers)
    if not (place.before < place.end and 1 <= place.part <= place.parts):
        raise TransportError(f"{text!r} is no place of a batch")
    return place


class Part(NamedTuple):
    """One message to be published."""

    place: Place
    data: bytes


def whole(batch: SentBatch) -> bytes:
    """A batch as one piece of bytes, from which its messages are cut."""
    head = wire.encode(batch.head)
    return b"".join((len(head).to_bytes(_LENGTH_BYTES, "little"), head, *batch.pieces))


def parts(data: bytes, before: int, end: int, largest: int) -> Iterator[Part]:
    """Cut a whole batch of one ring into messages; ``largest``: bytes of one."""
    count = max(1, math.ceil(len(data) / largest))
    for number in range(count):
        piece = data if count == 1 else data[number * largest : (number + 1) * largest]
        yield Part(Place(before, end, number + 1, count, len(data)), piece)


def join(pieces: list[bytes]) -> tuple[wire.Batch, memoryview]:
    """A batch and its payloads. Raises :class:`TransportError` for what is none."""
    whole = memoryview(pieces[0] if len(pieces) == 1 else b"".join(pieces))
    length = int.from_bytes(whole[:_LENGTH_BYTES], "little")
    rest = whole[_LENGTH_BYTES:]
    if len(whole) < _LENGTH_BYTES or length > len(rest):
        raise TransportError(f"{len(whole)} bytes are no batch")
    return wire.decode(wire.BATCH_DECODER, rest[:length]), rest[length:]
