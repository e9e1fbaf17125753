"""What the two ends of a link say to each other: a sender, and a receiver with a mirror ring.

msgpack of tagged structs. A :class:`Batch` has a second frame: the headers of its heads, then the
payloads of its records, one behind the other. The receiver acknowledges batches in their order,
each after its records are in the mirror ring; whoever is in doubt opens a new session, and what was
not acknowledged comes again.
"""

from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from enrgdaq.daq.mirrored import Home
from enrgdaq.errors import TransportError
from enrgdaq.models import RING_PATTERN, SupervisorInfo
from enrgdaq.transport.ring import RecordKind

LINK_VERSION: Final = 1
MOST_RECORDS: Final = 4_096
"""In a batch; 200 bytes for each of them fit into its first frame."""
WINDOW: Final = 8
"""Batches that wait for their acknowledgement at most."""
FIRST_FRAME_BYTES: Final = 4 << 20
"""The largest first frame, and so the largest message without a second one."""

_Session = Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]
_Topic = Annotated[str, Meta(max_length=300)]
_Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
_RingUuid = Annotated[str, Meta(pattern=RING_PATTERN)]


class Open(Struct, frozen=True, kw_only=True, tag="open"):
    """Sender: a new session. ``rings``: those that may still come; others are forgotten."""

    version: int
    session: _Session
    node: SupervisorInfo
    rings: Annotated[list[_RingUuid], Meta(max_length=10_000)]


class Head(Struct, frozen=True, array_like=True):
    """What many records have in common: topics, and bytes of the header in the second frame."""

    topics: Annotated[tuple[_Topic, ...], Meta(max_length=100)]
    length: _Count


class SentRecord(Struct, frozen=True, array_like=True):
    """A record; ``home`` and ``head`` count in the batch's lists, ``length`` is the payload's."""

    home: _Count
    head: _Count
    start: _Count
    end: _Count
    sequence: _Count
    kind: RecordKind
    timestamp_ns: _Count
    messages: _Count
    length: _Count


class Batch(Struct, frozen=True, kw_only=True, tag="batch"):
    """Sender: records in the order of each of their rings."""

    session: _Session
    number: _Count
    homes: Annotated[list[Home], Meta(max_length=MOST_RECORDS)]
    heads: Annotated[list[Head], Meta(max_length=MOST_RECORDS)]
    records: Annotated[list[SentRecord], Meta(min_length=1, max_length=MOST_RECORDS)]


class Ping(Struct, frozen=True, kw_only=True, tag="ping"):
    """Sender: are you there?"""

    session: _Session
    number: _Count


class Close(Struct, frozen=True, kw_only=True, tag="close"):
    """Sender: the session ends, because this node stops."""

    session: _Session


class Receive(Struct, frozen=True, kw_only=True, tag="receive"):
    """Spoke, once a second: on this connection I take what other nodes have for me."""

    version: int
    node: SupervisorInfo


class Opened(Struct, frozen=True, kw_only=True, tag="opened"):
    """Receiver: the session has begun. ``largest_bytes``: of a record with its header."""

    session: _Session
    node: SupervisorInfo
    topics: Annotated[list[_Topic], Meta(max_length=10_000)]
    largest_bytes: _Count


class Wanted(Struct, frozen=True, kw_only=True, tag="wanted"):
    """Receiver: what is taken here, from now on."""

    topics: Annotated[list[_Topic], Meta(max_length=10_000)]


class Ack(Struct, frozen=True, kw_only=True, tag="ack"):
    """Receiver: this batch and all before it are in the mirror ring."""

    session: _Session
    number: _Count


class Pong(Struct, frozen=True, kw_only=True, tag="pong"):
    """Receiver: the answer to a ping."""

    session: _Session
    number: _Count


class Busy(Struct, frozen=True, kw_only=True, tag="busy"):
    """Receiver, now and then while its mirror ring is full: all that was sent will be taken."""

    session: _Session


class Again(Struct, frozen=True, kw_only=True, tag="again"):
    """Receiver: this session is not known here; open a new one."""

    session: _Session


class Refused(Struct, frozen=True, kw_only=True, tag="refused"):
    """Receiver: no, and why."""

    reason: Annotated[str, Meta(max_length=500)]


FromSender = Open | Batch | Ping | Close
FromReceiver = Opened | Wanted | Ack | Pong | Busy | Again | Refused
Message = TypeVar("Message")

_ENCODER: Final = msgspec.msgpack.Encoder()
SENDER_DECODER: Final = msgspec.msgpack.Decoder(FromSender)
RECEIVER_DECODER: Final = msgspec.msgpack.Decoder(FromReceiver)
HUB_DECODER: Final = msgspec.msgpack.Decoder(FromSender | Refused)
"""What a hub sends to a spoke that takes records."""
SPOKE_DECODER: Final = msgspec.msgpack.Decoder(FromSender | FromReceiver | Receive)
"""What may come into a hub's port."""
BATCH_DECODER: Final = msgspec.msgpack.Decoder(Batch)
"""A batch that lies in a stream."""


def encode(message: FromSender | FromReceiver | Receive) -> bytes:
    """The first frame of a message."""
    return _ENCODER.encode(message)


def decode(decoder: "msgspec.msgpack.Decoder[Message]", data: bytes | memoryview) -> Message:
    """A message. Raises :class:`TransportError` for what is none."""
    if len(data) > FIRST_FRAME_BYTES:
        raise TransportError(f"{len(data)} bytes are too many for a message of a link")
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise TransportError(f"no message of a link: {error}") from error
