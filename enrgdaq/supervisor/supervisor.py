"""The supervisor of one node."""

import functools
import logging
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import zmq

from enrgdaq.control import protocol
from enrgdaq.control.node_messages import NodeView
from enrgdaq.control.server import ControlServer
from enrgdaq.daq.log_records import LogBatch
from enrgdaq.daq.models import DAQJobMessageStatsReport
from enrgdaq.daq.stats_tables import (
    JOB_COLUMNS,
    REMOTE_COLUMNS,
    DAQJobMessageCombinedStats,
)
from enrgdaq.daq.topics import Topic
from enrgdaq.display import counted
from enrgdaq.errors import CodecError, ConfigurationError, TransportError
from enrgdaq.supervisor.alarms import Alarms
from enrgdaq.supervisor.audit import AuditTrail
from enrgdaq.supervisor.broker import BrokerProcess
from enrgdaq.supervisor.changes import Changes
from enrgdaq.supervisor.check import check_jobs
from enrgdaq.supervisor.claims import claimed
from enrgdaq.supervisor.commands import Commands
from enrgdaq.supervisor.config import ConfigFolder, read_folder
from enrgdaq.supervisor.facts import JobFacts
from enrgdaq.supervisor.fleet import STOP_ORDER, Fleet
from enrgdaq.supervisor.job import Job
from enrgdaq.supervisor.logind import shared_memory_warning
from enrgdaq.supervisor.logs import BookHandler, LogBook
from enrgdaq.supervisor.loop import Loop
from enrgdaq.supervisor.network import Network
from enrgdaq.supervisor.places import Places, group_of
from enrgdaq.supervisor.rings import NodeRings
from enrgdaq.supervisor.snapshot import Reporter, other_node_row
from enrgdaq.supervisor.spawner import Forked, Notice, Spawner
from enrgdaq.supervisor.stats import JobStats
from enrgdaq.supervisor.stats_files import StatsFile
from enrgdaq.transport import codec, faults
from enrgdaq.transport.broker import publish_endpoint, subscribe_endpoint
from enrgdaq.transport.telemetry import TelemetryPublisher, TelemetrySubscriber

_TICK_SECONDS: Final = 0.1
_STATS_SECONDS: Final = 1.0
_TELEMETRY_SECONDS: Final = 0.02  # of each turn of the loop, at most
# Shares of the grace time, by kind of job, in the order of stopping.
_SHARES: Final = {"source": 0.35, "processor": 0.15, "store": 0.35, "monitor": 0.1}
_LOG = logging.getLogger(__name__)


class Supervisor:
    """Runs all jobs of a folder of configs until it is told to stop.

    Raises :class:`ConfigurationError` from :meth:`run` when anything is wrong before the
    start: then nothing was started.
    """

    def __init__(
        self, config_path: Path, *, echo: bool = False, spawner: Spawner | None = None
    ) -> None:
        """``spawner``: one that was started while this module was still being imported."""
        self._spawner = spawner or Spawner()
        self._config_path = config_path
        self._echo = echo
        self._stop_reason = ""
        self._is_hurried = False
        self._loop = Loop()
        self._stats_due = 0.0
        self._kept: list[str] = []

    def stop(self, reason: str) -> None:
        """Stop in order; safe to call from a signal handler."""
        self._stop_reason = self._stop_reason or reason

    def hurry(self) -> None:
        """Do not wait for jobs any longer; safe to call from a signal handler."""
        self._is_hurried = True

    def run(self) -> int:
        """Start, supervise, stop; returns the exit code.

        0 after a clean stop, 1 when processes had to be killed or data is left for the next
        start.
        """
        _allow_many_files()
        faults.enter("supervisor")
        try:
            folder = read_folder(self._config_path)
            facts = check_jobs(folder, self._spawner)
            if folder.mistakes:
                raise ConfigurationError("\n".join(str(m) for m in sorted(folder.mistakes)))
            with claimed(folder.supervisor) as places:
                code = self._run(folder, facts, places)
                return 1 if self._kept else code
        finally:
            self._spawner.close()

    def _run(self, folder: ConfigFolder, facts: dict[str, JobFacts], places: Places) -> int:
        self._places = places
        self._config = folder.supervisor
        self._book = LogBook(places.log_file, echo=self._echo)
        self._audit = AuditTrail(places.audit_file)
        handler = BookHandler(self._book)
        root = logging.getLogger()
        root.addHandler(handler)
        root.setLevel(folder.supervisor.verbosity.to_logging_level())
        self._rings = NodeRings(places, self._config_path, folder.supervisor.ring_buffer_size_mb)
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            for warning in (*folder.warnings, *shared_memory_warning()):
                _LOG.warning("%s", warning)
            try:
                self._rings.prepare(list(facts.values()))
            except TransportError as error:
                raise ConfigurationError(str(error)) from error
            return self._supervise(folder, facts, context)
        finally:
            # Whatever brought us here: nobody may write a ring while it is copied or removed.
            self._spawner.close()
            self._kept = self._rings.close()
            for kept in self._kept:
                _LOG.warning("%s", kept)
            context.destroy(linger=200)
            root.removeHandler(handler)
            self._audit.close()
            self._book.close()

    def _supervise(
        self,
        folder: ConfigFolder,
        facts: dict[str, JobFacts],
        context: "zmq.Context[zmq.Socket[bytes]]",
    ) -> int:
        jobs = [
            Job(file=file, facts=facts[file.unique_id], stats=JobStats(time.monotonic))
            for file in folder.jobs
        ]
        self._fleet = Fleet(
            jobs,
            self._config,
            self._places,
            self._rings,
            self._loop,
            self._book,
            self._audit,
            lambda: self._spawner,
        )
        self._reporter = Reporter(
            self._fleet,
            self._rings,
            self._places,
            self._book,
            str(self._config_path.resolve()),
            self._config.info.supervisor_tags,
        )
        self._stats_file = StatsFile(self._places.out / "stats.csv", JOB_COLUMNS)
        self._remote_file = StatsFile(self._places.out / "stats_remote.csv", REMOTE_COLUMNS)
        self._loop.watch(self._spawner.fileno(), self._hear_forkserver)
        self._broker = BrokerProcess(self._places.runtime)
        self._broker.tend(self._spawner)
        self._telemetry_in = TelemetrySubscriber(
            context, subscribe_endpoint(self._places.runtime), [Topic.STATS + ".", Topic.LOGS + "."]
        )
        self._telemetry_out = TelemetryPublisher(context, publish_endpoint(self._places.runtime))
        self._loop.watch(self._telemetry_in.socket, self._hear_telemetry)
        self._loop.watch(self._telemetry_out.socket, self._telemetry_out.look_at_subscriptions)
        group_id = group_of(self._config.control_group)
        control = ControlServer(context, self._places.runtime, group_id=group_id)
        self._changes = Changes(folder, self._fleet, self._rings, self._loop, lambda: self._spawner)
        self._alarms = Alarms(self._audit)
        self._network = Network(context, self._loop, self._config, self._config_path)
        self._commands = Commands(
            self._fleet,
            self._reporter,
            self._book,
            self._audit,
            self._changes,
            stop=self.stop,
            state=lambda: "stopping" if self._stop_reason else "running",
            network=self._network,
        )
        self._loop.watch(control.socket, lambda: control.answer(self._commands.answer))
        self._network.open(self._commands.answer, self._book, self._publish)
        self._audit.note("supervisor started", text=str(self._config_path.resolve()))
        _LOG.info(
            "supervisor %s starts %s of %s; files go to %s, log to %s",
            self._places.supervisor_id,
            counted(len(jobs), "job"),
            self._config_path,
            self._places.out,
            self._places.log_file,
        )
        try:
            self._fleet.start_all()
            self._turn_until(lambda: bool(self._stop_reason), None)
            return self._stop_in_order()
        finally:
            self._changes.close()
            control.close()
            self._network.close()
            self._telemetry_in.close()
            self._telemetry_out.close()

    def _turn_until(self, is_over: Callable[[], bool], deadline: float | None) -> bool:
        """Turn the loop until a condition holds; ``False`` when the deadline came first."""
        while not is_over():
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                return False
            self._loop.turn(_TICK_SECONDS)
            self._broker.tend(self._spawner)
            self._fleet.tick()
            self._changes.tick()
            self._network.look()
            if now >= self._stats_due:
                self._stats_due = max(self._stats_due + _STATS_SECONDS, now)
                self._write_stats()
                self._reporter.note_rates()
                self._rings.remove_drained()
                self._commands.tick()
                self._alarms.look(self._reporter.alarms())
                self._broker.look(
                    is_used=self._fleet.any_running(),
                    limit_seconds=self._config.hung_after_seconds,
                )
        return True

    def _stop_in_order(self) -> int:
        self._fleet.is_closing = True
        self._audit.note("supervisor stops", text=self._stop_reason)
        _LOG.info("stopping: %s", self._stop_reason)
        grace = self._config.stop_grace_seconds
        for kind in STOP_ORDER:
            seconds = grace * _SHARES[kind]
            self._fleet.stop_kind(kind, drain=kind != "source", seconds=seconds)
            # The fleet kills at its deadline; the second on top is for burying the dead.
            deadline = time.monotonic() + seconds + 1.0
            self._turn_until(functools.partial(self._is_stopped_or_hurried, kind), deadline)
            if self._fleet.any_live(kind):
                self._fleet.kill_kind(kind)
                self._turn_until(functools.partial(self._is_stopped, kind), time.monotonic() + 2.0)
        # The last statistics and log records of the jobs may still be on their way.
        self._turn_until(lambda: False, time.monotonic() + 0.15)
        self._write_stats()
        for name, job in self._fleet.jobs.items():
            _LOG.info(
                "%s: %d messages in, %d out, %s",
                name,
                job.stats.total("messages_in"),
                job.stats.total("messages_out"),
                counted(job.restarts, "restart"),
            )
        self._audit.note("supervisor stopped", text=self._stop_reason)
        _LOG.info("stopped")
        return 1 if self._fleet.killed_at_stop else 0

    def _is_stopped(self, kind: str) -> bool:
        return not self._fleet.any_live(kind)

    def _is_stopped_or_hurried(self, kind: str) -> bool:
        return self._is_stopped(kind) or self._is_hurried

    def _hear_forkserver(self) -> None:
        notices = self._spawner.notices()
        while True:
            try:
                notice = next(notices, None)
            except TransportError as error:
                self._replace_forkserver(error)
                return
            if notice is None:
                return
            self._take_notice(notice)

    def _take_notice(self, notice: Notice) -> None:
        if isinstance(notice, Forked):
            self._broker.forked(notice.number, notice.pid)
            self._fleet.forked(notice.number, notice.pid)
        elif self._broker.ended(notice.pid):
            _LOG.error("the broker ended; a new one starts. Telemetry pauses, data goes on")
            self._audit.note("broker lost")
        else:
            self._fleet.ended(notice.pid, notice.status)

    def _replace_forkserver(self, error: TransportError) -> None:
        """It took all jobs with it; the rings have their data, and all start again."""
        _LOG.error("%s; all jobs start again", error)
        self._audit.note("forkserver lost", text=str(error))
        self._loop.forget(self._spawner.fileno())
        self._spawner.close()
        self._spawner = Spawner()
        self._loop.watch(self._spawner.fileno(), self._hear_forkserver)
        self._broker.lost()
        self._fleet.lost_forkserver()

    def _hear_telemetry(self) -> None:
        deadline = time.monotonic() + _TELEMETRY_SECONDS
        for topic, body in self._telemetry_in.receive(at_most=500):
            self._broker.heard()
            try:
                if topic.startswith(Topic.LOGS + "."):
                    self._take_logs(msgspec.msgpack.decode(body, type=LogBatch))
                else:
                    report = codec.decode(body, DAQJobMessageStatsReport)
                    job = self._fleet.jobs.get(report.unique_id)
                    if job is not None:
                        job.stats.absorb(report)
            except (CodecError, *protocol.UNREADABLE) as error:
                _LOG.debug("telemetry on %s dropped: %s", topic, error)
            if time.monotonic() > deadline:
                return  # the loop comes back at once, after everybody else had a turn

    def _take_logs(self, batch: LogBatch) -> None:
        if batch.unique_id in self._fleet.jobs:
            self._book.note_dropped(batch.unique_id, batch.dropped)
            for entry in batch.entries:
                self._book.add(batch.unique_id, entry.level, entry.text, entry.time)

    def _write_stats(self) -> None:
        rows = self._reporter.job_rows()
        self._stats_file.write(rows)
        nodes = self._network.nodes()
        self._remote_file.write([self._reporter.own_node_row(), *map(other_node_row, nodes)])
        message = DAQJobMessageCombinedStats(
            time_ms=time.time_ns() // 1_000_000, keys=list(JOB_COLUMNS), rows=rows
        )
        encoded = codec.encode(message)
        self._publish(Topic.stats_combined(self._places.supervisor_id).encode(), encoded)
        if self._network.hub is not None:
            self._network.tell_hub(self._view(), encoded)

    def _view(self) -> NodeView:
        """This node as its hub shows it."""
        state = "stopping" if self._stop_reason else "running"
        snapshot = self._reporter.snapshot(state, [])
        return NodeView(
            supervisor=snapshot.supervisor,
            jobs=snapshot.jobs,
            topics=snapshot.topics,
            links=snapshot.links,
        )

    def _publish(self, topic: bytes, body: bytes) -> None:
        if self._telemetry_out.wanted(topic):
            self._telemetry_out.send(topic, body)


def _allow_many_files() -> None:
    """Three descriptors a job add up: use all that the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
