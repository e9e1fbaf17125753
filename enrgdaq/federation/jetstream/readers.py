"""Who reads a sender's stream: what they take, how far they are, and what none needs any more."""

import asyncio
import contextlib
import logging
import threading
from typing import TYPE_CHECKING, Final

import msgspec

from enrgdaq.errors import TransportError
from enrgdaq.federation.jetstream import api, names
from enrgdaq.federation.jetstream.connection import Connection
from enrgdaq.federation.jetstream.streams import all_consumers, ensure_consumer
from enrgdaq.federation.jetstream.wants import (
    HasRead,
    Want,
    progress_of_others,
    read_progress,
    read_want,
    union,
    wants_of_others,
)
from enrgdaq.models import FederationNatsConfig

if TYPE_CHECKING:
    from nats.aio.msg import Msg


_RETRY_SECONDS: Final = 1.0


class Readers:
    """The nodes that take, as they say themselves. Made and heard in the connection's loop."""

    def __init__(
        self,
        connection: Connection,
        settings: FederationNatsConfig,
        node: str,
        stream: str,
        log: logging.Logger,
    ) -> None:
        self.lag = 0
        """Messages that the slowest of them has not taken."""
        self._connection = connection
        self._settings = settings
        self._node = node
        self._stream = stream
        self._log = log
        self._wants: dict[str, Want] = {}
        self._heard: dict[str, Want] = {}
        self._lock = threading.Lock()
        self._progress: dict[str, HasRead] = {}
        self._has_news = True
        self._purged = 0

    @property
    def largest_bytes(self) -> int:
        """What all of them have room for."""
        with self._lock:
            return min(want.largest_bytes for want in self._wants.values())

    @property
    def obstacle(self) -> str:
        """Why nothing is to be sent yet; empty when it may."""
        silent = [node for node in self._settings.wait_for if node not in self._wants]
        if silent:
            return f"node {', '.join(silent)} of wait_for has not said yet what it takes"
        return "" if self._wants else "no node takes anything yet; set receive = true on one"

    @property
    def words(self) -> list[HasRead]:
        """How far each of them has come, as far as it has said so."""
        return [word for word in self._said() if word is not None]

    def read_to(self, ring_uuid: str) -> int:
        """Up to where all of them have a ring."""
        ends = (word.rings.get(ring_uuid, 0) if word is not None else 0 for word in self._said())
        return min(ends, default=0)

    def take_topics(self) -> list[str] | None:
        """What they want together, once after each change."""
        with self._lock:
            if not self._has_news:
                return None
            self._has_news = False
            return union(self._wants)

    async def start(self) -> None:
        """Hear what they say, and read what they have said last."""
        connection, settings = self._connection, self._settings
        await connection.subscribe(names.wanted_subjects(settings.prefix), self._hear)
        subjects = names.read_subjects(settings.prefix, self._node)
        await connection.subscribe(subjects, self._hear_progress)
        wants = await wants_of_others(connection, settings, self._node, self._log)
        progress = await progress_of_others(connection, settings, self._node, self._log)
        for node in wants:
            await ensure_consumer(connection, self._stream, node)
        # What was heard meanwhile is newer.
        self._progress = {**progress, **self._progress}
        with self._lock:
            self._wants = {**wants, **self._wants}

    async def remove_read(self, info: api.StreamInfo) -> None:
        """Make room: what all have taken goes. ``info``: of the stream, as it is now."""
        with self._lock:
            # Nothing goes before a node that has just spoken has its consumer.
            readers = list(self._wants | self._heard)
        read = min((self._read_by(node, info) for node in readers), default=0)
        self.lag = max(0, info.state.last_seq - read)
        if not self._settings.remove_read or self._settings.retention != "limits":
            return
        if 2 * info.state.bytes < self._settings.max_size_mb << 20:
            # Seldom and much: a server that is killed while it removes may lose more than that.
            return
        ours = {names.token(node) for node in readers}
        for consumer in await all_consumers(self._connection, self._stream):
            if consumer.name not in ours:
                # Somebody else's, who reads in order as well.
                read = min(read, consumer.ack_floor.stream_seq)
        # The last one stays: it tells how far its ring is stored.
        keep = min(read + 1, info.state.last_seq)
        if keep > max(self._purged, info.state.first_seq):
            await self._connection.ask(api.Answer, f"STREAM.PURGE.{self._stream}", {"seq": keep})
            self._purged = keep

    def _said(self) -> list[HasRead | None]:
        with self._lock:
            return [self._progress.get(node) for node in self._wants | self._heard]

    def _read_by(self, node: str, info: api.StreamInfo) -> int:
        said = self._progress.get(node)
        return said.number if said is not None and said.created == info.created else 0

    def _hear(self, message: "Msg") -> None:
        try:
            want = read_want(message.data, message.subject, self._settings.prefix)
        except TransportError:
            # Of a stranger, or of a version to come; what a node said before stays.
            return
        if want.node != self._node:
            self._heard[want.node] = want
            self._connection.begin(self._meet(want))

    def _hear_progress(self, message: "Msg") -> None:
        with contextlib.suppress(TransportError):
            prefix = self._settings.prefix
            said = read_progress(message.data, message.subject, prefix, self._node)
            before = self._progress.get(said.node)
            # A word names the rings that moved last; of others what it said before still holds.
            rings = {**before.rings, **said.rings} if before is not None else said.rings
            self._progress[said.node] = msgspec.structs.replace(said, rings=rings)

    async def _meet(self, want: Want) -> None:
        """First its consumer is there, then things are sent for it."""
        is_first = True
        # A newer word of the same node takes over.
        while self._heard.get(want.node) is want:
            try:
                await ensure_consumer(self._connection, self._stream, want.node)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
                if is_first:
                    self._log.warning("node %s has to wait: %s", want.node, error)
                is_first = False
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            with self._lock:
                if self._heard.get(want.node) is want:
                    self._wants[want.node] = want
                    del self._heard[want.node]
                    self._has_news = True
