"""Where records come from: a ring of this node, or one of another node through a mirror ring.

A mirror ring holds records of other nodes' rings, each with the place that it has at home.
Stores keep their watermarks by that place, so they outlive mirror rings, and a record that
came twice is known whichever way it came.
"""

import struct
from typing import Final, NamedTuple

import msgspec

from enrgdaq.errors import CodecError
from enrgdaq.models import SupervisorInfo
from enrgdaq.transport.ring import Record

_PLACE: Final = struct.Struct("<16sQQQH")


class Home(msgspec.Struct, frozen=True, kw_only=True):
    """The ring where a record was written first, and the job that wrote it."""

    ring_uuid: str
    producer: str
    producer_type: str
    supervisor: SupervisorInfo


class _Producer(msgspec.Struct, frozen=True, array_like=True):
    """What is said of the home in the header of every mirrored record."""

    producer: str
    producer_type: str
    supervisor: SupervisorInfo


class Mirrored(NamedTuple):
    """A record as it was at home. ``home`` is the same bytes for all of one ring."""

    home: bytes
    record: Record


def mirror_header(home: Home, record: Record) -> bytes:
    """The header under which a record goes into a mirror ring."""
    said = _Producer(home.producer, home.producer_type, home.supervisor)
    producer = msgspec.msgpack.encode(said)
    place = _PLACE.pack(
        bytes.fromhex(home.ring_uuid), record.start, record.end, record.sequence, len(producer)
    )
    return place + producer + record.header


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
        producer = msgspec.msgpack.decode(said[16:], type=_Producer)
    except msgspec.MsgspecError as error:
        raise CodecError(f"no home of a mirrored record: {error}") from error
    return Home(
        ring_uuid=said[:16].hex(),
        producer=producer.producer,
        producer_type=producer.producer_type,
        supervisor=producer.supervisor,
    )
