"""Looking at data without a row: announcements through the broker, records from the ring.

A producer announces a record on its topics while somebody subscribes there. A tap that hears
it may read the record from the ring as long as it is intact; it holds nobody up, and what
was overwritten before it looked is gone.
"""

from pathlib import Path

import msgspec

from enrgdaq.errors import CodecError
from enrgdaq.transport.ring import Record, RingFile
from enrgdaq.transport.ring.reader import look_at


class Announcement(msgspec.Struct, frozen=True, array_like=True):
    """A record that was published: which ring, where in it, what it is."""

    ring_path: str
    position: int
    sequence: int
    kind: int
    rows: int
    payload_length: int


def decode_announcement(body: bytes) -> Announcement:
    """An announcement as it came from the broker. Raises :class:`CodecError`."""
    try:
        return msgspec.msgpack.decode(body, type=Announcement)
    except msgspec.MsgspecError as error:
        raise CodecError(f"not an announcement: {error}") from error


class Tap:
    """Fetches announced records. Keeps the rings that it has seen mapped."""

    def __init__(self) -> None:
        self._rings: dict[str, RingFile] = {}

    def fetch(self, announcement: Announcement) -> Record | None:
        """A copy of the record, or ``None`` when it is no longer there."""
        ring = self._rings.get(announcement.ring_path)
        if ring is None:
            try:
                ring = RingFile.open(Path(announcement.ring_path))
            except FileNotFoundError:
                return None
            self._rings[announcement.ring_path] = ring
        return look_at(ring, announcement.position)

    def close(self) -> None:
        """Let go of all rings; idempotent."""
        while self._rings:
            self._rings.popitem()[1].close()
