"""DAQJobStore: batches messages, makes them durable, and only then lets go of them."""

import csv
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

import pyarrow as pa
from msgspec import Meta

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.consume import MessageStream
from enrgdaq.daq.host import ProcessHost
from enrgdaq.daq.inbox import Sender
from enrgdaq.daq.models import DAQJobConfig, DAQJobInfo, DAQJobMessage, DAQJobStopError
from enrgdaq.daq.origins import Origin, origin_of
from enrgdaq.daq.store.floor import FreeSpaceFloor
from enrgdaq.daq.store.journal import Position
from enrgdaq.daq.store.models import DAQJobMessageStore, DAQJobStoreConfigBase
from enrgdaq.daq.store.spool import Spool
from enrgdaq.daq.store.spooling import Spooler
from enrgdaq.daq.store.syncing import make_folder
from enrgdaq.daq.topics import Topic
from enrgdaq.errors import NameInUseError, ServerAwayError, StoreError, TransportError
from enrgdaq.transport.bell import LOOK_SECONDS
from enrgdaq.transport.lock import NameLock
from enrgdaq.transport.memory import MEGABYTE
from enrgdaq.transport.ring import Record, RingReader

_RETRY_SECONDS: Final = 1.0
_LOCK_WAIT_SECONDS: Final = 2.0  # the process before this one may still be dying
_LOOKS_A_RING: Final = 64  # at what is held and at the clock, which costs as much as a message
_SERVER_RETRY_SECONDS: Final = 0.2  # a look at the connection, which is made elsewhere
_LAST_TRIES_SECONDS: Final = 2.0  # for a server that is away when the store is told to stop
_WARN_SECONDS: Final = 60.0


class DAQJobStoreJobConfig(DAQJobConfig, kw_only=True):
    """Keys of every store's own file."""

    out_dir: Annotated[str, Meta(description="folder for this store's files")] = "out/"
    flush_interval_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="longest time that rows wait in memory")
    ] = 1.0
    flush_size_mb: Annotated[
        float, Meta(gt=0, description="flush when so much has come in, MiB")
    ] = 32.0
    durability: Annotated[
        Literal["process", "power"],
        Meta(
            description="what rows that were released survive: process: the death of every"
            " process; power: also a power cut, at the price of waiting for the disk"
        ),
    ] = "process"
    finished_read_only: Annotated[
        bool, Meta(description="take away everybody's right to write to files that are finished")
    ] = False
    free_space_floor_mb: (
        Annotated[
            float,
            Meta(
                ge=0,
                description="write nothing while less is free on the disk, MiB; 0: no floor;"
                " unset: 1 GiB or 1 % of the disk, whichever is less",
            ),
        ]
        | None
    ) = None


class DAQJobStore(DAQJob):
    """Base of all stores.

    Subclasses write :meth:`store` (keep a message in memory, ready to be written) and
    :meth:`flush` (make all that was kept durable, with the watermark of :attr:`position`).
    Both run on one thread. A record's memory is reused only after the flush.
    """

    config_type: type[DAQJobConfig] = DAQJobStoreJobConfig
    config: DAQJobStoreJobConfig
    allowed_message_in_types: ClassVar[list[type[DAQJobMessage]]] = [DAQJobMessageStore]
    allowed_store_config_types: ClassVar[list[type[DAQJobStoreConfigBase]]] = []
    writes_files: ClassVar[bool] = True
    """Whether a flush needs space on the disk of :attr:`out_dir`."""

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self.topics_to_subscribe.append(Topic.store(type(self).__name__))
        self.out_dir = Path(config.out_dir)
        self.floor = FreeSpaceFloor(self.out_dir, config.free_space_floor_mb)
        self.syncs = config.durability == "power"
        """Whether a flush waits for the disk."""
        self.position = Position("", 0)
        """Where the message at hand comes from."""
        self.time_ns = 0
        """The time of the message at hand, by which files roll, ns since 1970 in UTC."""
        self.sent_ns = 0
        """When the message at hand was published, ns since 1970 in UTC."""
        self.sender: DAQJobInfo | None = None
        """Who sent the message at hand."""
        self.put_aside: Callable[[str], None] = _refuse
        """Puts the message at hand into a file of its own, with a reason, and passes it. A
        store may keep this and call it until the flush after."""
        self._set_aside: Callable[[str, str, Record, int, str], None] | None = None
        self._from: Sender | None = None
        self._takes = tuple(self.allowed_message_in_types)
        self._pending = False
        self._pending_bytes = 0
        self._flushed_at = time.monotonic()
        self._give_up_at: float | None = None
        self._warn_after = 0.0
        self._folder_lock: NameLock | None = None
        self._spooler: Spooler | None = None

    @property
    def known_rings(self) -> set[str]:
        """Rings whose watermarks must be kept."""
        rings = {self.position.ring_uuid} if self._stream is None else self._stream.inbox.uuids()
        return rings | self._spooler.spool.rings if self._spooler is not None else rings

    @property
    def origin(self) -> Origin:
        """Where the message at hand comes from, in words, for files to keep."""
        sender = self._from
        # A message that was passed on names its sender, whose ring this is not.
        if sender is not None and sender.origins is not None and self.sender is sender.info:
            found = sender.origins.at(self.position.end)
            if found is not None:
                return found
        return origin_of(self.sender)

    @property
    def spool_size_mb(self) -> int | None:
        """Most that this store's spool may take, MiB; ``None`` for stores without one."""
        return None

    def store(self, message: DAQJobMessageStore) -> None:
        """Keep one message for the next flush. Must not write anything yet."""
        raise TypeError(f"{type(self).__name__} must define store()")

    def flush(self) -> None:
        """Make all that was kept durable.

        ``OSError`` of a full or lost disk, and :class:`ServerAwayError`, are tried again.
        """
        raise TypeError(f"{type(self).__name__} must define flush()")

    def tend(self) -> None:
        """Called between messages, at least ten times a second: for what time alone brings."""

    def forget(self) -> None:
        """Drop what was kept since the last flush: it comes again. For stores with a spool."""
        raise TypeError(f"{type(self).__name__} must define forget()")

    def look_for_server(self) -> None:
        """Raise :class:`ServerAwayError` while there is no use in a flush."""

    def handle_message(self, message: DAQJobMessage) -> bool:
        """Keep one message, if it is for this kind of store."""
        if isinstance(message, DAQJobMessageStore) and isinstance(message, self._takes):
            self.sender = message.daq_job_info
            self.store(message)
            return True
        super().handle_message(message)
        return False

    def start(self) -> None:
        """Read, keep, flush, release; until told to stop and, then, until all is drained."""
        host = self._host
        if not isinstance(host, ProcessHost) or host.stream is None:
            raise TransportError(f"{type(self).__name__} has no rings to read")
        stream = host.stream
        self._set_aside = stream.put_message_aside
        # A folder that is in use is no matter of waiting: that ends the job, with the reason.
        self._when_possible(self._take_folder, OSError)
        spooler = self._spooler = self._make_spooler(host, stream)
        while True:
            self._watchdog.reset()
            has_more = False
            if spooler is not None and spooler.is_in_use:
                has_more = spooler.turn(is_stopping=self.stopping)
                if self.stopping and spooler.is_stuck:
                    break
            else:
                self._store_what_came(stream)
            self.tend()
            if not host.may_go_on():
                break
            if spooler is not None and spooler.is_stuck:
                time.sleep(LOOK_SECONDS)
            elif not has_more:
                stream.inbox.wait(LOOK_SECONDS)
        if spooler is None or not spooler.is_in_use:
            self._flush_and_release()
        if spooler is not None and spooler.is_in_use:
            spooler.finish()

    def arrivals(
        self, stream: MessageStream
    ) -> Iterator[tuple[Sender, RingReader, Record, Sequence[DAQJobMessage]]]:
        """What came in: sender, the ring's reader, the record, its messages."""
        return stream.read()

    def messages_in(
        self, stream: MessageStream, sender: Sender, record: Record
    ) -> Sequence[DAQJobMessage]:
        """The messages in a record that was spooled; none where it cannot be read."""
        return stream.unpack(sender.home.producer, sender.unpack, record)

    def _store_what_came(self, stream: MessageStream) -> None:
        """Keep what is in the rings; flush when it is time, or much."""
        look_again = 0
        for sender, reader, record, messages in self.arrivals(stream):
            self.keep(sender, record, messages)
            self._pending = True
            self._pending_bytes += len(record.payload) + len(record.header)
            if self._pending_bytes < look_again:
                continue
            # A small ring must not cap the rate at one ring per flush interval.
            if reader.is_half_held(len(record.payload)) or self._is_due():
                self._flush_and_release()
                if self._spooler is not None and self._spooler.is_in_use:
                    return
            look_again = self._pending_bytes + reader.ring.capacity // _LOOKS_A_RING
        # Also by what was read past, addressed to others.
        is_half_held = any(reader.is_half_held() for reader in self._readers())
        if self._pending and (is_half_held or self._is_due() or self.stopping):
            self._flush_and_release()
        elif not self._pending:
            self._release()

    def keep(self, sender: Sender, record: Record, messages: Sequence[DAQJobMessage]) -> None:
        """Hand messages to :meth:`handle_message`; put one aside when that is its own fault."""
        producer, ring_uuid = sender.home.producer, sender.home.ring_uuid
        self._from = sender
        self.position = Position(ring_uuid, record.end)
        self.sent_ns = record.timestamp_ns
        set_aside = self._set_aside
        for index, message in enumerate(messages):
            if set_aside is not None:
                self.put_aside = functools.partial(set_aside, producer, ring_uuid, record, index)
            try:
                self.handle_message(message)
            except (StoreError, pa.ArrowException, UnicodeError, csv.Error) as error:
                # The fault of this message alone: the others do not wait for it.
                self.put_aside(str(error))

    def free(self) -> None:
        """Give the folder back; subclasses close their files first."""
        if self._spooler is not None:
            self._spooler.close()
        if self._folder_lock is not None:
            self._folder_lock.release()
        super().free()

    def _take_folder(self) -> None:
        """Nobody else's store of this kind may write in this folder, of whatever supervisor."""
        make_folder(self.out_dir, syncs=self.syncs)
        self._folder_lock = NameLock(self.out_dir / f".{type(self).__name__}.lock")
        try:
            self._folder_lock.acquire(wait_seconds=_LOCK_WAIT_SECONDS)
        except NameInUseError as error:
            raise StoreError(
                f"another {type(self).__name__} writes in {self.out_dir} ({error}): set another"
                " out_dir in this store's file"
            ) from error

    def _is_due(self) -> bool:
        return (
            self._pending_bytes >= self.config.flush_size_mb * MEGABYTE
            or time.monotonic() - self._flushed_at >= self.config.flush_interval_seconds
        )

    def _make_spooler(self, host: ProcessHost, stream: MessageStream) -> Spooler | None:
        """For stores that may spool; also to drain what was spooled under other settings."""
        limit_mb = self.spool_size_mb
        if limit_mb is None:
            return None
        folder = self.out_dir / "spool" / self.unique_id

        def note_damage(path: Path, count: int) -> None:
            stream.unreadable += count
            self.log.error("the disk has damaged %s or more messages; see %s", count, path)

        return Spooler(
            self,
            Spool(folder, limit_mb * MEGABYTE, note_damage, self.floor),
            host,
            stream,
            may_move=str(self.config.when_behind) == "spool",
            flush_bytes=int(self.config.flush_size_mb * MEGABYTE),
            flush_seconds=self.config.flush_interval_seconds,
        )

    def _flush_and_release(self) -> None:
        is_written = True
        if self._pending:
            for reader in self._readers():
                # A flush that fails is not the fault of the record at hand.
                reader.put_down()
            is_written = self._when_possible(self._write, OSError, StoreError)
        self._pending = False
        self._pending_bytes = 0
        self._flushed_at = time.monotonic()
        if self._spooler is None or not self._spooler.may_move:
            self._release()
        elif not is_written:
            self._spooler.begin()
        else:
            self._release()
            self._spooler.begin_if_behind()

    def _write(self) -> None:
        if self.writes_files:
            self.floor.check()
        self.flush()

    def _release(self) -> None:
        """All that was read is durable, or was not for this store."""
        for reader in self._readers():
            if reader.held_bytes:
                reader.commit()

    def _readers(self) -> list[RingReader]:
        return self._stream.inbox.readers() if self._stream is not None else []

    @property
    def _stream(self) -> MessageStream | None:
        return self._host.stream if isinstance(self._host, ProcessHost) else None

    def _when_possible(
        self, work: Callable[[], None], *waited_for: type[OSError] | type[StoreError]
    ) -> bool:
        """Do it; wait for what cannot be written now, say so, and lose nothing.

        ``False``: the server is away, and what waits for it may go to the spool.
        """
        while True:
            try:
                work()
            except ServerAwayError as error:
                if self._spooler is not None and self._spooler.may_move:
                    return False
                self._wait_for_server(error)
                continue
            except waited_for as error:
                # A full or lost disk, a folder without permission, a broken journal: each is
                # mended by somebody, and until then the rows wait in the rings.
                reason = str(error)
                if isinstance(error, OSError):
                    reason = f"{error.filename or self.out_dir}: {error.strerror}"
                self.say_waiting("disk", reason)
                self._watchdog.reset()
                # Not self.sleep(): told to stop, a store still tries as long as it may.
                time.sleep(_RETRY_SECONDS if not self.stopping else _RETRY_SECONDS / 5)
                continue
            if self._warn_after:
                self.say_working("")
            if not self.stopping:
                # Else a server that takes a little now and then would hold up the stop for ever.
                self._give_up_at = None
            return True

    def _wait_for_server(self, error: ServerAwayError) -> None:
        """Wait a little. Raises :class:`DAQJobStopError` when that takes too long for a stop."""
        self.say_waiting("server", str(error))
        self._watchdog.reset()
        now = time.monotonic()
        if self.stopping:
            self._give_up_at = self._give_up_at or now + _LAST_TRIES_SECONDS
            if now >= self._give_up_at:
                # Rings that are still owed are kept by the supervisor for the next start.
                raise DAQJobStopError("its server is away; the next start goes on with its rows")
        time.sleep(_SERVER_RETRY_SECONDS)

    def say_waiting(self, what: str, reason: str) -> None:
        """Say in condition and log what is waited for; in the log once a minute."""
        self.set_condition(f"waiting for {what}{' ' if what == 'server' else ': '}{reason}")
        now = time.monotonic()
        if now >= self._warn_after:
            self._warn_after = now + _WARN_SECONDS
            self.log.error("cannot write: %s; the rows are kept until it can", reason)

    def say_working(self, condition: str) -> None:
        """Nothing is waited for any more."""
        self.set_condition(condition)
        if self._warn_after:
            self._warn_after = 0.0
            self.log.warning("writing again")


def _refuse(reason: str) -> None:
    raise StoreError(reason)
