"""The way into a job: records of all rings in which it has a row."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path

from enrgdaq.daq.models import DAQJobInfo
from enrgdaq.daq.spec import SourceRing
from enrgdaq.daq.unpacking import Unpacker
from enrgdaq.models import SupervisorInfo
from enrgdaq.transport.bell import Bell
from enrgdaq.transport.ring import Record, RingFile, RingReader, full_fence


class Source:
    """One ring that this job reads, with the tools to read it."""

    def __init__(
        self, spec: SourceRing, name: str, supervisor: SupervisorInfo, *, for_store: bool
    ) -> None:
        self.spec = spec
        self._name = name
        self.ring = RingFile.open(Path(spec.path))
        self.uuid = self.ring.identity.uuid
        self.reader = RingReader.open(self.ring, name)
        sender = DAQJobInfo(
            daq_job_type=spec.producer_type,
            unique_id=self.ring.identity.producer,
            supervisor_info=supervisor,
        )
        self.unpack = Unpacker(self.uuid, sender, for_store=for_store).unpack
        """Gives the message in a record of this ring."""
        self.counted = 0
        """End of the last record that is in the statistics."""

    def ready(self) -> RingReader | None:
        """The reader, once the producer has let this job join."""
        if self.reader is None:
            self.reader = RingReader.open(self.ring, self._name)
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

    def current(self) -> list[Source]:
        """Per producer the ring to read now."""
        self._take_coming()
        for stream in self._streams.values():
            while len(stream) > 1 and stream[0].is_finished():
                stream.popleft().ring.close()
        return [stream[0] for stream in self._streams.values()]

    def uuids(self) -> set[str]:
        """The rings that are read now or later: those whose watermarks still matter."""
        return {source.uuid for stream in self._streams.values() for source in stream}

    def read(self) -> Iterator[tuple[Source, RingReader, Record]]:
        """What has come in, ring after ring, each up to its head as it is now."""
        for source in self.current():
            reader = source.ready()
            if reader is None or not reader.is_behind:
                continue
            for record in reader.read():
                yield source, reader, record

    def is_behind(self) -> bool:
        """Whether anything is there to read now."""
        readers = (source.ready() for source in self.current())
        return any(reader is not None and reader.is_behind for reader in readers)

    def is_drained(self) -> bool:
        """Whether every ring was read to its end."""
        return not self.is_behind() and all(len(s) == 1 for s in self._streams.values())

    def readers(self) -> list[RingReader]:
        """The open readers of the current rings."""
        return [s.reader for s in self.current() if s.reader is not None]

    def wait(self, seconds: float) -> None:
        """Sleep until a bell rings, at most so long."""
        full_fence()
        if not self.is_behind():
            self.bell.wait(seconds)

    def close(self) -> None:
        """Close bell and rings; idempotent."""
        self.bell.close()
        for stream in self._streams.values():
            for source in stream:
                source.ring.close()
