"""What a job says by telemetry: any of its threads queues, one sends."""

from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from enrgdaq.daq.outbox import StagedMessage
from enrgdaq.transport.tap import Announcement
from enrgdaq.transport.telemetry import TelemetryPublisher

_KEPT: Final = 10_000


class TelemetryOut:
    """A bounded queue to the thread that owns the socket; what it has no room for is counted."""

    def __init__(self, ring_path: str) -> None:
        """``ring_path``: the ring that announcements tell taps to read."""
        self._dropped = 0
        self._ring_path = ring_path
        self._queued: deque[tuple[bytes, bytes]] = deque()
        self._publisher: TelemetryPublisher | None = None
        self._listened_to: dict[tuple[str, ...], bool] = {}
        self._listened_version = -1

    @property
    def dropped(self) -> int:
        """Messages that nobody will get: no room here, or in the socket."""
        return self._dropped + (self._publisher.dropped if self._publisher is not None else 0)

    def send_by(self, publisher: TelemetryPublisher) -> None:
        """Where what is queued goes; records are announced from now on. Called once."""
        self._publisher = publisher

    def queue(self, topic: str, body: bytes) -> None:
        """Send with the next turn of the thread that sends."""
        if len(self._queued) < _KEPT:
            self._queued.append((topic.encode(), body))
        else:
            self._dropped += 1

    def send_queued(self) -> None:
        """Send what is queued now. Called by the thread that sends."""
        publisher = self._publisher
        if publisher is None:
            return
        # Not what others queue meanwhile: a turn is to end.
        for _ in range(len(self._queued)):
            publisher.send(*self._queued.popleft())

    def announce(self, staged: Sequence[StagedMessage]) -> None:
        """Tell taps of records, while there are any. Called under the outbox's lock."""
        publisher = self._publisher
        if publisher is None:
            return
        if publisher.version != self._listened_version:
            self._listened_version = publisher.version
            self._listened_to = {}
        for topics, payload, position, sequence in staged:
            heard = self._listened_to.get(topics)
            if heard is None:
                heard = any(publisher.wanted(topic.encode()) for topic in topics)
                self._listened_to[topics] = heard
            if not heard:
                continue
            announcement = Announcement(
                ring_path=self._ring_path,
                position=position,
                sequence=sequence,
                kind=payload.kind,
                rows=payload.rows,
                payload_length=payload.length,
            )
            body = msgspec.msgpack.encode(announcement)
            for topic in topics:
                self.queue(topic, body)
