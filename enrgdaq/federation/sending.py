"""Who sends: a store whose disk is at the other end of a link."""

import contextlib
import datetime as dt
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

import msgspec

from enrgdaq.daq.consume import MessageStream
from enrgdaq.daq.host import ProcessHost
from enrgdaq.daq.inbox import Sender
from enrgdaq.daq.models import DAQJobMessage, LinkFigures
from enrgdaq.daq.store.journal import Position, replace_file
from enrgdaq.daq.store.models import DAQJobMessageStore, DAQJobStoreConfigBase
from enrgdaq.daq.store.server_store import DAQJobServerStore, DAQJobServerStoreConfig, Kept
from enrgdaq.errors import CodecError, ServerAwayError, StoreError
from enrgdaq.federation.batching import Held
from enrgdaq.federation.endpoints import WANTED_FILE
from enrgdaq.federation.headers import Addresses
from enrgdaq.transport.ring import Record, RingReader

_LOOK_SECONDS: Final = 0.1
_PATIENCE_SECONDS: Final = 1.0


class LinkLine(Protocol):
    """What a sender needs of a connection, whatever carries it.

    :class:`ServerAwayError` is raised wherever the other end fails; then a new line is made,
    and what :meth:`send` did not bring to its end is sent again.
    """

    @property
    def round_trip_ms(self) -> float | None:
        """To the other end and back; ``None`` while that is not known."""

    @property
    def peer(self) -> str:
        """What the other end is called."""

    @property
    def largest_bytes(self) -> int:
        """The largest record, with its header, that the other end has room for."""

    def take_topics(self) -> list[str] | None:
        """What the other end wants, once after each time that it said so."""

    def look(self) -> None:
        """Take what the other end says on its own; never waits."""

    def send(self, held: Sequence[Held], give_up: Callable[[], bool]) -> None:
        """Send records; when this returns, the other end has them.

        ``give_up`` says while it waits whether there is better to do than waiting.
        """

    def show_in(self, figures: LinkFigures) -> None:
        """Add what is known of this kind of link only."""

    def say_close(self) -> None:
        """Tell the other end that this node stops; before :meth:`close`."""

    def close(self) -> None:
        """End the connection; idempotent."""


class SendingJob(DAQJobServerStore[LinkLine]):
    """Sends what the other end wants, and lets go of it when it is there.

    Batching, waiting, the spool and what is read again after a failure are those of every
    store that writes to a server.
    """

    config: DAQJobServerStoreConfig
    allowed_store_config_types: ClassVar[list[type[DAQJobStoreConfigBase]]] = []

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self._addresses = Addresses()
        self._look_at = 0.0
        self._patient_until = 0.0
        self.figures = LinkFigures(
            peer=self.address, is_sender=True, state="away", since=dt.datetime.now(dt.UTC)
        )
        """What is shown of this end of the link."""

    @abstractmethod
    def may_send(self, home: str) -> bool:
        """Whether what is of a node goes there: nothing goes back to where it came from."""

    @property
    def process(self) -> ProcessHost:
        """The process around this job."""
        if not isinstance(self._host, ProcessHost):
            raise StoreError("a link runs in a supervisor's process only")
        return self._host

    def is_alive(self, connection: LinkLine) -> bool:
        """Whether the other end still answers."""
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
        """Keep a record for the next flush, unless it is to stay here."""
        if not self.may_send(sender.home.supervisor.supervisor_id):
            return
        try:
            address = self._addresses.of(record.header)
        except CodecError as error:
            self.log.error("record of %s does not travel: %s", sender.home.producer, error)
            return
        if not address.stays_here:
            held = Held(sender.home, record, address.topics)
            position = Position(sender.home.ring_uuid, record.end)
            self._kept.append(Kept(held, position, self.put_aside))

    def body_of(self, message: DAQJobMessageStore) -> Any:
        """Not asked: records travel as they are."""
        raise TypeError("a link takes records, not messages")

    def write(self, connection: LinkLine, kept: list[Kept]) -> None:
        """Send records; when this returns they are at the other end."""
        held: list[Held] = [one.body for one in kept]
        largest = connection.largest_bytes
        for one in held:
            if one.size > largest:
                raise ServerAwayError(
                    f"{self.address}: has no room for a message of {one.size / 1e6:.1f} MB of"
                    f" {one.home.producer}: there, set mirror_size_mb ="
                    f" {-(-2 * one.size // (1 << 20)) + 1} or more in [federation]"
                )
        self._patient_until = time.monotonic() + _PATIENCE_SECONDS
        connection.send(held, self._is_falling_behind)
        self.figures.messages += sum(one.record.messages for one in held)
        self.figures.bytes += sum(len(one.record.payload) for one in held)

    def tend(self) -> None:
        """Hear what the other end wants, and whether it is there."""
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
        """End the session; the other end is told."""
        with contextlib.suppress(ServerAwayError):
            self._link.get().say_close()
        super().free()

    def _want(self, topics: list[str]) -> None:
        self.process.want_topics(topics)
        file = Path(self.config.out_dir) / WANTED_FILE
        try:
            replace_file(file, msgspec.json.encode(topics))
        except OSError as error:
            # No reason not to go on: a start while it is away will take what it took before.
            self.log.error("%s: %s", file, error.strerror)

    def _show(self, line: LinkLine | None) -> None:
        figures = self.figures
        is_up = line is not None
        if is_up != (figures.state == "up"):
            figures.state = "up" if is_up else "away"
            figures.since = dt.datetime.now(dt.UTC)
            if is_up and self._spooler is not None and not self._spooler.is_in_use:
                self.say_working("")
        if line is not None:
            figures.peer = line.peer
            line.show_in(figures)
        figures.round_trip_ms = line.round_trip_ms if line is not None else None
        self.process.links = [figures]

    def _is_falling_behind(self) -> bool:
        """Whether producers would soon wait for the other end: then records go to the spool."""
        if self._spooler is None or not self._spooler.may_move:
            return False
        if self._spooler.is_in_use or time.monotonic() < self._patient_until:
            return False
        return any(2 * r.ahead_bytes >= r.ring.capacity for r in self._readers())
