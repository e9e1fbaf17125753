"""The process around a job: its ring, its rings to read, heartbeat, telemetry, lifeline."""

import logging
import os
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec
import psutil
import zmq

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.consume import MessageStream, handle_each
from enrgdaq.daq.counters import Counters, utc
from enrgdaq.daq.inbox import Inbox
from enrgdaq.daq.interrupt import Interrupt
from enrgdaq.daq.log_records import LogQueue, sendable
from enrgdaq.daq.models import (
    DAQJobMessage,
    DAQJobMessageStatsReport,
    DAQJobResourceStats,
    LinkFigures,
)
from enrgdaq.daq.outbox import Outbox, PassedOn
from enrgdaq.daq.packing import topics_of
from enrgdaq.daq.places import bell_path, routes_path
from enrgdaq.daq.reservation import Slot
from enrgdaq.daq.spec import (
    JobEnding,
    JobRunning,
    JobSpec,
    Lifeline,
    NewSource,
    RecordSetAside,
    StopRequest,
    TopicsWanted,
)
from enrgdaq.daq.store.models import DAQJobMessageStore
from enrgdaq.daq.telemetry_in import TelemetryIn
from enrgdaq.daq.telemetry_out import TelemetryOut
from enrgdaq.daq.topics import Topic
from enrgdaq.daq.watchdog import Watchdog
from enrgdaq.transport import codec
from enrgdaq.transport.broker import publish_endpoint, subscribe_endpoint
from enrgdaq.transport.ring import RingFile
from enrgdaq.transport.telemetry import TelemetryPublisher, TelemetrySubscriber

TICK_SECONDS = 0.25  # heartbeat, log records, stop requests
_STATS_SECONDS = 1.0
_INTERRUPT_AFTER_SECONDS = 1.0  # for jobs that do not look at `stopping`, then every second
_LOGS_A_TICK = 1_500  # 6 000 lines a second; a flood beyond that is counted, not shown
_LAST_WORDS_SECONDS = 0.5  # for log records of a job that was there for a moment only
WATCHDOG_EXIT_CODE = 17


class ProcessHost:
    """What a running job stands on; see :class:`enrgdaq.daq.base.JobHost`."""

    def __init__(self, spec: JobSpec, lifeline: Lifeline) -> None:
        self.unique_id = spec.unique_id
        self.instance_id = spec.instance_id
        self.stopping = threading.Event()
        self.drain = False
        self.counters = Counters()
        self._spec = spec
        self._runtime = Path(spec.runtime)
        self._lifeline = lifeline
        self._log = logging.getLogger(spec.unique_id)
        self.logs = LogQueue(spec.unique_id)
        self._condition = ""
        self.supervisor = spec.supervisor
        self.spool_bytes = 0
        """What the job has in its spool on disk."""
        self.spool_oldest_ns = 0
        self.links: list[LinkFigures] = []
        """The links to other nodes that the job is an end of."""
        self._stop_reason = ""
        self._closing = threading.Event()
        self._wake_reader, self._wake_writer = os.pipe2(os.O_CLOEXEC)
        self._watchdogs: list[Watchdog] = []
        self._watchdog_forces_exit = False
        self._interrupt = Interrupt()
        self._job: DAQJob | None = None
        self._telemetry_out = TelemetryOut(spec.ring_path)
        self._telemetry_in: TelemetryIn | None = None
        self._ring = RingFile.open(Path(spec.ring_path))
        self._ring.beat(time.monotonic_ns())
        self._ring.populate()
        self._outbox = Outbox(
            self._ring,
            routes_path(self._runtime),
            self.counters,
            self.stopping,
            self._watchdogs,
            self._log,
            self._telemetry_out.announce,
        )
        self.is_copy = False
        """Whether this is a process that the job has forked: the job is its parent."""
        os.register_at_fork(after_in_child=self._disown)
        self.stream: MessageStream | None = None
        if spec.takes_messages:
            inbox = Inbox(
                spec.sources,
                spec.unique_id,
                spec.supervisor,
                bell_path(self._runtime, spec.unique_id),
                for_store=spec.is_store,
            )
            self.stream = MessageStream(
                spec.unique_id,
                inbox,
                self.counters,
                spec.set_aside,
                Path(spec.out_dir) / "set-aside",
                self._report_set_aside,
                self._log,
            )
        self.handling = threading.Lock()
        """Held while the job handles a message: data and telemetry come on two threads."""
        self._service = threading.Thread(target=self._serve, name="service", daemon=True)
        self._service.start()

    def publish(self, message: DAQJobMessage) -> None:
        """See :meth:`DAQJob.publish`."""
        if not message.topics or self._is_data(message):
            with self._interrupt:
                self._outbox.publish(message)

    def publish_many(self, messages: Sequence[DAQJobMessage]) -> None:
        """See :meth:`DAQJob.publish_many`."""
        data = [message for message in messages if not message.topics or self._is_data(message)]
        with self._interrupt:
            self._outbox.publish_many(data)

    def reserve_table(self, message: DAQJobMessageStore, length: int, rows: int) -> Slot:
        """See :meth:`DAQJob.reserve`."""
        with self._interrupt:
            return self._outbox.reserve_table(message, length, rows)

    def pass_on(self, records: Sequence[PassedOn]) -> int:
        """See :meth:`Outbox.pass_on`."""
        with self._interrupt:
            return self._outbox.pass_on(records)

    def add_waited(self, seconds: float) -> None:
        """See :meth:`Outbox.add_waited`."""
        self._outbox.add_waited(seconds)

    def want_topics(self, topics: list[str]) -> None:
        """Take these topics from now on, instead of those that the job started with."""
        self._lifeline.send(TopicsWanted(topics=topics))

    @property
    def ring(self) -> RingFile:
        """The job's own ring."""
        return self._ring

    @property
    def runtime(self) -> Path:
        """The node's folder for sockets and locks."""
        return self._runtime

    def _is_data(self, message: DAQJobMessage) -> bool:
        """Send what goes by telemetry; whether there is more to it than that."""
        telemetry = [topic for topic in message.topics if Topic.is_telemetry(topic)]
        for topic in telemetry:
            self._telemetry_out.queue(topic, codec.encode(message))
        return len(telemetry) < len(topics_of(message))

    def consume(self, job: DAQJob) -> None:
        """Hand messages to the job until it is to stop."""
        if self.stream is None:
            self.stopping.wait()
            return

        handle_each(self.stream, partial(self._handle, job), self.may_go_on)

    def may_go_on(self) -> bool:
        """Whether a consumer goes on: not told to stop, or told to drain and not there yet."""
        if not self.stopping.is_set():
            return True
        return self.drain and self.stream is not None and not self.stream.inbox.is_drained()

    def set_condition(self, text: str) -> None:
        """Shown with the next statistics."""
        self._condition = sendable(text, 200)

    def watch(self, job: DAQJob, *, interruptible: bool) -> None:
        """The job exists: guard its loop, say that it runs, let it receive telemetry."""
        self._watchdogs.append(job._watchdog)
        self._watchdog_forces_exit = job.watchdog_force_exit
        self._job = job
        if interruptible:
            self._interrupt.arm()
        self._lifeline.send(JobRunning())

    @property
    def stop_reason(self) -> str:
        """What the supervisor gave as reason; empty when it did not ask."""
        return self._stop_reason

    def work_is_over(self) -> None:
        """``start()`` has ended: nothing is interrupted any more."""
        self._interrupt.disarm()

    def exit_now(self, ending: JobEnding, code: int) -> None:
        """End the process at once, from any thread; the supervisor hears why."""
        ending.report = self.report(DAQJobResourceStats())
        self._lifeline.send_ending(ending)
        os._exit(code)

    def _disown(self) -> None:
        self.is_copy = True
        self._outbox.disown()

    def close(self) -> None:
        """Send the last statistics and log records, let go of everything. Call once."""
        self._closing.set()
        os.write(self._wake_writer, b"!")
        self._service.join(timeout=2.0)
        if self.stream is not None:
            self.stream.inbox.close()
        self._outbox.close()

    def _serve(self) -> None:
        # Contexts are made after the fork, sockets live in one thread: this one.
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        telemetry = TelemetryPublisher(context, publish_endpoint(self._runtime))
        self._telemetry_out.send_by(telemetry)
        poller = zmq.Poller()
        poller.register(telemetry.socket, zmq.POLLIN)
        poller.register(self._lifeline.fileno(), zmq.POLLIN)
        poller.register(self._wake_reader, zmq.POLLIN)
        next_stats = time.monotonic() + _STATS_SECONDS
        stop_seen: float | None = None
        process = psutil.Process()
        while True:
            is_last = self._closing.is_set()
            ready = dict(poller.poll(0 if is_last else int(TICK_SECONDS * 1000)))
            now = time.monotonic()
            self._ring.beat(time.monotonic_ns())
            telemetry.look_at_subscriptions()
            if self._lifeline.fileno() in ready and not self._hear():
                poller.unregister(self._lifeline.fileno())
            if self.stopping.is_set():
                stop_seen = stop_seen or now
                if now - stop_seen > _INTERRUPT_AFTER_SECONDS:
                    stop_seen = now
                    self._interrupt.strike()
            if self._telemetry_in is None and self._job is not None:
                self._telemetry_in = self._subscribe(context, self._job, poller)
            if self._telemetry_in is not None:
                self._telemetry_in.take()
            self._check_watchdogs()
            self._send_logs(telemetry, LogQueue.KEPT if is_last else _LOGS_A_TICK)
            if now >= next_stats:
                next_stats = max(next_stats + _STATS_SECONDS, now)
                self._send_stats(telemetry, process)
            self._telemetry_out.send_queued()
            if is_last:
                break
        telemetry.finish(_LAST_WORDS_SECONDS)
        telemetry.close()
        if self._telemetry_in is not None:
            self._telemetry_in.close()
        context.term()

    def _hear(self) -> bool:
        """Take what the supervisor says; ``False`` when it is gone."""
        while True:
            try:
                message = self._lifeline.receive()
            except BlockingIOError:
                return True
            if message is None:
                # The supervisor died. What was published is in the rings; so end at once,
                # before a successor starts this job again.
                os._exit(1)
            if isinstance(message, StopRequest):
                self._stop_reason = message.reason
                self.drain = message.drain
                self.stopping.set()
            elif isinstance(message, NewSource) and self.stream is not None:
                self.stream.inbox.add(message.source)

    def _subscribe(
        self, context: "zmq.Context[zmq.Socket[bytes]]", job: DAQJob, poller: zmq.Poller
    ) -> TelemetryIn | None:
        topics = [topic for topic in job.topics_to_subscribe if Topic.is_telemetry(topic)]
        if not topics:
            return None
        subscriber = TelemetrySubscriber(context, subscribe_endpoint(self._runtime), topics)
        telemetry_in = TelemetryIn(subscriber, self.counters, self._log)
        poller.register(telemetry_in.socket, zmq.POLLIN)
        telemetry_in.start_handling(partial(self._handle, job), self.stopping)
        return telemetry_in

    def _handle(self, job: DAQJob, message: DAQJobMessage) -> bool:
        with self.handling:
            return job.handle_message(message)

    def _check_watchdogs(self) -> None:
        for watchdog in self._watchdogs:
            if watchdog.is_triggered():
                reason = (
                    "watchdog: the job's loop was silent for more than"
                    f" {watchdog.timeout_seconds:g} s"
                )
                if self._watchdog_forces_exit:
                    self.exit_now(JobEnding(reason=reason), WATCHDOG_EXIT_CODE)
                self._log.error("%s", reason)
                watchdog.reset()

    def _send_logs(self, telemetry: TelemetryPublisher, at_most: int) -> None:
        topic = Topic.logs(self._spec.supervisor.supervisor_id, self.unique_id).encode()
        for batch in self.logs.take(at_most):
            telemetry.send(topic, msgspec.msgpack.encode(batch))

    def _send_stats(self, telemetry: TelemetryPublisher, process: psutil.Process) -> None:
        report = self.report(_resources(process))
        topic = Topic.stats(self._spec.supervisor.supervisor_id, self.unique_id)
        telemetry.send(topic.encode(), codec.encode(report))

    def report(self, resources: DAQJobResourceStats) -> DAQJobMessageStatsReport:
        """The counters as they are now."""
        counters = self.counters
        dropped_in = self._telemetry_in.dropped if self._telemetry_in is not None else 0
        return DAQJobMessageStatsReport(
            unique_id=self.unique_id,
            instance_id=self.instance_id,
            messages_in=counters.messages_in,
            bytes_in=counters.bytes_in,
            messages_out=counters.messages_out,
            bytes_out=counters.bytes_out,
            last_in=utc(counters.last_in_ns),
            last_out=utc(counters.last_out_ns),
            topics_out=counters.topics_out,
            unrouted=counters.unrouted,
            lost=self.stream.unreadable if self.stream is not None else 0,
            logs_dropped=self.logs.dropped,
            telemetry_dropped=self._telemetry_out.dropped + dropped_in,
            latency=counters.take_latency(),
            resources=resources,
            condition=self._condition,
            spool_bytes=self.spool_bytes,
            spool_oldest=utc(self.spool_oldest_ns),
            links=list(self.links),
        )

    def _report_set_aside(self, report: RecordSetAside) -> None:
        self._lifeline.send(report)


def _resources(process: psutil.Process) -> DAQJobResourceStats:
    memory = process.memory_info()
    return DAQJobResourceStats(
        cpu_percent=process.cpu_percent(),
        rss_mb=memory.rss / 1e6,
        private_mb=max(0, memory.rss - getattr(memory, "shared", 0)) / 1e6,
    )
