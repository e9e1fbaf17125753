"""The sender's end of a link: one connection, for one session."""

import time
import uuid
from collections.abc import Callable, Sequence
from typing import Final

import zmq
from zmq.utils.monitor import parse_monitor_message

from enrgdaq.daq.models import LinkFigures
from enrgdaq.errors import ServerAwayError, TransportError
from enrgdaq.federation import wire
from enrgdaq.federation.batching import Held, batches
from enrgdaq.keys import PublicKey, SecretKey, secure_client
from enrgdaq.keys.door import limit_socket
from enrgdaq.models import SupervisorInfo

_LOOK_MS: Final = 100
_PING_SECONDS: Final = 1.0
_LAST_WORDS_MS: Final = 200
_LARGEST_KEPT: Final = 2 << 20
_FAILURES: Final[dict[int, str]] = {
    zmq.EVENT_CLOSED: "nobody listens there",
    zmq.EVENT_DISCONNECTED: "the connection was cut",
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "it broke off before keys were proved",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "its key is not the one that is known here",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "it does not let this node's key in; there, run: enrgdaq"
    " keys allow {name}.public.toml --role node",
}


class HubLine:
    """Made on one thread and used on another, one after the other.

    libzmq's own reconnecting is off: what was under way when a connection broke is not known,
    so a new one begins a new session. Raises :class:`ServerAwayError` wherever the hub fails.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        endpoint: str,
        *,
        own: SecretKey | None,
        server: PublicKey | None,
        node: SupervisorInfo,
        rings: list[str],
        timeout_seconds: float,
        may_spool: bool,
        is_stopping: Callable[[], bool],
    ) -> None:
        """``may_spool``: not to wait for long while the hub says that it has no room."""
        self.session = uuid.uuid4().hex
        self.round_trip_ms: float | None = None
        self.endpoint = endpoint
        self._name = own.name if own is not None else ""
        self._timeout = timeout_seconds
        self._may_spool = may_spool
        self._is_stopping = is_stopping
        self._is_busy = False
        self._next = 0
        self._acked = 0
        self._bodies = _Bodies()
        self._heard_at = time.monotonic()
        self._pinged: tuple[int, float] | None = None
        self._pings = 0
        self._ping_due = 0.0
        self._socket = context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.setsockopt(zmq.RECONNECT_IVL, -1)
        self._socket.set_hwm(2 * wire.WINDOW)
        if own is not None and server is not None:
            secure_client(
                self._socket, own=own, server=server, largest_bytes=wire.FIRST_FRAME_BYTES
            )
        else:
            limit_socket(self._socket, wire.FIRST_FRAME_BYTES)
        watched = f"inproc://hub-line-{self.session}"
        events = 0
        for event in _FAILURES:
            events |= event
        self._socket.monitor(watched, events)
        self._monitor = context.socket(zmq.PAIR)
        self._monitor.linger = 0
        self._monitor.connect(watched)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)
        self._opened: wire.Opened | None = None
        self._topics: list[str] | None = None
        try:
            self._socket.connect(endpoint)
            self._send(
                wire.Open(version=wire.LINK_VERSION, session=self.session, node=node, rings=rings)
            )
            self._wait_until(lambda: self._opened is not None)
        except BaseException:
            self.close()
            raise

    @property
    def opened(self) -> wire.Opened:
        """What the hub said at the beginning."""
        if self._opened is None:
            raise AssertionError("a line that did not open is closed")
        return self._opened

    @property
    def peer(self) -> str:
        """The node at the other end."""
        return self.opened.node.supervisor_id

    @property
    def largest_bytes(self) -> int:
        """The largest record, with its header, that the other end has room for."""
        return self.opened.largest_bytes

    def take_topics(self) -> list[str] | None:
        """What the hub wants, once after each time that it said so."""
        topics, self._topics = self._topics, None
        return topics

    def look(self) -> None:
        """Take what the hub says on its own, and ask whether it is there; never waits."""
        self._hear(0)
        now = time.monotonic()
        if self._pinged is None:
            if now >= self._ping_due:
                self._pings += 1
                self._pinged = (self._pings, now)
                self._ping_due = now + _PING_SECONDS
                self._send(wire.Ping(session=self.session, number=self._pings))
        elif now - self._heard_at > self._timeout:
            raise ServerAwayError(f"{self.endpoint}: silent for {now - self._heard_at:.1f} s")

    def show_in(self, figures: LinkFigures) -> None:
        """Nothing more than what all links show."""

    def send(self, held: Sequence[Held], give_up: Callable[[], bool]) -> None:
        """Send records; when this returns, the hub has them.

        ``give_up`` says while it waits whether there is better to do than waiting.
        """
        for batch in batches(self.session, held, lambda: self._next):
            self._wait_until(lambda: self._next - self._acked < wire.WINDOW, give_up)
            frames = wire.encode(batch.head), self._bodies.fill(self._next, batch.pieces)
            self._next += 1
            try:
                self._socket.send_multipart(frames, zmq.NOBLOCK, copy=False)
            except zmq.Again as error:
                raise ServerAwayError(f"{self.endpoint}: takes nothing") from error
        self._wait_until(lambda: self._acked == self._next, give_up)

    def say_close(self) -> None:
        """Tell the hub that this node stops; before :meth:`close`."""
        self._socket.linger = _LAST_WORDS_MS
        self._send(wire.Close(session=self.session))

    def close(self) -> None:
        """End the connection; idempotent."""
        if not self._socket.closed:
            self._socket.disable_monitor()
            self._monitor.close()
            self._socket.close()

    def _wait_until(self, is_done: Callable[[], bool], give_up: Callable[[], bool] = bool) -> None:
        self._heard_at = time.monotonic()
        while not is_done():
            self._hear(_LOOK_MS)
            silent = time.monotonic() - self._heard_at
            if silent > self._timeout:
                said = "has had no room" if self._is_busy else "no answer"
                raise ServerAwayError(f"{self.endpoint}: {said} for {silent:.1f} s")
            if give_up():
                raise ServerAwayError(f"{self.endpoint}: slower than the data that comes in")

    def _hear(self, wait_ms: int) -> None:
        ready = dict(self._poller.poll(wait_ms))
        while self._socket in ready:
            try:
                data = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            try:
                self._take(wire.decode(wire.RECEIVER_DECODER, data))
            except TransportError as error:
                raise ServerAwayError(f"{self.endpoint}: {error}") from error
        if self._monitor in ready:
            event = parse_monitor_message(self._monitor.recv_multipart())["event"]
            reason = _FAILURES[event].format(name=self._name)
            raise ServerAwayError(f"{self.endpoint}: {reason}")

    def _take(self, message: wire.FromReceiver) -> None:
        if isinstance(message, wire.Refused):
            raise ServerAwayError(f"{self.endpoint}: {message.reason}")
        if isinstance(message, wire.Wanted):
            self._topics = message.topics
            return
        if message.session != self.session:
            return
        self._is_busy = isinstance(message, wire.Busy)
        if self._is_busy and self._is_stopping():
            raise ServerAwayError(f"{self.endpoint}: has no room, and this node is to stop")
        if self._is_busy and self._may_spool:
            return
        now = self._heard_at = time.monotonic()
        if isinstance(message, wire.Opened):
            self._opened, self._topics = message, message.topics
        elif isinstance(message, wire.Again):
            raise ServerAwayError(f"{self.endpoint}: has started anew")
        elif isinstance(message, wire.Ack):
            if not self._acked <= message.number < self._next:
                raise ServerAwayError(f"{self.endpoint}: acknowledges what was never sent")
            self._acked = message.number + 1
        elif (
            isinstance(message, wire.Pong)
            and self._pinged is not None
            and self._pinged[0] == message.number
        ):
            self.round_trip_ms = (now - self._pinged[1]) * 1e3
            self._pinged = None

    def _send(self, message: wire.FromSender) -> None:
        try:
            self._socket.send(wire.encode(message), zmq.NOBLOCK)
        except zmq.Again as error:
            raise ServerAwayError(f"{self.endpoint}: takes nothing") from error


class _Bodies:
    """Memory for the batches on their way, used again when they are acknowledged.

    Joining each into new memory was half of what a link's sender did, by a profile: it is freed by
    another thread and comes back as pages that must be cleared.
    """

    def __init__(self) -> None:
        self._buffers = [bytearray() for _ in range(wire.WINDOW)]

    def fill(self, number: int, pieces: Sequence[bytes | memoryview]) -> bytes | memoryview:
        """The pieces in one; valid until the batch of that number is acknowledged."""
        size = sum(map(len, pieces))
        if size > _LARGEST_KEPT:
            return b"".join(pieces)
        place = number % wire.WINDOW
        if len(self._buffers[place]) < size:
            self._buffers[place] = bytearray(_LARGEST_KEPT)
        body = memoryview(self._buffers[place])[:size]
        begin = 0
        for piece in pieces:
            end = begin + len(piece)
            body[begin:end] = piece
            begin = end
        return body
