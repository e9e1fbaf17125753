"""The way into a job: records of all rings in which it has a row."""

import contextlib
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from enrgdaq.daq.mirrored import Home, home_of, unmirror
from enrgdaq.daq.models import DAQJobInfo
from enrgdaq.daq.origins import Origins
from enrgdaq.daq.spec import SourceRing
from enrgdaq.daq.unpacking import Unpacker
from enrgdaq.errors import CodecError
from enrgdaq.models import SupervisorInfo
from enrgdaq.transport.bell import Bell
from enrgdaq.transport.ring import Record, RingFile, RingReader, full_fence

_NAP_SECONDS: Final = 0.00005


class Sender:
    """A job that messages come from, with the tools to read them."""

    def __init__(self, home: Home, origins: Origins | None = None, *, for_store: bool) -> None:
        self.home = home
        self.origins = origins
        """What the job was when, as far as this node knows."""
        self.info = DAQJobInfo(
            daq_job_type=home.producer_type,
            unique_id=home.producer,
            supervisor_info=home.supervisor,
        )
        self.unpack = Unpacker(home.ring_uuid, self.info, for_store=for_store).unpack
        """Gives the messages in a record of this job."""


class Source:
    """One ring that this job reads, with the tools to read it."""

    def __init__(
        self, spec: SourceRing, name: str, supervisor: SupervisorInfo, *, for_store: bool
    ) -> None:
        self.spec = spec
        self._name = name
        self.ring = RingFile.open(Path(spec.path))
        self.uuid = self.ring.identity.uuid
        self.reader: RingReader | None = None
        self._for_store = for_store
        self._is_mirror = self.ring.identity.is_mirror
        self._own = Sender(
            Home(
                ring_uuid=self.uuid,
                producer=self.ring.identity.producer,
                producer_type=spec.producer_type,
                supervisor=supervisor,
            ),
            Origins(Path(spec.origins), lambda: self.ring.head),
            for_store=for_store,
        )
        self._mirrored: dict[bytes, Sender] = {}
        self.counted = 0
        """End of the last record that is in the statistics."""

    def at_home(self, record: Record) -> "tuple[Sender, Record]":
        """Who sent a record, and the record as it was in that job's own ring.

        Raises :class:`CodecError` for what is no mirrored record in a mirror ring.
        """
        if not self._is_mirror:
            return self._own, record
        said, at_home = unmirror(record)
        return self._mirrored.get(said) or self._meet(said), at_home

    def homes(self) -> set[str]:
        """The rings whose records were or will be read here."""
        return {self.uuid, *(sender.home.ring_uuid for sender in self._mirrored.values())}

    def _meet(self, said: bytes) -> "Sender":
        sender = self._mirrored[said] = Sender(home_of(said), for_store=self._for_store)
        return sender

    def _meet_all(self, reader: RingReader) -> None:
        """Know the homes of all that is there before any of it is read.

        Else a first flush could forget the watermark of one that is read after it.
        """
        if self._is_mirror:
            for record in reader.look_ahead():
                with contextlib.suppress(CodecError):
                    self.at_home(record)

    def ready(self) -> RingReader | None:
        """The reader, once the producer has let this job join."""
        if self.reader is None:
            self.reader = RingReader.open(self.ring, self._name)
            if self.reader is not None:
                self._meet_all(self.reader)
        return self.reader

    def is_finished(self) -> bool:
        """Whether this is a ring of an earlier run, read and committed to its end."""
        reader = self.reader
        return (
            self.spec.is_old
            and reader is not None
            and not reader.is_behind
            and reader.held_bytes == 0
        )


class Inbox:
    """All rings of one consumer. A producer's older ring is read to its end before the next."""

    def __init__(
        self,
        sources: list[SourceRing],
        name: str,
        supervisor: SupervisorInfo,
        bell_path: Path,
        *,
        for_store: bool,
    ) -> None:
        self.bell = Bell(bell_path)
        self._name = name
        self._supervisor = supervisor
        self._for_store = for_store
        self._streams: dict[str, deque[Source]] = {}
        self._coming: deque[SourceRing] = deque(sources)
        self._current: list[Source] = []
        self._may_change = False
        self._has_read = False
        self._take_coming()

    def add(self, source: SourceRing) -> None:
        """One more ring, from any thread; it is read from the next look on."""
        self._coming.append(source)

    def _take_coming(self) -> None:
        while self._coming:
            spec = self._coming.popleft()
            stream = self._streams.setdefault(spec.producer, deque())
            if all(source.spec.path != spec.path for source in stream):
                source = Source(spec, self._name, self._supervisor, for_store=self._for_store)
                stream.append(source)
            self._may_change = True

    def current(self) -> list[Source]:
        """Per producer the ring to read now."""
        self._take_coming()
        # Kept while each producer has one ring: with many jobs this took most of a look.
        if self._may_change:
            self._current = [
                next((source for source in stream if not source.is_finished()), stream[-1])
                for stream in self._streams.values()
            ]
            self._may_change = any(len(stream) > 1 for stream in self._streams.values())
        return self._current

    def uuids(self) -> set[str]:
        """The rings that are read now or later: those whose watermarks still matter."""
        sources = [source for stream in self._streams.values() for source in stream]
        return {uuid for source in sources for uuid in source.homes()}

    def read(self) -> Iterator[tuple[Source, RingReader, Record]]:
        """What has come in, ring after ring, each up to its head as it is now."""
        # Only here: elsewhere somebody may still have a record of it in hand.
        if self._may_change:
            for stream in self._streams.values():
                while len(stream) > 1 and stream[0].is_finished():
                    stream.popleft().ring.close()
        for source in self.current():
            reader = source.ready()
            if reader is None or not reader.is_behind:
                continue
            self._has_read = True
            for record in reader.read():
                yield source, reader, record

    def is_behind(self) -> bool:
        """Whether anything is there to read now."""
        readers = (source.ready() for source in self.current())
        return any(reader is not None and reader.is_behind for reader in readers)

    def is_drained(self) -> bool:
        """Whether every ring was read to its end."""
        return not self.is_behind() and all(
            source.is_finished() or source is stream[-1]
            for stream in self._streams.values()
            for source in stream
        )

    def readers(self) -> list[RingReader]:
        """The open readers of the current rings."""
        return [s.reader for s in self.current() if s.reader is not None]

    def wait(self, seconds: float) -> None:
        """Sleep until a bell rings, at most so long."""
        if self._has_read:
            # More is likely to come at once. A nap without a bell brings several records
            # together, and spares producers their bells.
            self._has_read = False
            time.sleep(_NAP_SECONDS)
            if self.is_behind():
                return
        for source in self.current():
            reader = source.ready()
            if reader is not None:
                reader.await_bell()
        full_fence()
        if not self.is_behind():
            self.bell.wait(seconds)

    def close(self) -> None:
        """Close bell and rings; idempotent."""
        self.bell.close()
        for stream in self._streams.values():
            for source in stream:
                source.ring.close()
