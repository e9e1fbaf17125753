"""Who takes by NATS: what lies in other nodes' streams goes into the mirror ring."""

import datetime as dt
import time
from collections import deque
from typing import Annotated, Any, Final

from msgspec import Meta

from enrgdaq.daq.store.server import ServerLink
from enrgdaq.errors import ServerAwayError, TransportError
from enrgdaq.federation.endpoints import UPLINK
from enrgdaq.federation.jetstream.arrival import Arrived
from enrgdaq.federation.jetstream.connection import Connection
from enrgdaq.federation.jetstream.doubt import Doubts
from enrgdaq.federation.jetstream.login import login_of
from enrgdaq.federation.jetstream.reader_line import Begun, ReaderLine
from enrgdaq.federation.jetstream.reading import StreamReading, Taken
from enrgdaq.federation.jetstream.wants import MOST_RINGS, VERSION, HasRead, Want
from enrgdaq.federation.taking import TakingConfig, TakingJob
from enrgdaq.models import FederationNatsConfig

_FULL_SECONDS: Final = 0.002
_IDLE_SECONDS: Final = 0.2
_TEND_SECONDS: Final = 0.5
_RETRY_SECONDS: Final = 1.0
_ASKED_A_TURN: Final = 16
_PROGRESS_SECONDS: Final = 1.0
_REPEAT_SECONDS: Final = 15.0


class DAQJobNatsReceiverConfig(TakingConfig, kw_only=True):
    """Made from ``[federation.nats]`` of ``supervisor.toml``."""

    nats: Annotated[FederationNatsConfig, Meta(description="servers, streams and login")]
    timeout_seconds: Annotated[
        float,
        Meta(ge=0.1, le=600, description="a server silent for so long in a command is away"),
    ] = 5.0


class DAQJobNatsReceiver(TakingJob):
    """Takes what other nodes send, in order, and acknowledges it when the mirror ring has it."""

    config_type = DAQJobNatsReceiverConfig
    config: DAQJobNatsReceiverConfig

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self._readings: dict[str, StreamReading] = {}
        self._taken: deque[Taken] = deque()
        self._said: tuple[ReaderLine | None, Want | None] = None, None
        self._doubts = Doubts()
        self._progress: dict[str, tuple[ReaderLine, HasRead, float]] = {}
        self._blocked: dict[str, str] = {}

    def start(self) -> None:
        """Take what comes, until told to stop."""
        self._positions = self.load_positions()
        self._link = ServerLink(", ".join(self.config.nats.servers), self._connect, self.log)
        try:
            self._run()
        finally:
            self._link.close()

    def _connect(self) -> ReaderLine:
        connection = Connection(
            login_of(self.config.nats),
            name=f"{self.supervisor_id} mirror",
            timeout_seconds=self.config.timeout_seconds,
        )
        return ReaderLine(connection, self.config.nats, self.supervisor_id, self.log)

    def _run(self) -> None:
        tend_due = 0.0
        while not self.stopping:
            self._watchdog.reset()
            line = self._line()
            if self._taken:
                began = time.monotonic()
                self.sleep(_FULL_SECONDS)
                self.process.add_waited(time.monotonic() - began)
            elif line is None:
                self.sleep(_IDLE_SECONDS)
            else:
                for stream, one in line.take(_IDLE_SECONDS):
                    self._take(line, stream, one)
                line.paused = {one.stream for one in self._readings.values() if one.is_full}
            self._work(line)
            if time.monotonic() >= tend_due:
                tend_due = time.monotonic() + _TEND_SECONDS
                self._tend(line)

    def _line(self) -> ReaderLine | None:
        """The connection, while there is one; says in the condition what is waited for."""
        try:
            line = self._link.get()
            try:
                line.look()
            except ServerAwayError as error:
                raise self._link.lost(error) from error
        except ServerAwayError as error:
            self.set_condition(f"waiting for server {error}")
            return None
        self._link.worked()
        return line

    def _take(self, line: ReaderLine, stream: str, one: Begun | Arrived) -> None:
        if isinstance(one, Begun):
            reading = self._readings.get(stream)
            if reading is None:
                reading = self._readings[stream] = StreamReading(
                    one.node,
                    stream,
                    self._positions,
                    largest_bytes=self.largest_bytes,
                    log=self.log,
                )
            reading.begin(
                one.created,
                acknowledged=one.acknowledged,
                delivered=one.delivered,
                first=one.first,
                last=one.last,
            )
            return
        reading = self._readings.get(stream)
        if reading is None:
            raise AssertionError("a stream begins before its messages")
        if reading.counts_anew(one):
            line.forget(stream)
        try:
            reading.take(one)
            self._blocked.pop(stream, None)
        except TransportError as error:
            if stream not in self._blocked:
                self.log.error("stream %s waits: %s", stream, error)
            self._blocked[stream] = str(error)

    def _work(self, line: ReaderLine | None) -> None:
        """Write what was taken into the mirror ring, as far as there is room; acknowledge it."""
        for reading in self._readings.values():
            self._taken += reading.ready
            reading.ready.clear()
        while self._taken:
            taken = self._taken[0]
            taken.reading.note(taken, self.process.pass_on(taken.records[taken.done :]))
            if taken.done < len(taken.records):
                break
            self._taken.popleft()
        try:
            self._positions.save()
        except OSError as error:
            # Nothing is acknowledged; it may take a while to make room.
            self.set_condition(f"waiting for disk: {error.filename}: {error.strerror}")
            self.sleep(_RETRY_SECONDS)
            return
        if line is not None:
            self.set_condition(next(iter(self._blocked.values()), ""))
            replies = [reply for one in self._readings.values() for reply in one.replies()]
            if replies:
                line.acknowledge(replies)

    def _tend(self, line: ReaderLine | None) -> None:
        for reading in self._readings.values():
            figures = reading.figures
            state = "up" if line is not None and reading.stream in line.facts else "away"
            if figures.state != state:
                figures.state = "up" if state == "up" else "away"
                figures.since = dt.datetime.now(dt.UTC)
            if line is not None and state == "up":
                facts = line.facts[reading.stream]
                figures.leader = facts.leader
                reading.look_at(facts.last)
            figures.round_trip_ms = line.round_trip_ms if line is not None else None
        self.process.links = [reading.figures for reading in self._readings.values()]
        if line is None:
            return
        try:
            self._say_want(line)
            for reading in self._readings.values():
                self._say_progress(line, reading)
                if not self._taken:
                    self._look_for_missing(line, reading)
        except ServerAwayError as error:
            self._link.lost(error)

    def _say_want(self, line: ReaderLine) -> None:
        want = Want(
            version=VERSION,
            node=self.supervisor_id,
            # What the uplink takes goes to the servers from here.
            topics=self.wanted(without=UPLINK),
            largest_bytes=self.largest_bytes,
        )
        if self._said != (line, want):
            line.say(want)
            self._said = line, want

    def _say_progress(self, line: ReaderLine, reading: StreamReading) -> None:
        """Say how far this node has come, so that its sender can make room.

        Now and then only, since servers keep and replicate it; often when the stream fills up.
        """
        word = HasRead(
            node=self.supervisor_id,
            created=reading.created,
            number=reading.committed,
            rings=reading.ends.newest(),
            lacks=list(reading.ends.lacks)[-MOST_RINGS:],
        )
        said = self._progress.get(reading.stream)
        now = time.monotonic()
        # Also when nothing has changed: the last word may have been lost.
        is_news = said is None or said[:2] != (line, word)
        if said is None or now >= said[2] + (0.0 if is_news else _REPEAT_SECONDS):
            line.say_progress(reading.node, word)
            facts = line.facts.get(reading.stream)
            is_urgent = facts is not None and facts.is_half_full
            pause = _TEND_SECONDS if is_urgent else _PROGRESS_SECONDS
            self._progress[reading.stream] = line, word, now + pause

    def _look_for_missing(self, line: ReaderLine, reading: StreamReading) -> None:
        """Ask the stream for what is not delivered."""
        for _ in range(_ASKED_A_TURN):
            number, now = reading.missing, time.monotonic()
            if number is None or not self._doubts.may_ask(reading.stream, number, now):
                return
            try:
                found = line.ask_for(reading.stream, number)
            except ServerAwayError:
                raise
            except TransportError:
                reading.pass_by()
                continue
            if found is None:
                self._doubt(line, reading, number)
                return
            self._doubts.forget(reading.stream)
            if reading.is_late:
                line.renew(reading.stream, number)
            self._take(line, reading.stream, found)
            reading.hurry()

    def _doubt(self, line: ReaderLine, reading: StreamReading, number: int) -> None:
        """The stream says that it does not have a message."""
        facts = line.facts.get(reading.stream)
        if facts is None:
            self._doubts.forget(reading.stream)
            return
        first = self._doubts.hear(
            *(reading.stream, line, reading.created, number),
            first=facts.first,
            now=time.monotonic(),
        )
        if first is not None:
            reading.give_up(first)
