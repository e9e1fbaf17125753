"""Who sends: a store whose disk is another node."""

import contextlib
import datetime as dt
import itertools
import socket as sockets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import msgspec
import zmq
from msgspec import Meta

from enrgdaq.daq.consume import MessageStream
from enrgdaq.daq.host import ProcessHost
from enrgdaq.daq.inbox import Sender
from enrgdaq.daq.mirrored import Home
from enrgdaq.daq.models import DAQJobMessage, LinkFigures
from enrgdaq.daq.store.journal import Position, replace_file
from enrgdaq.daq.store.models import DAQJobMessageStore, DAQJobStoreConfigBase
from enrgdaq.daq.store.server_store import DAQJobServerStore, DAQJobServerStoreConfig, Kept
from enrgdaq.errors import CodecError, ServerAwayError, StoreError
from enrgdaq.federation import wire
from enrgdaq.federation.endpoints import (
    DEFAULT_LINK_PORT,
    WANTED_FILE,
    endpoint,
    host_and_port,
)
from enrgdaq.federation.headers import Addresses
from enrgdaq.federation.hub_line import HubLine, SentBatch
from enrgdaq.keys import KeyFolder
from enrgdaq.transport.ring import Record, RecordKind, RingReader

# With the window of a line this is all that a spoke can make its hub hold in memory.
_BATCH_BYTES: Final = 1 << 19
_LOOK_SECONDS: Final = 0.1
_PATIENCE_SECONDS: Final = 1.0


class DAQJobUplinkConfig(DAQJobServerStoreConfig, kw_only=True):
    """Made from ``[federation]`` of ``supervisor.toml``."""

    server: Annotated[str, Meta(description="the hub's link, tcp://HOST:PORT, or a socket of it")]
    not_from: Annotated[
        str | None,
        Meta(description="the node to send to, from all others; only from here if unset"),
    ] = None
    keys_dir: Annotated[str, Meta(description="folder of this node's keys")]
    server_key: Annotated[
        str | None, Meta(description="name of the hub's public key; the only one if unset")
    ] = None
    insecure: Annotated[bool, Meta(description="the hub asks for no keys")] = False


class _Held(msgspec.Struct, frozen=True, gc=False):
    """A record that the hub does not have yet."""

    home: Home
    record: Record
    topics: tuple[str, ...]


class DAQJobUplink(DAQJobServerStore[HubLine]):
    """Sends what the other node wants, and lets go of it when it is there.

    On a spoke the other node is the hub; on a hub, as a downlink, one of its spokes.

    Batching, waiting, the spool and what is read again after a failure are those of every
    store that writes to a server.
    """

    config_type = DAQJobUplinkConfig
    config: DAQJobUplinkConfig
    allowed_store_config_types: ClassVar[list[type[DAQJobStoreConfigBase]]] = []

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        self._is_local = config.server.startswith("ipc://")
        self._endpoint = (
            config.server if self._is_local else endpoint(config.server, DEFAULT_LINK_PORT)
        )
        super().__init__(config, *args, **kwargs)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._addresses = Addresses()
        self._look_at = 0.0
        self._patient_until = 0.0
        self._figures = LinkFigures(
            peer=self._endpoint, is_sender=True, state="away", since=dt.datetime.now(dt.UTC)
        )

    @property
    def address(self) -> str:
        """The hub's address."""
        return self._endpoint

    def connect(self) -> HubLine:
        """A session with the hub."""
        keys = KeyFolder(Path(self.config.keys_dir))
        is_secret = not self.config.insecure
        if not self._is_local:
            try:
                # libzmq would wait for a name that is not known in silence.
                sockets.getaddrinfo(*host_and_port(self.config.server, DEFAULT_LINK_PORT))
            except OSError as error:
                raise ServerAwayError(f"{self._endpoint}: {error.strerror}") from error
        return HubLine(
            self._context,
            self._endpoint,
            own=keys.secret(self.supervisor_id) if is_secret else None,
            server=keys.server(self.config.server_key) if is_secret else None,
            node=self.process.supervisor,
            rings=sorted(self.known_rings),
            timeout_seconds=self.config.timeout_seconds,
        )

    @property
    def process(self) -> ProcessHost:
        """The process around this job."""
        if not isinstance(self._host, ProcessHost):
            raise StoreError("a link runs in a supervisor's process only")
        return self._host

    def is_alive(self, connection: HubLine) -> bool:
        """Whether the hub still answers."""
        try:
            connection.look()
        except ServerAwayError:
            return False
        return True

    def arrivals(
        self, stream: MessageStream
    ) -> Iterator[tuple[Sender, RingReader, Record, Sequence[DAQJobMessage]]]:
        """Records as they are: what is in them is for those who read them there."""
        return ((sender, reader, record, ()) for sender, reader, record in stream.take())

    def messages_in(
        self, stream: MessageStream, sender: Sender, record: Record
    ) -> Sequence[DAQJobMessage]:
        """None: what was spooled goes as it is too."""
        return ()

    def keep(self, sender: Sender, record: Record, messages: Sequence[DAQJobMessage]) -> None:
        """Keep a record for the next flush, unless it is to stay here.

        Nothing goes back to where it came from, and a spoke sends what is its own: in a star no
        record can go round.
        """
        home = sender.home.supervisor.supervisor_id
        not_from = self.config.not_from
        if home == not_from or (not_from is None and home != self.supervisor_id):
            return
        try:
            address = self._addresses.of(record.header)
        except CodecError as error:
            self.log.error("record of %s does not travel: %s", sender.home.producer, error)
            return
        if not address.stays_here:
            held = _Held(sender.home, record, address.topics)
            position = Position(sender.home.ring_uuid, record.end)
            self._kept.append(Kept(held, position, self.put_aside))

    def body_of(self, message: DAQJobMessageStore) -> Any:
        """Not asked: records travel as they are."""
        raise TypeError("a link takes records, not messages")

    def write(self, connection: HubLine, kept: list[Kept]) -> None:
        """Send records; when this returns they are in the hub's mirror ring."""
        largest = connection.opened.largest_bytes
        for held in (one.body for one in kept):
            size = len(held.record.header) + len(held.record.payload)
            if size > largest:
                raise ServerAwayError(
                    f"{self._endpoint}: has no room for a message of {size / 1e6:.1f} MB of"
                    f" {held.home.producer}: there, set mirror_size_mb ="
                    f" {-(-2 * size // (1 << 20)) + 1} or more in [federation]"
                )
        self._patient_until = time.monotonic() + _PATIENCE_SECONDS
        batches = _batches(connection, [one.body for one in kept])
        connection.deliver(batches, self._is_falling_behind)
        self._figures.messages += sum(one.body.record.messages for one in kept)
        self._figures.bytes += sum(len(one.body.record.payload) for one in kept)

    def tend(self) -> None:
        """Hear what the hub wants, and whether it is there."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_SECONDS
        try:
            line = self._link.get()
            try:
                line.look()
            except ServerAwayError as error:
                raise self._link.lost(error) from error
        except ServerAwayError as error:
            self._show(None)
            if self._spooler is None or not self._spooler.is_in_use:
                self.set_condition(f"waiting for server {error}")
            return
        self._link.worked()
        topics = line.take_topics()
        if topics is not None:
            self._want(topics)
        self._show(line)

    def say_waiting(self, what: str, reason: str) -> None:
        """Say it in the figures of the link too."""
        super().say_waiting(what, reason)
        self._show(None)

    def free(self) -> None:
        """End the session; the hub is told."""
        with contextlib.suppress(ServerAwayError):
            self._link.get().say_close()
        super().free()
        self._context.term()

    def _want(self, topics: list[str]) -> None:
        self.process.want_topics(topics)
        file = Path(self.config.out_dir) / WANTED_FILE
        try:
            replace_file(file, msgspec.json.encode(topics))
        except OSError as error:
            # No reason not to go on: a start while the hub is away will take what it took before.
            self.log.error("%s: %s", file, error.strerror)

    def _show(self, line: HubLine | None) -> None:
        figures = self._figures
        is_up = line is not None
        if is_up != (figures.state == "up"):
            figures.state = "up" if is_up else "away"
            figures.since = dt.datetime.now(dt.UTC)
            if is_up and self._spooler is not None and not self._spooler.is_in_use:
                self.say_working("")
        if line is not None:
            figures.peer = line.opened.node.supervisor_id
        figures.round_trip_ms = line.round_trip_ms if line is not None else None
        self.process.links = [figures]

    def _is_falling_behind(self) -> bool:
        """Whether producers would soon wait for the hub: then records go to the spool."""
        if self._spooler is None or not self._spooler.may_move:
            return False
        if self._spooler.is_in_use or time.monotonic() < self._patient_until:
            return False
        return any(2 * r.ahead_bytes >= r.ring.capacity for r in self._readers())


def _batches(connection: HubLine, held: list[_Held]) -> Iterator[SentBatch]:
    """Cut records into batches; each is made when the one before it is on its way."""
    first = 0
    while first < len(held):
        size, last = 0, first
        for one in itertools.islice(held, first, first + wire.MOST_RECORDS):
            size += len(one.record.header) + len(one.record.payload)
            if last > first and size > _BATCH_BYTES:
                break
            last += 1
        yield _batch(connection, held[first:last])
        first = last


def _batch(connection: HubLine, held: list[_Held]) -> SentBatch:
    homes: dict[str, int] = {}
    heads: dict[bytes, int] = {}
    batch = wire.Batch(
        session=connection.session, number=connection.next_number, homes=[], heads=[], records=[]
    )
    for one in held:
        record, ring = one.record, one.home.ring_uuid
        if ring not in homes:
            homes[ring] = len(homes)
            batch.homes.append(one.home)
        if record.header not in heads:
            heads[record.header] = len(heads)
            batch.heads.append(wire.Head(one.topics, len(record.header)))
        batch.records.append(
            wire.SentRecord(
                home=homes[ring],
                head=heads[record.header],
                start=record.start,
                end=record.end,
                sequence=record.sequence,
                kind=RecordKind(record.kind),
                timestamp_ns=record.timestamp_ns,
                messages=record.messages,
                length=len(record.payload),
            )
        )
    return SentBatch(batch, b"".join([*heads, *(one.record.payload for one in held)]))
