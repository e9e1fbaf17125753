"""Telemetry: statistics, log records, announcements. Latest wins; drops are counted.

Publishers use XPUB sockets: those see the subscriptions, so nothing is sent that nobody
wants, and what is said before the first subscriber is there can be kept for a moment.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final

import zmq

from enrgdaq.transport.broker import HIGH_WATER_MARK

_KEPT: Final = 2_000  # messages kept for a subscriber that is not there yet


class TelemetryPublisher:
    """One socket, owned by one thread. Everything else hands messages to that thread."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str) -> None:
        self.dropped = 0
        self._subscriptions: set[bytes] = set()
        self._kept: deque[tuple[bytes, bytes]] = deque()
        self._socket = context.socket(zmq.XPUB)
        self._socket.set_hwm(HIGH_WATER_MARK)
        self._socket.linger = 300
        # Without this a full queue drops silently; with it the send says so.
        self._socket.setsockopt(zmq.XPUB_NODROP, 1)
        self._socket.connect(endpoint)

    @property
    def socket(self) -> "zmq.Socket[bytes]":
        """For the owner's poll set: readable when subscriptions changed."""
        return self._socket

    def wanted(self, topic: bytes) -> bool:
        """Whether anybody subscribes to a topic."""
        return any(topic.startswith(prefix) for prefix in self._subscriptions)

    def look_at_subscriptions(self) -> None:
        """Take subscription changes; call when the socket is readable."""
        while True:
            try:
                frame = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            if frame[:1] == b"\x01":
                self._subscriptions.add(frame[1:])
            elif frame[:1] == b"\x00":
                self._subscriptions.discard(frame[1:])
        if self._subscriptions:
            kept, self._kept = self._kept, deque()
            for topic, body in kept:
                self.send(topic, body)

    def send(self, topic: bytes, body: bytes) -> None:
        """Publish; kept while nobody at all subscribes, dropped and counted when it must be."""
        if not self._subscriptions:
            if len(self._kept) == _KEPT:
                self._kept.popleft()
                self.dropped += 1
            self._kept.append((topic, body))
            return
        if not self.wanted(topic):
            return
        try:
            self._socket.send_multipart((topic, body), zmq.NOBLOCK)
        except zmq.Again:
            self.dropped += 1

    def close(self) -> None:
        """Close, giving what is queued 0.3 s to leave; idempotent."""
        self._socket.close()


class TelemetrySubscriber:
    """Receives what is published on a set of topic prefixes."""

    def __init__(
        self, context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str, topics: list[str]
    ) -> None:
        self._socket = context.socket(zmq.SUB)
        self._socket.set_hwm(HIGH_WATER_MARK)
        self._socket.linger = 0
        for topic in topics:
            self._socket.subscribe(topic)
        self._socket.connect(endpoint)

    @property
    def socket(self) -> "zmq.Socket[bytes]":
        """For the owner's poll set."""
        return self._socket

    def receive(self, at_most: int) -> Iterator[tuple[str, bytes]]:
        """Messages that are here now, at most so many: a flood costs a bounded turn."""
        for _ in range(at_most):
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            if len(frames) == 2:
                yield frames[0].decode(errors="replace"), frames[1]

    def close(self) -> None:
        """Close; idempotent."""
        self._socket.close()
