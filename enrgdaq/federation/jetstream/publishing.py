"""Messages on their way into a stream: a window of them, each only behind the one before it.

A message says which number the stream must have come to, and which message must be its last one.
So one that is late, or comes after one that was lost, is refused: what the stream holds of a ring
has no gap. The number alone is not enough: a late message of a connection that is dead may take the
place of one that is then refused, and the next one would fit behind it.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final, NamedTuple

from enrgdaq.errors import ServerAwayError, TransportError
from enrgdaq.federation.jetstream import api
from enrgdaq.federation.jetstream.connection import Connection, is_unserved
from enrgdaq.federation.jetstream.messages import (
    ID_HEADER,
    LAST_ID_HEADER,
    LAST_SEQUENCE_HEADER,
    PLACE_HEADER,
    STREAM_HEADER,
)

if TYPE_CHECKING:
    from nats.aio.msg import Msg

WINDOW_BYTES: Final = 8 << 20
"""What waits for its acknowledgement at most, or one message that is larger."""
_WINDOW: Final = 64
"""Messages that do."""
_LOOK_SECONDS: Final = 0.1


class OutOfStepError(ServerAwayError):
    """The stream has come to another number than was counted here; nothing is under way now."""


class StreamFullError(OutOfStepError):
    """The stream takes no more before somebody makes room; nothing is under way now."""


class Published(NamedTuple):
    """A message on its way; ``place``: its header of that name."""

    subject: str
    data: bytes
    message_id: str
    place: str


class _OnItsWay(NamedTuple):
    sequence: int
    """The number that the stream is to give it."""
    size: int


class Publisher:
    """Publishes from the job's thread; answers come in the connection's."""

    def __init__(self, connection: Connection, stream: str, last_sequence: int) -> None:
        self.stream = stream
        self.last_sequence = last_sequence
        """The stream's number when all that was published is stored."""
        self._connection = connection
        self._inbox = f"{connection.inbox}.ack"
        self._sent = 0
        self._on_their_way: dict[str, _OnItsWay] = {}
        """What is not answered yet, by where the answer goes."""
        self._bytes = 0
        """Of these."""
        self._last_id = ""
        self._refused: ServerAwayError | None = None
        """Why the first message was refused that was: those behind it tell nothing new."""
        self._changed = threading.Condition()
        self._heard_at = 0.0

    async def start(self) -> None:
        """Hear answers."""
        await self._connection.subscribe(f"{self._inbox}.*", self._take)

    def publish(self, message: Published, give_up: Callable[[], bool]) -> None:
        """Put one message on its way, when the window has room for it."""
        size = len(message.data)
        self._wait_until(lambda: self._has_room(size), give_up)
        headers = {
            ID_HEADER: message.message_id,
            STREAM_HEADER: self.stream,
            LAST_SEQUENCE_HEADER: str(self.last_sequence),
            PLACE_HEADER: message.place,
        }
        if self._last_id:
            headers[LAST_ID_HEADER] = self._last_id
        reply = f"{self._inbox}.{self._sent}"
        with self._changed:
            self.last_sequence += 1
            self._last_id = message.message_id
            self._on_their_way[reply] = _OnItsWay(self.last_sequence, size)
            self._sent += 1
            self._bytes += size
        # Not waited for: what comes next is made ready while the client writes this one.
        publish = self._connection.client.publish(
            message.subject, message.data, reply, headers=headers
        )
        self._connection.begin(publish).add_done_callback(self._note_failure)

    def finish(self, give_up: Callable[[], bool]) -> None:
        """Wait until everything is stored."""
        self._wait_until(lambda: not self._on_their_way, give_up)

    def step_to(self, last_sequence: int) -> None:
        """Go on from what the stream has come to, after :class:`OutOfStepError`."""
        self.last_sequence, self._last_id = last_sequence, ""
        self._refused = None

    def _has_room(self, size: int) -> bool:
        under_way = len(self._on_their_way)
        fits = under_way < _WINDOW and self._bytes + size <= WINDOW_BYTES
        return fits or not under_way

    def _wait_until(self, is_done: Callable[[], bool], give_up: Callable[[], bool]) -> None:
        address = self._connection.address
        self._heard_at = time.monotonic()
        with self._changed:
            while True:
                if self._refused is None:
                    if is_done():
                        return
                elif not isinstance(self._refused, OutOfStepError) or not self._on_their_way:
                    raise self._refused
                self._connection.check()
                self._changed.wait(_LOOK_SECONDS)
                silent = time.monotonic() - self._heard_at
                if silent > self._connection.timeout:
                    raise ServerAwayError(
                        f"{address}: stream {self.stream} has stored nothing for {silent:.1f} s"
                    )
                if give_up():
                    raise ServerAwayError(f"{address}: slower than the data that comes in")

    def _note_failure(self, handed_over: "Future[None]") -> None:
        """The client does not take a message, so no answer will come."""
        if handed_over.cancelled() or (error := handed_over.exception()) is None:
            return
        with self._changed:
            self._refused = ServerAwayError(
                f"{self._connection.address}: {str(error) or type(error).__name__}"
            )
            self._changed.notify_all()

    def _take(self, message: "Msg") -> None:
        with self._changed:
            self._heard_at = time.monotonic()
            expected = self._on_their_way.pop(message.subject, _OnItsWay(0, 0))
            self._bytes -= expected.size
            refusal = self._refusal(message, expected.sequence)
            self._refused = self._refused or refusal
            self._changed.notify_all()

    def _refusal(self, message: "Msg", sequence: int) -> ServerAwayError | None:
        """Why what follows cannot be sent as it is; ``None`` when the message was stored."""
        address, stream = self._connection.address, self.stream
        if is_unserved(message):
            return ServerAwayError(f"{address}: nobody stores messages of stream {stream} now")
        try:
            answer = api.decode(api.PubAck, message.data)
        except TransportError as error:
            return ServerAwayError(f"{address}: {error}")
        if answer.error is not None:
            return self._refusal_for(answer.error)
        if answer.seq != sequence or answer.duplicate:
            # It came by an earlier line; what follows counts from another number. A number of 0:
            # its leader has seen the message, and may still lose it.
            how = "has it already" if answer.duplicate and answer.seq else "is storing it"
            return OutOfStepError(f"{address}: stream {stream} {how}")
        return None

    def _refusal_for(self, error: api.ApiError) -> ServerAwayError:
        address, stream = self._connection.address, self.stream
        if error.err_code == api.STREAM_FULL:
            return StreamFullError(f"{address}: {full_text(stream)}")
        if error.err_code in (api.WRONG_LAST_SEQUENCE, api.WRONG_LAST_ID):
            return OutOfStepError(f"{address}: stream {stream} has more than this line has sent")
        return ServerAwayError(f"{address}: stream {stream}: {error.description}")


def full_text(stream: str) -> str:
    """What is said of a stream that has come to its limit."""
    return (
        f"stream {stream} is full: those who take have not read it yet, or keep it; see"
        " max_size_mb and remove_read in [federation.nats]"
    )
