"""The rings of a node: made at start, found after a crash, kept when somebody is owed data.

A start makes new rings for all producers. Rings that an earlier run left behind with data
in them are *old*: nothing is added, their consumers read them to the end before the new
ring of the same producer, and then they are removed. So a ring never changes its size, its
consumers' names or its format in its life.
"""

import contextlib
import logging
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from enrgdaq.control.status import RingConsumerStatus, RingStatus
from enrgdaq.daq.origins import origins_path
from enrgdaq.daq.places import bell_path, lock_path, routes_path
from enrgdaq.daq.spec import SourceRing
from enrgdaq.display import size
from enrgdaq.errors import ConfigurationError, RingFormatError, TransportError
from enrgdaq.supervisor.facts import JobFacts
from enrgdaq.supervisor.places import Places
from enrgdaq.supervisor.ring_files import SUFFIX, UNFINISHED, copy_ring
from enrgdaq.transport import faults
from enrgdaq.transport.lock import NameLock
from enrgdaq.transport.memory import MEGABYTE, RingRequest, check_room, ring_sizes
from enrgdaq.transport.ring import Policy, RingFile, RingIdentity, RingWriter, layout
from enrgdaq.transport.ring.file import new_ring_uuid
from enrgdaq.transport.routes import Consumer, Routes, save_routes

_LOCK_WAIT_SECONDS: Final = 15.0  # a killed supervisor's jobs may still be dying
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class NodeRing:
    """A ring, its producer's job type, and whether it is left from an earlier run."""

    file: RingFile
    producer_type: str
    is_old: bool

    @property
    def producer(self) -> str:
        """The job that writes it, or wrote it."""
        return self.file.identity.producer


@dataclass(frozen=True)
class Backlog:
    """Per consumer the bytes that wait for it and the records that it skipped; per producer
    the bytes that the consumer furthest behind holds of it."""

    waiting: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)


class NodeRings:
    """All rings of one supervisor."""

    def __init__(self, places: Places, config_path: Path, budget_mb: int) -> None:
        self._places = places
        self._config_path = str(config_path.resolve())
        self._budget = budget_mb * MEGABYTE
        self._rings: list[NodeRing] = []
        self._current: dict[str, RingFile] = {}
        self._facts: dict[str, JobFacts] = {}

    def prepare(self, jobs: list[JobFacts]) -> None:
        """Find the rings of earlier runs, then make one for every job, with all its rows.

        Raises :class:`MemoryBudgetError` when they do not fit, and
        :class:`ConfigurationError` for rings of another configuration or version.
        """
        self._facts = {job.unique_id: job for job in jobs}
        types = {job.unique_id: job.type_name for job in jobs}
        self._find_old(types, set(self._consumers()))
        self._make_new(jobs)
        self._save_routes()
        for ring in self._rings:
            if not ring.is_old:
                # Nobody produces yet, so the supervisor may let everybody join.
                RingWriter(ring.file)

    def add(self, job: JobFacts) -> int:
        """A ring for one more job, and rows for it in the others; returns the ring's bytes.

        What is left of the budget is its share, as far as a share goes.
        Raises :class:`TransportError` when it does not fit; then nothing has changed.
        """
        if job.takes_messages and len(self._consumers()) >= layout.MAX_ROWS - 1:
            raise TransportError(f"{layout.MAX_ROWS} jobs take messages already; no more can")
        given = sum(ring.capacity for ring in self._current.values())
        size = ring_sizes([_request(job)], max(0, self._budget - given))[job.unique_id]
        folder = self._folder_of(job)
        check_room(folder, {job.unique_id: size})
        self._facts[job.unique_id] = job
        try:
            file = self._make_ring(job, size)
        except TransportError:
            del self._facts[job.unique_id]
            raise
        RingWriter(file)
        if job.takes_messages:
            for producer, ring in self._current.items():
                if producer != job.unique_id:
                    ring.attach(job.unique_id, self._consumers()[job.unique_id])
        self._announce()
        return size

    def update(self, job: JobFacts) -> None:
        """A job starts: if its file has changed, it may take other topics from now on."""
        before, self._facts[job.unique_id] = self._facts[job.unique_id], job
        if job.takes_messages and job.topics_in != before.topics_in:
            self._announce()

    def source(self, producer: str) -> SourceRing:
        """The ring of a producer as consumers are told of it."""
        ring = next(r for r in self._rings if not r.is_old and r.producer == producer)
        return self._source(ring)

    def ring_of(self, producer: str) -> RingFile:
        """The ring that a job writes."""
        return self._current[producer]

    def sources_of(self, consumer: str) -> list[SourceRing]:
        """The rings that a job reads, older ones of a producer first."""
        return [
            self._source(ring)
            for ring in self._rings
            if ring.file.row_of(consumer) is not None
            and (not ring.is_old or self._owes(ring, consumer))
        ]

    def uuids(self) -> set[str]:
        """All rings, those of earlier runs too."""
        return {ring.file.identity.uuid for ring in self._rings}

    def owes(self, consumer: str) -> bool:
        """Whether any ring holds data for a job."""
        return any(self._owes(ring, consumer) for ring in self._rings)

    def backlog(self) -> "Backlog":
        """Who waits for what, over all rings, in one pass."""
        found = Backlog()
        for ring in self._rings:
            for state in ring.file.consumers():
                found.skipped[state.name] += state.skipped
                if state.is_owed:
                    found.waiting[state.name] += state.lag_bytes
                    found.held[ring.producer] = max(found.held[ring.producer], state.lag_bytes)
        return found

    def in_hand(self, consumer: str) -> list[tuple[str, int]]:
        """Records (ring uuid, end) that a dead consumer's process was handling."""
        return [
            (ring.file.identity.uuid, state.in_hand)
            for ring in self._rings
            for state in ring.file.consumers()
            if state.name == consumer and state.in_hand
        ]

    def remove_drained(self) -> None:
        """Remove old rings that nobody is owed anything from."""
        for ring in [r for r in self._rings if r.is_old and r.file.is_drained()]:
            _LOG.info("ring of %s from an earlier run is drained", ring.producer)
            self._remove(ring)

    def close(self) -> list[str]:
        """At the end of a run, with all jobs gone: remove what is drained, keep the rest.

        Returns a sentence for each ring that is kept.
        """
        kept = []
        for ring in list(self._rings):
            if ring.file.is_drained():
                self._remove(ring)
                continue
            owed = ", ".join(c.name for c in ring.file.consumers() if c.is_owed)
            target = self._places.state / ring.file.path.name
            try:
                copy_ring(ring.file.path, target)
            except OSError as error:
                # In memory it lasts until the machine restarts; the next start finds it.
                kept.append(
                    f"{ring.file.path} holds data for {owed} and cannot be copied to"
                    f" {target.parent}: {error}; it stays in memory for the next start"
                )
                ring.file.close()
                continue
            faults.hit("supervisor.kept")
            kept.append(f"{target} holds data for {owed}; the next start goes on with it")
            self._forget(ring)
        self._rings.clear()
        for folder in (self._places.memory, self._places.origins):
            with contextlib.suppress(OSError):  # it is not empty, or was never made
                folder.rmdir()
        return kept

    def status(self) -> list[RingStatus]:
        """All rings, for displays."""
        return [
            RingStatus(
                producer=ring.producer,
                uuid=ring.file.identity.uuid,
                capacity=ring.file.capacity,
                head=ring.file.head,
                is_old=ring.is_old,
                consumers=[
                    RingConsumerStatus(
                        name=state.name,
                        cursor=state.cursor,
                        lag_bytes=state.lag_bytes,
                        skipped=state.skipped,
                    )
                    for state in ring.file.consumers()
                ],
            )
            for ring in self._rings
        ]

    def _owes(self, ring: NodeRing, consumer: str) -> bool:
        return any(state.name == consumer and state.is_owed for state in ring.file.consumers())

    def _find_old(self, types: dict[str, str], consumers: set[str]) -> None:
        for folder in (self._places.state, self._places.memory, self._places.ring_files):
            for unfinished in folder.glob(f"*{SUFFIX}{UNFINISHED}"):
                unfinished.unlink()
        for kept in sorted(self._places.state.glob(f"*{SUFFIX}")):
            target = self._places.memory / kept.name
            # The file on disk stays until the ring is drained: a reboot clears the memory.
            # Where both are there, what is in memory is newer.
            if not target.exists():
                check_room(target.parent, {kept.stem: kept.stat().st_size})
                copy_ring(kept, target)
        found: list[NodeRing] = []
        for folder in (self._places.memory, self._places.ring_files):
            for path in sorted(folder.glob(f"*{SUFFIX}")):
                file = self._open_old(path)
                if file is None:
                    continue
                producer = file.identity.producer
                found.append(NodeRing(file, types.get(producer, "unknown"), is_old=True))
        found.sort(key=lambda ring: ring.file.identity.made_ns)
        for ring in found:
            self._rings.append(ring)
            for state in ring.file.consumers():
                if state.is_owed:
                    self._say_owed(ring, state.name, state.lag_bytes, state.name in consumers)

    def _say_owed(self, ring: NodeRing, name: str, lag: int, is_known: bool) -> None:
        if is_known:
            _LOG.warning(
                "%s is owed %s of %s from an earlier run; it goes on there",
                name,
                size(lag),
                ring.producer,
            )
        else:
            _LOG.warning(
                "%s of %s in %s are owed to %s, which is no longer configured; they are"
                " kept: configure it again, or discard the ring",
                size(lag),
                ring.producer,
                ring.file.path,
                name,
            )

    def _open_old(self, path: Path) -> RingFile | None:
        """A ring of an earlier run; ``None`` when nobody is owed anything from it."""
        try:
            file = RingFile.open(path)
        except RingFormatError as error:
            raise ConfigurationError(str(error)) from error
        self._settle(file)
        if file.is_drained():
            (self._places.state / path.name).unlink(missing_ok=True)
            path.unlink()
            file.close()
            return None
        self._check_identity(path, file.identity)
        return file

    def _settle(self, file: RingFile) -> None:
        """See to it that nobody writes a ring any more, and mend what its last writer left.

        Raises :class:`NameInUseError` when the producer's old process does not die.
        """
        lock = NameLock(lock_path(self._places.runtime, file.identity.producer))
        lock.acquire(wait_seconds=_LOCK_WAIT_SECONDS)
        lock.release()
        file.forget_unwritten()

    def _check_identity(self, path: Path, identity: RingIdentity) -> None:
        theirs = (identity.config_path, identity.out_dir)
        ours = (self._config_path, str(self._places.out))
        if theirs != ours:
            raise ConfigurationError(
                f"{path} holds data of another configuration (configs {theirs[0]}, out"
                f" {theirs[1]}): start that one to drain it, use another supervisor_id here, or"
                " delete the file to discard its data"
            )

    def _make_new(self, jobs: list[JobFacts]) -> None:
        sizes = ring_sizes([_request(job) for job in jobs], self._budget)
        for folder in (self._places.memory, self._places.ring_files):
            there = {
                job.unique_id: sizes[job.unique_id]
                for job in jobs
                if self._folder_of(job) == folder
            }
            if there:
                check_room(folder, there)
        for job in jobs:
            self._make_ring(job, sizes[job.unique_id])

    def _make_ring(self, job: JobFacts, size: int) -> RingFile:
        identity = RingIdentity(
            uuid=new_ring_uuid(),
            producer=job.unique_id,
            supervisor_id=self._places.supervisor_id,
            config_path=self._config_path,
            out_dir=str(self._places.out),
            capacity=size,
            made_ns=time.time_ns(),
            is_mirror=job.is_mirror,
        )
        name = f"{job.unique_id}.{identity.uuid[:8]}{SUFFIX}"
        file = RingFile.create(self._folder_of(job) / name, identity)
        # Listed before it is filled, so that close() removes it whatever happens next.
        self._rings.append(NodeRing(file, job.type_name, is_old=False))
        self._current[job.unique_id] = file
        for consumer, policy in self._consumers().items():
            if consumer != job.unique_id:
                file.attach(consumer, policy)
        faults.hit("supervisor.ring")
        return file

    def _folder_of(self, job: JobFacts) -> Path:
        return self._places.memory if job.use_shm else self._places.ring_files

    def _consumers(self) -> dict[str, Policy]:
        return {
            job.unique_id: Policy.SKIP if job.may_skip else Policy.HOLD
            for job in self._facts.values()
            if job.takes_messages
        }

    def _announce(self) -> None:
        """Have all producers look at rows and routes again."""
        self._save_routes()
        for ring in self._current.values():
            ring.announce_rows()

    def _source(self, ring: NodeRing) -> SourceRing:
        return SourceRing(
            path=str(ring.file.path),
            origins=str(origins_path(self._places.origins, ring.file.identity.uuid)),
            producer=ring.producer,
            producer_type=ring.producer_type,
            is_old=ring.is_old,
        )

    def _save_routes(self) -> None:
        runtime = self._places.runtime
        consumers = tuple(
            Consumer(
                name=job.unique_id,
                topics=tuple(job.topics_in),
                bell=str(bell_path(runtime, job.unique_id)),
            )
            for job in self._facts.values()
            if job.takes_messages
        )
        save_routes(routes_path(runtime), Routes(consumers=consumers))

    def _remove(self, ring: NodeRing) -> None:
        # The copy goes first: left alone, it would bring back at the next start what is drained.
        (self._places.state / ring.file.path.name).unlink(missing_ok=True)
        faults.hit("supervisor.drained")
        origins_path(self._places.origins, ring.file.identity.uuid).unlink(missing_ok=True)
        self._forget(ring)

    def _forget(self, ring: NodeRing) -> None:
        ring.file.path.unlink(missing_ok=True)
        ring.file.close()
        self._rings.remove(ring)


def _request(job: JobFacts) -> RingRequest:
    return RingRequest(
        producer=job.unique_id,
        asked=job.ring_size_mb * MEGABYTE if job.ring_size_mb else None,
        is_small=job.kind == "store",
    )
