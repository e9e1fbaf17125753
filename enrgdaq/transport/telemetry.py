"""Telemetry: statistics, log records, announcements. Latest wins; drops are counted.

Publishers use XPUB sockets: those see the subscriptions, so nothing is sent that nobody
wants, and what is said before the first subscriber is there can be kept for a moment.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

import zmq

from enrgdaq.transport.broker import HIGH_WATER_MARK

_KEPT: Final = 2_000  # messages kept for a subscriber that is not there yet
_SETTLING_SECONDS: Final = 1.0  # subscriptions come one by one after the first
_AWAY_SECONDS: Final = 10.0  # a broker is back after half a second


class TelemetryPublisher:
    """One socket, owned by one thread. Everything else hands messages to that thread."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        endpoint: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.dropped = 0
        self.version = 0
        """Raised when subscriptions change: what :meth:`wanted` said before may be wrong."""
        self._clock = clock
        # Replaced, never changed: other threads ask wanted().
        self._subscriptions: frozenset[bytes] = frozenset()
        self._settled_at: float | None = None
        self._kept: deque[tuple[bytes, bytes]] = deque()
        self._socket = context.socket(zmq.XPUB)
        self._socket.set_hwm(HIGH_WATER_MARK)
        self._socket.linger = 300
        # Without this a full queue drops silently; with it the send says so.
        self._socket.setsockopt(zmq.XPUB_NODROP, 1)
        # The next broker's subscriptions are to be seen too, though they are the same.
        self._socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        self._before: frozenset[bytes] = frozenset()
        self._restore_at = 0.0
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self._monitor.linger = 0
        self._socket.connect(endpoint)

    @property
    def socket(self) -> "zmq.Socket[bytes]":
        """For the owner's poll set: readable when subscriptions changed."""
        return self._socket

    def wanted(self, topic: bytes) -> bool:
        """Whether anybody subscribes to a topic."""
        return any(topic.startswith(prefix) for prefix in self._subscriptions)

    def look_at_subscriptions(self) -> None:
        """Take subscription changes; call when the socket is readable, and now and then."""
        self._look_at_connection()
        while True:
            try:
                frame = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            if frame[:1] == b"\x01":
                self._subscriptions = self._subscriptions | {frame[1:]}
            elif frame[:1] == b"\x00":
                self._subscriptions = self._subscriptions - {frame[1:]}
            self.version += 1
        if not self._subscriptions:
            self._settled_at = None
        elif self._settled_at is None:
            self._settled_at = self._clock() + _SETTLING_SECONDS
        if self._subscriptions and self._kept:
            kept, self._kept = self._kept, deque()
            for topic, body in kept:
                self.send(topic, body)

    def send(self, topic: bytes, body: bytes) -> None:
        """Publish; kept while subscriptions come in, dropped and counted when it must be."""
        if not self.wanted(topic):
            if self._settled_at is None or self._clock() < self._settled_at:
                self._keep(topic, body)
            return
        try:
            self._socket.send_multipart((topic, body), zmq.NOBLOCK)
        except zmq.Again:
            self.dropped += 1

    def finish(self, seconds: float) -> None:
        """Wait for subscribers to what is kept, at most so long."""
        deadline = self._clock() + seconds
        while self._kept and self._socket.poll(int(max(0.0, deadline - self._clock()) * 1000)):
            self.look_at_subscriptions()

    def close(self) -> None:
        """Close, giving what is queued 0.3 s to leave; idempotent."""
        if not self._socket.closed:
            self._socket.disable_monitor()
            self._monitor.close()
        self._socket.close()

    def _look_at_connection(self) -> None:
        """Keep what is sent while the broker is away, for the subscribers of the next one.

        The socket itself would send it to the next broker before those are there.
        """
        while self._monitor.poll(0):
            self._monitor.recv_multipart()
            self._before = self._before | self._subscriptions
            self._subscriptions = frozenset()
            self._restore_at = self._clock() + _AWAY_SECONDS
            self.version += 1
        if self._subscriptions:
            self._before = frozenset()
        elif self._before and self._clock() >= self._restore_at:
            # The new subscriptions were taken before the end of the old ones was seen.
            self._subscriptions, self._before = self._before, frozenset()
            self.version += 1

    def _keep(self, topic: bytes, body: bytes) -> None:
        if len(self._kept) == _KEPT:
            self._kept.popleft()
            self.dropped += 1
        self._kept.append((topic, body))


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
