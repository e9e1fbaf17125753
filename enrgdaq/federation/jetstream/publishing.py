"""Messages on their way into a stream: a window of them, each only behind the one before it.

A message says which number the stream must have come to, and which message must be its last one.
So one that is late, or comes after one that was lost, is refused: what the stream holds of a ring
has no gap. The number alone is not enough: a late message of a connection that is dead may take the
place of one that is then refused, and the next one would fit behind it.
"""

import threading
import time
from collections.abc import Callable
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

WINDOW: Final = 8
"""Messages that wait for their acknowledgement at most."""
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


class Publisher:
    """Publishes from the job's thread; answers come in the connection's."""

    def __init__(self, connection: Connection, stream: str, last_sequence: int) -> None:
        self.stream = stream
        self.last_sequence = last_sequence
        """The stream's number when all that was published is stored."""
        self._connection = connection
        self._inbox = f"{connection.inbox}.ack"
        self._sent = 0
        self._answered = 0
        self._expected: dict[int, int] = {}
        self._last_id = ""
        self._refused: ServerAwayError | None = None
        """Why the first message was refused that was: those behind it tell nothing new."""
        self._changed = threading.Condition()
        self._heard_at = 0.0

    async def start(self) -> None:
        """Hear answers."""
        await self._connection.subscribe(f"{self._inbox}.*", self._take)

    def publish(self, message: Published, give_up: Callable[[], bool]) -> None:
        """Send one message, when the window has room for it."""
        self._wait_until(lambda: self._sent - self._answered < WINDOW, give_up)
        headers = {
            ID_HEADER: message.message_id,
            STREAM_HEADER: self.stream,
            LAST_SEQUENCE_HEADER: str(self.last_sequence),
            PLACE_HEADER: message.place,
        }
        if self._last_id:
            headers[LAST_ID_HEADER] = self._last_id
        number = self._sent
        with self._changed:
            self.last_sequence += 1
            self._last_id = message.message_id
            self._expected[number] = self.last_sequence
            self._sent += 1
        connection = self._connection
        connection.call(
            connection.client.publish(
                message.subject, message.data, f"{self._inbox}.{number}", headers=headers
            ),
            give_up=give_up,
        )

    def finish(self, give_up: Callable[[], bool]) -> None:
        """Wait until everything is stored."""
        self._wait_until(lambda: self._answered == self._sent, give_up)

    def step_to(self, last_sequence: int) -> None:
        """Go on from what the stream has come to, after :class:`OutOfStepError`."""
        self.last_sequence, self._last_id = last_sequence, ""
        self._refused = None

    def _wait_until(self, is_done: Callable[[], bool], give_up: Callable[[], bool]) -> None:
        address = self._connection.address
        self._heard_at = time.monotonic()
        with self._changed:
            while True:
                if self._refused is None:
                    if is_done():
                        return
                elif not isinstance(self._refused, OutOfStepError) or self._answered == self._sent:
                    raise self._refused
                self._changed.wait(_LOOK_SECONDS)
                silent = time.monotonic() - self._heard_at
                if silent > self._connection.timeout:
                    raise ServerAwayError(
                        f"{address}: stream {self.stream} has stored nothing for {silent:.1f} s"
                    )
                if give_up():
                    raise ServerAwayError(f"{address}: slower than the data that comes in")

    def _take(self, message: "Msg") -> None:
        with self._changed:
            self._answered += 1
            self._heard_at = time.monotonic()
            refusal = self._refusal(message)
            self._refused = self._refused or refusal
            self._changed.notify_all()

    def _refusal(self, message: "Msg") -> ServerAwayError | None:
        """Why what follows cannot be sent as it is; ``None`` when the message was stored."""
        address, stream = self._connection.address, self.stream
        if is_unserved(message):
            return ServerAwayError(f"{address}: nobody stores messages of stream {stream} now")
        try:
            answer = api.decode(api.PubAck, message.data)
            number = int(message.subject.rpartition(".")[2])
        except (TransportError, ValueError) as error:
            return ServerAwayError(f"{address}: {error}")
        sequence = self._expected.pop(number, 0)
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
