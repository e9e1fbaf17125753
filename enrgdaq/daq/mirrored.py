"""Where records come from: a ring of this node, or one of another node through a mirror ring.

A mirror ring holds records of other nodes' rings, each with the place that it has at home.
Stores keep their watermarks by that place, so they outlive mirror rings, and a record that
came twice is known whichever way it came.
"""

import struct
from collections.abc import Iterator
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from enrgdaq.errors import CodecError
from enrgdaq.models import RING_PATTERN, SupervisorInfo
from enrgdaq.transport.ring import Record, RingFile
from enrgdaq.transport.ring.reader import intact_records

_PLACE: Final = struct.Struct("<16sQQQH")
_UUID_BYTES: Final = 16


# These become file names and words on terminals, and come from other hosts.
_RingUuid = Annotated[str, Meta(pattern=RING_PATTERN)]
_ProducerName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")]
_TypeName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_.:]{1,200}\Z")]


class Home(msgspec.Struct, frozen=True, kw_only=True):
    """The ring where a record was written first, and the job that wrote it."""

    ring_uuid: _RingUuid
    producer: _ProducerName
    producer_type: _TypeName
    supervisor: SupervisorInfo


class _Producer(msgspec.Struct, frozen=True, array_like=True):
    """What is said of the home in the header of every mirrored record."""

    producer: _ProducerName
    producer_type: _TypeName
    supervisor: SupervisorInfo


class Mirrored(NamedTuple):
    """A record as it was at home. ``home`` is the same bytes for all of one ring."""

    home: bytes
    record: Record


def encode_home(home: Home) -> bytes:
    """A home as :attr:`Mirrored.home` gives it."""
    said = _Producer(home.producer, home.producer_type, home.supervisor)
    return bytes.fromhex(home.ring_uuid) + msgspec.msgpack.encode(said)


def mirror_header(home: bytes, start: int, end: int, sequence: int, header: bytes) -> bytes:
    """The header under which a record goes into a mirror ring; ``home``: encoded."""
    place = _PLACE.pack(home[:_UUID_BYTES], start, end, sequence, len(home) - _UUID_BYTES)
    return place + home[_UUID_BYTES:] + header


def mirrored_records(ring: RingFile) -> Iterator[Mirrored]:
    """What a mirror ring still holds, without payloads; what cannot be read is left out."""
    for record in intact_records(ring):
        try:
            yield unmirror(record)
        except CodecError:
            continue


def unmirror(record: Record) -> Mirrored:
    """A record of a mirror ring as it was at home. Raises :class:`CodecError`."""
    try:
        uuid, start, end, sequence, length = _PLACE.unpack_from(record.header)
    except struct.error as error:
        raise CodecError(f"{len(record.header)} bytes are no header of a mirror") from error
    begin = _PLACE.size + length
    return Mirrored(
        uuid + record.header[_PLACE.size : begin],
        msgspec.structs.replace(
            record, start=start, end=end, sequence=sequence, header=record.header[begin:]
        ),
    )


def home_of(said: bytes) -> Home:
    """The home in :attr:`Mirrored.home`. Raises :class:`CodecError`."""
    try:
        producer = msgspec.msgpack.decode(said[_UUID_BYTES:], type=_Producer)
    except msgspec.MsgspecError as error:
        raise CodecError(f"no home of a mirrored record: {error}") from error
    return Home(
        ring_uuid=said[:_UUID_BYTES].hex(),
        producer=producer.producer,
        producer_type=producer.producer_type,
        supervisor=producer.supervisor,
    )
