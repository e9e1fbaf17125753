"""The sender's line: into this node's own stream, and again what its readers turn out to lack."""

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from enrgdaq.daq.models import LinkFigures
from enrgdaq.errors import ServerAwayError
from enrgdaq.federation.batching import Held
from enrgdaq.federation.jetstream import api
from enrgdaq.federation.jetstream.connection import Connection
from enrgdaq.federation.jetstream.missing import Missing
from enrgdaq.federation.jetstream.publishing import (
    WINDOW_BYTES,
    OutOfStepError,
    Publisher,
    StreamFullError,
    full_text,
)
from enrgdaq.federation.jetstream.readers import Readers
from enrgdaq.federation.jetstream.streams import data_config, ensure_stream
from enrgdaq.federation.jetstream.unread import Unread
from enrgdaq.federation.jetstream.writing import Writing
from enrgdaq.models import FederationNatsConfig

_HOUSE_SECONDS: Final = 2.0
_OPEN_SECONDS: Final = 20.0
_RETRY_SECONDS: Final = 0.25
_STEP_SECONDS: Final = 0.1
_MOST_STEPS: Final = 200
_STEPS_AGAIN: Final = 20
_AGAIN_A_TURN: Final = 8
"""Batches that are sent again before the job looks at other things."""
_FULL_SECONDS: Final = 3.0
"""To wait for room before it is said: longer than it takes readers to tell how far they are."""


class NatsLine:
    """Made on one thread and used on another, one after the other.

    Raises :class:`ServerAwayError` wherever the servers fail, and while nobody takes anything.
    """

    def __init__(
        self,
        connection: Connection,
        settings: FederationNatsConfig,
        node: str,
        unread: Unread,
        log: logging.Logger,
        *,
        patience_seconds: float,
    ) -> None:
        """``unread``: what was sent and is not known to be read, kept from line to line.

        ``patience_seconds``: to wait for a node that takes, and for room in the stream.
        """
        self._connection = connection
        self._unread = unread
        self._log = log
        self._config = data_config(settings, node)
        self._info = api.StreamInfo()
        self._readers = Readers(connection, settings, node, self._config.name, log)
        self._again: dict[str, int] = {}
        self._gone = ""
        try:
            self._publisher = connection.call(
                self._open(patience_seconds), patience_seconds + _OPEN_SECONDS
            )
            self._missing = Missing(self._info.state.last_seq)
            self._writing = Writing(connection, settings, node, self._publisher, unread, log)
            connection.begin(self._keep_house())
        except BaseException:
            connection.close()
            raise

    @property
    def peer(self) -> str:
        """The stream."""
        return self._config.name

    @property
    def round_trip_ms(self) -> float | None:
        """To the server and back."""
        return self._connection.round_trip_ms

    @property
    def largest_bytes(self) -> int:
        """What all nodes that take have room for."""
        return self._readers.largest_bytes

    def take_topics(self) -> list[str] | None:
        """What all other nodes want together, once after each change."""
        return self._readers.take_topics()

    def look(self) -> None:
        """Let go of what all have read, send again what was lost; raise when the server is gone."""
        self._connection.look()
        if self._gone:
            raise ServerAwayError(f"{self._connection.address}: {self._gone}")
        self._unread.release(self._readers.read_to)
        if not self._again:
            self._find_missing()
        self._send_again(bool)

    def send(self, held: Sequence[Held], give_up: Callable[[], bool]) -> None:
        """Send records; when this returns, the stream has stored and replicated them."""
        by_ring: dict[str, list[Held]] = {}
        for one in held:
            by_ring.setdefault(one.home.ring_uuid, []).append(one)
        while self._again:
            self._send_again(give_up)
        self._in_step(partial(self._writing.send, by_ring, give_up), give_up, _MOST_STEPS)

    def _in_step(
        self, publish: Callable[[], None], give_up: Callable[[], bool], steps: int
    ) -> None:
        """Publish, as often as it takes until the stream is where it was thought to be."""
        last: OutOfStepError | None = None
        for _ in range(steps):
            try:
                publish()
            except OutOfStepError as error:
                last = error
                # What is being stored takes its time.
                time.sleep(_STEP_SECONDS)
                if isinstance(error, StreamFullError):
                    self._wait_for_room(error, give_up)
                elif give_up():
                    raise ServerAwayError(f"{error}; slower than the data that comes in") from error
                # As on a new line: first the stream's number, then what it has of each ring.
                self._info = self._connection.call(self._look_at_stream())
                self._writing.start_over(self._info.state.last_seq)
            else:
                return
        if isinstance(last, StreamFullError):
            raise ServerAwayError(f"{last}, {steps} times") from last
        if steps == _MOST_STEPS:
            self._ask_for_another_leader()
        raise ServerAwayError(
            f"{last}, {steps} times: somebody else writes there too, or its servers do not agree on"
            f" its end; then restart the one that leads it, {leader_of(self._info)}"
        )

    def _ask_for_another_leader(self) -> None:
        """A leader may be wrong about its stream's end for good; the next one looks anew."""
        with contextlib.suppress(ServerAwayError):
            request = f"STREAM.LEADER.STEPDOWN.{self._config.name}"
            self._connection.call(self._connection.ask(api.Answer, request))

    def _find_missing(self) -> None:
        self._again = self._missing.rings(
            self._readers.words,
            {ring: self._unread.end_of(ring) for ring in self._unread.rings},
            created=self._info.created,
            last=self._info.state.last_seq,
            published=self._publisher.last_sequence,
            now=time.monotonic(),
        )
        for ring_uuid, place in self._again.items():
            if ring_uuid in self._unread.rings:
                self._log.warning(
                    "stream %s has lost what it had acknowledged: ring %s is sent again from %d on",
                    *(self._config.name, ring_uuid, place),
                )
            else:
                self._log.error(
                    "a node lacks ring %s behind %d, and nothing of it is kept here: what stream %s"
                    " had acknowledged is lost",
                    *(ring_uuid, place, self._config.name),
                )
                self._writing.go_on_from(ring_uuid, place)

    def _send_again(self, give_up: Callable[[], bool]) -> None:
        """Send some of what is missing, of one ring."""
        if not self._again:
            return
        ring_uuid, place = next(iter(self._again.items()))
        batches = list(itertools.islice(self._unread.after(ring_uuid, place), _AGAIN_A_TURN))
        if batches:
            again = partial(self._writing.send_again, batches, place, give_up)
            self._in_step(again, give_up, _STEPS_AGAIN)
            self._again[ring_uuid] = batches[-1].end
        else:
            del self._again[ring_uuid]
            self._missing.note_sent(ring_uuid, self._publisher.last_sequence, time.monotonic())

    def _wait_for_room(self, error: StreamFullError, give_up: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _FULL_SECONDS
        while self._connection.call(self._obstacle()):
            if time.monotonic() >= deadline or give_up():
                raise ServerAwayError(str(error)) from error
            time.sleep(_STEP_SECONDS)

    async def _look_at_stream(self) -> api.StreamInfo:
        return await self._connection.ask(api.StreamInfo, f"STREAM.INFO.{self._config.name}")

    def show_in(self, figures: LinkFigures) -> None:
        """Stream, leader, and what the slowest reader has not read yet."""
        figures.stream = self._config.name
        figures.leader = leader_of(self._info)
        figures.lag = self._readers.lag
        figures.unread_bytes = self._unread.bytes

    def say_close(self) -> None:
        """Nobody needs to know: what this node has sent stays."""

    def close(self) -> None:
        """End the connection; idempotent."""
        self._connection.close()

    async def _open(self, patience_seconds: float) -> Publisher:
        connection = self._connection
        self._info = await ensure_stream(connection, self._config)
        await self._readers.start()
        deadline = time.monotonic() + patience_seconds
        while obstacle := await self._obstacle():
            if time.monotonic() >= deadline:
                raise ServerAwayError(f"{connection.address}: {obstacle}")
            await asyncio.sleep(_RETRY_SECONDS)
        # What lands after this look makes the first message be refused.
        publisher = Publisher(connection, self._config.name, self._info.state.last_seq)
        await publisher.start()
        return publisher

    async def _obstacle(self) -> str:
        """Why nothing can be sent now; empty when it can. Looks at the stream anew."""
        if obstacle := self._readers.obstacle:
            return obstacle
        self._info = await self._look_at_stream()
        if not self._has_no_room(self._info.state):
            return ""
        await self._readers.remove_read(self._info)
        return full_text(self._config.name)

    def _has_no_room(self, state: api.StreamState) -> bool:
        room = self._config.max_bytes - state.bytes
        on_their_way = max(WINDOW_BYTES, self._connection.largest_message)
        return self._config.discard == "new" and room < min(
            on_their_way, self._config.max_bytes // 2
        )

    async def _keep_house(self) -> None:
        """While the line lives: figures, and room in the stream."""
        while True:
            # What fails now is tried again; whether the server is there, look() finds out.
            with contextlib.suppress(Exception):
                try:
                    self._info = await self._look_at_stream()
                    await self._readers.remove_read(self._info)
                except api.RefusedError as error:
                    if error.number == api.NO_STREAM:
                        # Nobody publishes while no data come, and then nobody else would notice.
                        self._gone = str(error)
                    raise
            await asyncio.sleep(_HOUSE_SECONDS)


def leader_of(info: api.StreamInfo) -> str:
    """The server that leads a stream; empty where it has only one."""
    return info.cluster.leader if info.cluster is not None else ""
