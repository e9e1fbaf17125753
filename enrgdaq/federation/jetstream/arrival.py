"""A message of a stream, as it comes to a node that takes."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from enrgdaq.errors import TransportError
from enrgdaq.federation.jetstream.messages import PLACE_HEADER, Place, read_place
from enrgdaq.models import RING_PATTERN

_SHORT_REPLY: Final = 9
"""Words of an acknowledgement's subject, without a domain; with one there are two more."""


class Arrived(NamedTuple):
    """A message of a stream. ``reply``: where it is acknowledged; empty when it was asked for."""

    sequence: int
    is_again: bool
    ring_uuid: str
    place: Place
    data: bytes
    reply: str


def read_arrival(
    subject: str, headers: Mapping[str, str], data: bytes, reply: str, *, sequence: int = 0
) -> Arrived:
    """A message that was delivered, or asked for by its number: then it has no ``reply``.

    Raises :class:`TransportError` for what nobody who sends by our rules has written.
    """
    delivered = 1
    if reply:
        words = reply.split(".")
        first = 4 if len(words) == _SHORT_REPLY else 6
        try:
            delivered, sequence = int(words[first]), int(words[first + 1])
        except (ValueError, IndexError) as error:
            raise TransportError(f"{reply!r} is no place to acknowledge") from error
    place = read_place(headers.get(PLACE_HEADER, ""))
    ring_uuid = subject.rpartition(".")[2]
    if not re.match(RING_PATTERN, ring_uuid):
        raise TransportError(f"{subject!a} is of no ring")
    return Arrived(sequence, delivered > 1, ring_uuid, place, data, reply)
