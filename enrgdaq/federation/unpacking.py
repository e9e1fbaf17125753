"""Takes a batch apart: what is new in it, as it goes into a mirror ring."""

from collections.abc import Callable
from typing import Final

import msgspec

from enrgdaq.daq.mirrored import encode_home, mirror_header
from enrgdaq.daq.outbox import PassedOn
from enrgdaq.errors import TransportError
from enrgdaq.federation import wire
from enrgdaq.federation.positions import Positions
from enrgdaq.transport.ring import RecordKind

HEADER_ROOM: Final = 8_192
"""What a mirror adds to a record at most: where it comes from, with all the node's tags."""

_LONGEST_HOME: Final = HEADER_ROOM - 256
"""Bytes; the rest is for the place at home, and for what aligning the record takes."""


class Unpacked(msgspec.Struct):
    """What is new in a batch. ``places``: node, ring and end of each record."""

    places: list[tuple[str, str, int]] = []
    records: list[PassedOn] = []
    repeated: int = 0
    """Records that were taken already."""
    messages: int = 0
    bytes: int = 0


def unpack(
    batch: wire.Batch,
    body: "bytes | memoryview",
    positions: Positions,
    *,
    largest_bytes: int,
    may_bring: Callable[[str], bool],
    way_back_to: Callable[[str], str],
) -> Unpacked:
    """What is new in a batch, and of a node that it may be of.

    ``way_back_to`` names this node's link to where a record comes from: it is owed none of it.
    Raises :class:`TransportError` for what no sender of ours would send.
    """
    length = sum(head.length for head in batch.heads) + sum(r.length for r in batch.records)
    if length != len(body):
        raise TransportError(f"a batch of {length} bytes came with {len(body)}")
    for home in batch.homes:
        if not may_bring(home.supervisor.supervisor_id):
            raise TransportError(f"sends what is of {home.supervisor.supervisor_id}")
    homes = [encode_home(home) for home in batch.homes]
    if any(len(home) > _LONGEST_HOME for home in homes):
        raise TransportError("says more of itself than a record of a mirror can hold")
    rest = memoryview(body)
    heads = []
    for head in batch.heads:
        heads.append((head.topics, bytes(rest[: head.length])))
        rest = rest[head.length :]
    found = Unpacked()
    for record in batch.records:
        payload, rest = rest[: record.length], rest[record.length :]
        if record.home >= len(homes) or record.head >= len(heads):
            raise TransportError("a record of nowhere")
        home = batch.homes[record.home]
        node, ring_uuid = home.supervisor.supervisor_id, home.ring_uuid
        if positions.has(node, ring_uuid, record.end):
            found.repeated += 1
            continue
        topics, header = heads[record.head]
        if record.kind is RecordKind.PAD or len(header) + len(payload) > largest_bytes:
            raise TransportError("a record that no ring of this node can hold")
        place = record.start, record.end, record.sequence
        found.places.append((node, ring_uuid, record.end))
        found.records.append(
            PassedOn(
                topics=topics,
                header=mirror_header(homes[record.home], *place, header),
                kind=record.kind,
                payload=payload,
                timestamp_ns=record.timestamp_ns,
                messages=record.messages,
                not_to=way_back_to(node),
            )
        )
        found.messages += record.messages
        found.bytes += record.length
    return found
