"""The reader's line: pulls from the streams of all other nodes, and acknowledges."""

import asyncio
import contextlib
import itertools
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

import nats.errors

from enrgdaq.errors import TransportError
from enrgdaq.federation.jetstream import api, names
from enrgdaq.federation.jetstream.arrival import Arrived, read_arrival
from enrgdaq.federation.jetstream.connection import Connection
from enrgdaq.federation.jetstream.nats_line import leader_of
from enrgdaq.federation.jetstream.pulling import Pull
from enrgdaq.federation.jetstream.streams import ensure_consumer, remove_consumer
from enrgdaq.federation.jetstream.unacknowledged import Unacknowledged
from enrgdaq.federation.jetstream.wants import (
    HasRead,
    Want,
    say_progress,
    say_want,
    wants_of_others,
)
from enrgdaq.models import FederationNatsConfig

if TYPE_CHECKING:
    from nats.aio.msg import Msg

_WINDOW: Final = 8
"""Messages of one stream that are asked for, or wait here, at most."""
_PULL_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 2.0
_RETRY_SECONDS: Final = 1.0
_PROGRESS_SECONDS: Final = 2.0  # a third of what redelivery takes
_ROOM_SECONDS: Final = 0.02
_WARN_SECONDS: Final = 10.0
_OPEN_SECONDS: Final = 15.0
_MOST_STREAMS: Final = 1_000
_ENDINGS: Final = ("404", "408")  # nothing there, time is over


class Begun(NamedTuple):
    """A stream is read from now on, and what it has."""

    node: str
    stream: str
    created: str
    acknowledged: int
    delivered: int
    first: int
    last: int


class Facts(NamedTuple):
    """What a stream says of itself: its leader, its first and last message, how full it is."""

    leader: str
    first: int
    last: int
    is_half_full: bool


class ReaderLine:
    """Made on one thread and used on another. Raises :class:`ServerAwayError`."""

    def __init__(
        self, connection: Connection, settings: FederationNatsConfig, node: str, log: logging.Logger
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._node = node
        self._log = log
        self._changed = threading.Condition()
        self._came: deque[tuple[str, Begun | Arrived]] = deque()
        self._counts: Counter[str] = Counter()
        self._unacknowledged = Unacknowledged()
        self._warn_after = 0.0
        self._pulls = 0
        self._numbers = itertools.count()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._renewals: dict[str, int] = {}
        self.paused: set[str] = set()
        """Streams of which no more is asked for now."""
        self.facts: dict[str, Facts] = {}
        """What is known of each stream that is read, by name."""
        try:
            connection.call(wants_of_others(connection, settings, node, log), _OPEN_SECONDS)
            connection.begin(self._find_streams())
            connection.begin(self._ask_for_patience())
        except BaseException:
            connection.close()
            raise

    @property
    def round_trip_ms(self) -> float | None:
        """To the server and back."""
        return self._connection.round_trip_ms

    def look(self) -> None:
        """Raise when the server is gone; never waits."""
        self._connection.look()

    def say(self, want: Want) -> None:
        """Tell all senders what is taken here; returns when the servers have it."""
        self._connection.call(say_want(self._connection, self._settings, want))

    def say_progress(self, sender: str, said: HasRead) -> None:
        """Tell a sender how far this node has come; never waits."""
        self._connection.begin(self._say_progress_to(sender, said))

    def take(self, seconds: float) -> list[tuple[str, Begun | Arrived]]:
        """What came, each with its stream's name; waits for it, but not longer than this."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._came), seconds)
            found = list(self._came)
            self._came.clear()
            self._counts.clear()
        return found

    def acknowledge(self, replies: Iterable[str]) -> None:
        """Tell the server that these are taken; never waits."""
        self._connection.begin(self._reply(list(replies)))

    def forget(self, stream: str) -> None:
        """Let the server deliver again what it has delivered of a stream; never waits."""
        self._connection.begin(self._forget(stream))

    def renew(self, stream: str, first: int) -> None:
        """Have the consumer made anew, which does not deliver what there is; never waits.

        ``first``: the message that it is to begin with.
        """
        self._renewals[stream] = first

    def ask_for(self, stream: str, number: int) -> Arrived | None:
        """A message by its number; ``None`` when the stream does not have it.

        Raises :class:`TransportError` for one that nobody who sends by our rules has written.
        """
        found = self._connection.call(self._ask_for(stream, number))
        if found is None:
            return None
        headers = api.headers_of(found.hdrs)
        return read_arrival(found.subject, headers, found.data, "", sequence=found.seq)

    def close(self) -> None:
        """End the connection; idempotent."""
        self._connection.close()

    async def _find_streams(self) -> None:
        subject = {"subject": names.all_data(self._settings.prefix)}
        while True:
            with contextlib.suppress(Exception):
                # What fails is tried again; whether the server is there, look() finds out.
                answer = await self._connection.ask(api.StreamNames, "STREAM.NAMES", subject)
                for stream in (answer.streams or [])[:_MOST_STREAMS]:
                    node = names.node_of_stream(self._settings.prefix, stream)
                    if node not in (None, self._node) and stream not in self._tasks:
                        work = self._read(str(node), stream)
                        self._tasks[stream] = asyncio.get_running_loop().create_task(work)
                await self._learn_facts()
            await asyncio.sleep(_LOOK_SECONDS)

    async def _learn_facts(self) -> None:
        for stream in list(self._tasks):
            try:
                info = await self._connection.ask(api.StreamInfo, f"STREAM.INFO.{stream}")
                self.facts[stream] = _facts(info)
            except (TransportError, nats.errors.Error):
                self.facts.pop(stream, None)

    async def _read(self, node: str, stream: str) -> None:
        inbox = f"{self._connection.inbox}.{next(self._numbers)}"
        pull = Pull()
        await self._connection.subscribe(f"{inbox}.*", lambda m: self._hear(stream, pull, m))
        while True:
            try:
                info = await self._connection.ask(api.StreamInfo, f"STREAM.INFO.{stream}")
                consumer = await self._consumer_of(stream, info)
                begun = Begun(
                    node,
                    stream,
                    info.created,
                    consumer.ack_floor.stream_seq,
                    consumer.delivered.stream_seq,
                    info.state.first_seq,
                    info.state.last_seq,
                )
                self.facts[stream] = _facts(info)
                self._unacknowledged.begin(stream)
                self._put(stream, begun)
                while not pull.has_failed and stream not in self._renewals:
                    await self._pull(stream, inbox, pull)
            except api.RefusedError as error:
                self._warn(str(error))
                if error.number == api.NO_STREAM:
                    del self._tasks[stream]
                    return
            except Exception as error:  # noqa: BLE001 - said now and then, and tried again
                self._warn(f"stream {stream}: {error}")
            pull.has_failed = False
            await asyncio.sleep(_RETRY_SECONDS)

    async def _consumer_of(self, stream: str, info: api.StreamInfo) -> api.ConsumerInfo:
        first = self._renewals.get(stream, 0)
        # Servers remove what nobody is interested in: there it must not be gone for a moment.
        if first and info.config.retention == "limits":
            self._log.warning(
                "stream %s does not deliver all that it has: its consumer is made anew", stream
            )
            await remove_consumer(self._connection, stream, self._node)
        found = await ensure_consumer(self._connection, stream, self._node, first=first)
        self._renewals.pop(stream, None)
        return found

    async def _pull(self, stream: str, inbox: str, pull: Pull) -> None:
        while self._counts[stream] > _WINDOW // 2 or stream in self.paused:
            await asyncio.sleep(_ROOM_SECONDS)
        self._pulls += 1
        reply = f"{inbox}.{self._pulls}"
        pull.begin(reply)
        request = {"batch": _WINDOW, "expires": int(_PULL_SECONDS * 1e9)}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{names.token(self._node)}"
        await self._connection.client.publish(subject, api.encode(request), reply)
        await pull.wait(_PULL_SECONDS + _RETRY_SECONDS)

    def _hear(self, stream: str, pull: Pull, message: "Msg") -> None:
        if not message.reply:
            if message.subject == pull.reply:
                pull.has_failed = (message.headers or {}).get("Status") not in _ENDINGS
                pull.end()
            return
        pull.got += 1
        if pull.got >= _WINDOW:
            pull.end()
        try:
            arrived = read_arrival(
                message.subject, message.headers or {}, message.data, message.reply
            )
        except TransportError as error:
            # Its number is asked for later, and then passed.
            self._warn(f"stream {stream}: message dropped: {error}")
            self.acknowledge([message.reply])
            return
        self._unacknowledged.hear(stream, arrived.sequence, message.reply, time.monotonic())
        self._put(stream, arrived)

    def _put(self, stream: str, one: Begun | Arrived) -> None:
        with self._changed:
            self._came.append((stream, one))
            self._counts[stream] += 1
            self._changed.notify_all()

    def _warn(self, text: str) -> None:
        now = time.monotonic()
        if now >= self._warn_after:
            self._warn_after = now + _WARN_SECONDS
            self._log.warning("%s", text)

    async def _reply(self, replies: list[str]) -> None:
        with contextlib.suppress(Exception):
            for reply in replies:
                self._unacknowledged.end(reply)
                await self._connection.client.publish(reply, b"+ACK")

    async def _forget(self, stream: str) -> None:
        self._unacknowledged.begin(stream)

    async def _say_progress_to(self, sender: str, said: HasRead) -> None:
        with contextlib.suppress(Exception):
            await say_progress(self._connection, self._settings, sender, said)

    async def _ask_for_patience(self) -> None:
        """What waits for room in the mirror ring is not to come again meanwhile."""
        while True:
            await asyncio.sleep(_PROGRESS_SECONDS)
            late = time.monotonic() - _PROGRESS_SECONDS
            with contextlib.suppress(Exception):
                for reply in self._unacknowledged.since(late):
                    await self._connection.client.publish(reply, b"+WPI")

    async def _ask_for(self, stream: str, number: int) -> api.StoredMessage | None:
        try:
            answer = await self._connection.ask(
                api.MessageAnswer, f"STREAM.MSG.GET.{stream}", {"seq": number}
            )
        except api.RefusedError as error:
            if error.is_not_found:
                return None
            raise
        return answer.message


def _facts(info: api.StreamInfo) -> Facts:
    state = info.state
    is_half_full = 0 < info.config.max_bytes <= 2 * state.bytes
    return Facts(leader_of(info), state.first_seq, state.last_seq, is_half_full)
