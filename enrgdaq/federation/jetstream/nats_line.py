"""The sender's line: batches of one ring each, into this node's own stream."""

import asyncio
import contextlib
import itertools
import logging
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Final

from enrgdaq.daq.models import LinkFigures
from enrgdaq.errors import ServerAwayError
from enrgdaq.federation.batching import Held, batches
from enrgdaq.federation.jetstream import api, names
from enrgdaq.federation.jetstream.connection import Connection
from enrgdaq.federation.jetstream.messages import (
    HEADER_ROOM,
    PLACE_HEADER,
    Part,
    parts,
    read_place,
    write_place,
)
from enrgdaq.federation.jetstream.publishing import (
    WINDOW,
    OutOfStepError,
    Published,
    Publisher,
    StreamFullError,
    full_text,
)
from enrgdaq.federation.jetstream.readers import Readers
from enrgdaq.federation.jetstream.streams import data_config, ensure_stream
from enrgdaq.models import FederationNatsConfig

_HOUSE_SECONDS: Final = 2.0
_OPEN_SECONDS: Final = 20.0
_RETRY_SECONDS: Final = 0.25
_STEP_SECONDS: Final = 0.1
_BATCH_OVERHEAD: Final = 256 << 10  # a batch's first frame, for many small records
_MOST_BATCH_BYTES: Final = 4 << 20  # half of what a reader has room for besides a record
_SESSION_LETTERS: Final = 8
_MOST_STEPS: Final = 200
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
        stored: dict[str, int],
        log: logging.Logger,
        *,
        patience_seconds: float,
    ) -> None:
        """``stored``: how far rings are known to be stored, kept from line to line.

        ``patience_seconds``: to wait for a node that takes, and for room in the stream.
        """
        self._connection = connection
        self._settings = settings
        self._node = node
        self._stored = stored
        self._log = log
        self._config = data_config(settings, node)
        self._session = uuid.uuid4().hex
        self._is_again = False
        self._numbers = itertools.count()
        self._before: dict[str, int] = {}
        self._doubted: set[str] = set()
        self._info = api.StreamInfo()
        self._readers = Readers(connection, settings, node, self._config.name, log)
        try:
            self._publisher = connection.call(
                self._open(patience_seconds), patience_seconds + _OPEN_SECONDS
            )
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
        """Raise when the server is gone; never waits."""
        self._connection.look()

    def send(self, held: Sequence[Held], give_up: Callable[[], bool]) -> None:
        """Send records; when this returns, the stream has stored and replicated them."""
        by_ring: dict[str, list[Held]] = {}
        for one in held:
            by_ring.setdefault(one.home.ring_uuid, []).append(one)
        last: OutOfStepError | None = None
        for _ in range(_MOST_STEPS):
            try:
                self._send_rings(by_ring, give_up)
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
                self._before.clear()
                # Parts that are stored already are to be stored again, with the rest behind them.
                self._session = uuid.uuid4().hex
                self._is_again = True
                self._publisher.step_to(self._info.state.last_seq)
            else:
                self._is_again = False
                return
        raise ServerAwayError(
            f"{last}, {_MOST_STEPS} times: somebody else writes there too, or its servers do not"
            f" agree on its end; then restart the one that leads it, {leader_of(self._info)}"
        )

    def _send_rings(self, by_ring: dict[str, list[Held]], give_up: Callable[[], bool]) -> None:
        for ring_uuid, records in by_ring.items():
            if ring_uuid not in self._before:
                self._before[ring_uuid] = self._known_end(ring_uuid)
            known = self._before[ring_uuid]
            self._send_ring(ring_uuid, [r for r in records if r.record.end > known], give_up)
        self._publisher.finish(give_up)

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

    def say_close(self) -> None:
        """Nobody needs to know: what this node has sent stays."""

    def close(self) -> None:
        """End the connection; idempotent."""
        self._connection.close()

    def _send_ring(
        self, ring_uuid: str, records: Sequence[Held], give_up: Callable[[], bool]
    ) -> None:
        subject = names.data_subject(self._settings.prefix, self._node, ring_uuid)
        largest = self._connection.largest_message - HEADER_ROOM
        made = batches(
            self._session,
            records,
            lambda: next(self._numbers),
            most_bytes=min(max(largest - _BATCH_OVERHEAD, largest // 2), _MOST_BATCH_BYTES),
        )
        for batch in made:
            for part in parts(batch, self._before[ring_uuid], largest):
                place = part.place
                message = Published(
                    subject,
                    part.data,
                    self._message_id(ring_uuid, part),
                    write_place(place),
                    ring_uuid,
                    place.stored_end,
                )
                self._publisher.publish(message, give_up)
            self._before[ring_uuid] = batch.head.records[-1].end

    def _message_id(self, ring_uuid: str, part: Part) -> str:
        place = part.place
        found = f"{ring_uuid}:{place.before}-{place.end}"
        if place.parts == 1 and not self._is_again:
            return found
        # A batch that was left half sent is sent again from its first part on. And a leader that
        # has lost a message before it was stored still knows its id, for the duplicate window:
        # under the same one it would be refused for so long.
        return f"{found}:{self._session[:_SESSION_LETTERS]}:{place.part}"

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
        publisher = Publisher(
            connection, self._config.name, self._info.state.last_seq, self._stored
        )
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
        most = min(WINDOW * self._connection.largest_message, self._config.max_bytes // 2)
        return self._config.discard == "new" and room < most

    def _known_end(self, ring_uuid: str) -> int:
        found = self._connection.call(self._stored_end(ring_uuid))
        known = self._stored.get(ring_uuid, 0)
        if 0 < found < known and ring_uuid not in self._doubted:
            self._doubted.add(ring_uuid)
            self._log.warning(
                "stream %s says that it has ring %s to %d, and had acknowledged it to %d",
                *(self._config.name, ring_uuid, found, known),
            )
        return max(found, known)

    async def _stored_end(self, ring_uuid: str) -> int:
        """How far a ring is stored, by the last message of its subject."""
        subject = names.data_subject(self._settings.prefix, self._node, ring_uuid)
        try:
            answer = await self._connection.ask(
                api.MessageAnswer, f"STREAM.MSG.GET.{self._config.name}", {"last_by_subj": subject}
            )
        except api.RefusedError as error:
            if error.is_not_found:
                return 0
            raise
        found = api.headers_of(answer.message.hdrs) if answer.message is not None else {}
        return read_place(found.get(PLACE_HEADER, "")).stored_end

    async def _keep_house(self) -> None:
        """While the line lives: figures, and room in the stream."""
        while True:
            # What fails now is tried again; whether the server is there, look() finds out.
            with contextlib.suppress(Exception):
                self._info = await self._look_at_stream()
                await self._readers.remove_read(self._info)
            await asyncio.sleep(_HOUSE_SECONDS)


def leader_of(info: api.StreamInfo) -> str:
    """The server that leads a stream; empty where it has only one."""
    return info.cluster.leader if info.cluster is not None else ""
