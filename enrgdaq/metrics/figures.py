"""Which figures there are, and how they are read from a snapshot. Knows nothing of Prometheus.

Names follow its conventions: base units, the unit at the end, ``_total`` for what only grows.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, Literal

from msgspec import Struct

from enrgdaq.control.status import Snapshot

STATES: Final = ("starting", "running", "stopping", "stopped", "backoff", "failed")
_ValueOf = Callable[[Any], float | None]


class Figure(Struct, frozen=True):
    """One metric. ``of`` reads it from what it is about; ``None``: there is none now."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    of: _ValueOf


class Sample(Struct, frozen=True):
    """One value with its labels."""

    figure: Figure
    labels: dict[str, str]
    value: float


def _counter(name: str, text: str, of: _ValueOf) -> Figure:
    return Figure(f"enrgdaq_{name}_total", "counter", text, of)


def _gauge(name: str, text: str, of: _ValueOf) -> Figure:
    return Figure(f"enrgdaq_{name}", "gauge", text, of)


UP: Final = _gauge("up", "1: the supervisor answers", lambda _: 1)
JOB_STATE: Final = _gauge("job_state", "1 for the state that the job is in", lambda _: 1)
NODE: Final = (
    _gauge("start_time_seconds", "when the supervisor started, since 1970", lambda n: n.started),
    _gauge("disk_free_bytes", "free where files are written", lambda n: n.disk_free_bytes),
    _gauge("memory_free_bytes", "free where rings lie", lambda n: n.memory_free_bytes),
    _gauge("problems", "what is wrong now; 0 when all is well", lambda n: len(n.problems)),
    _counter("log_dropped_lines", "log lines that were too many", lambda n: n.log_dropped),
)
REMOTE: Final = (
    _gauge("remote_connections", "TCP connections to the control port", lambda r: r.connections),
    _counter("remote_refused_attempts", "attempts to come in without a key", lambda r: r.refused),
    _counter("remote_rejected_messages", "messages that were no request", lambda r: r.rejected),
)
JOB: Final = (
    _gauge("job_stale", "1: alive, but silent for too long", lambda j: j.is_stale),
    _counter("job_restarts", "starts after the first", lambda j: j.restarts),
    _counter("job_messages_in", "messages taken", lambda j: j.messages_in),
    _counter("job_messages_out", "messages published", lambda j: j.messages_out),
    _counter("job_in_bytes", "bytes taken", lambda j: j.bytes_in),
    _counter("job_out_bytes", "bytes published", lambda j: j.bytes_out),
    _counter("job_lost_messages", "messages lost", lambda j: j.lost),
    _counter("job_unrouted_messages", "messages that no store takes", lambda j: j.unrouted),
    _counter(
        "job_telemetry_dropped_messages",
        "telemetry too much to be sent or handled",
        lambda j: j.telemetry_dropped,
    ),
    _counter("job_backpressure_seconds", "waited for consumers", lambda j: j.backpressure_seconds),
    _gauge("job_last_message_age_seconds", "since a message in or out", lambda j: j.age_seconds),
    _gauge("job_queued_bytes", "bytes that wait for it in rings", lambda j: j.queued_bytes),
    _gauge("job_cpu_ratio", "share of one core", lambda j: j.cpu_percent / 100),
    _gauge("job_resident_memory_bytes", "memory in use", lambda j: j.rss_mb * 1e6),
    _gauge("job_latency_average_seconds", "publishing to taking", lambda j: j.latency_avg_ms / 1e3),
    _gauge("job_latency_p99_seconds", "99 of 100 were quicker", lambda j: j.latency_p99_ms / 1e3),
)
STORE: Final = (
    _gauge("store_spool_bytes", "on disk, not yet written by the store", lambda j: j.spool_bytes),
    _gauge(
        "store_spool_age_seconds",
        "since the oldest of them was published",
        lambda j: j.spool_age_seconds or 0.0,
    ),
)
TOPIC: Final = (
    _counter("topic_messages", "messages published on the topic", lambda t: t.messages),
    _counter("topic_rows", "rows in them", lambda t: t.rows),
    _counter("topic_bytes", "bytes in them", lambda t: t.bytes),
)
RING: Final = (
    _gauge("ring_capacity_bytes", "size of the ring", lambda r: r.capacity),
    _counter("ring_written_bytes", "bytes ever written", lambda r: r.head),
)
CONSUMER: Final = (
    _gauge("ring_consumer_lag_bytes", "bytes it is behind", lambda c: c.lag_bytes),
    _counter("ring_consumer_skipped_records", "records it has skipped", lambda c: c.skipped),
)
LINK: Final = (
    _gauge("link_up", "1: the other node answers", lambda k: k.state == "up"),
    _counter("link_messages", "messages that crossed it", lambda k: k.messages),
    _counter("link_bytes", "bytes that crossed it", lambda k: k.bytes),
    _counter("link_repeated_records", "came again after a cut; dropped", lambda k: k.repeated),
    _gauge("link_backlog_bytes", "not at the other end yet", lambda k: k.backlog_bytes),
    _gauge(
        "link_lag_messages",
        "over NATS: not taken yet of its stream",
        lambda k: k.lag if k.stream else None,
    ),
    _counter(
        "link_redelivered_messages",
        "over NATS: delivered again by the server",
        lambda k: k.redelivered if k.stream else None,
    ),
    _gauge(
        "link_round_trip_seconds",
        "to the other node and back",
        lambda k: None if k.round_trip_ms is None else k.round_trip_ms / 1e3,
    ),
)
ALL: Final = (UP, *NODE, *REMOTE, *JOB, JOB_STATE, *STORE, *TOPIC, *RING, *CONSUMER, *LINK)


def samples(snapshot: Snapshot) -> Iterator[Sample]:
    """All values of a snapshot."""
    node = snapshot.supervisor
    of_node = {"supervisor": node.id}
    yield Sample(UP, of_node, 1)
    yield from _of(NODE, node, of_node)
    if node.remote is not None:
        yield from _of(REMOTE, node.remote, of_node)
    for job in snapshot.jobs:
        # "job" is the name that Prometheus itself gives to what it scrapes.
        of_job = {**of_node, "daq_job": job.id, "daq_job_type": job.type, "kind": job.kind}
        yield from _of(JOB, job, of_job)
        if job.kind == "store":
            yield from _of(STORE, job, of_job)
        for state in STATES:
            yield Sample(JOB_STATE, {**of_job, "state": state}, job.state == state)
    for topic in snapshot.topics:
        yield from _of(TOPIC, topic, {**of_node, "topic": topic.topic})
    for link in snapshot.links:
        direction = "to" if link.is_sender else "from"
        yield from _of(LINK, link, {**of_node, "peer": link.peer, "direction": direction})
    for ring in snapshot.rings:
        of_ring = {**of_node, "producer": ring.producer, "ring": ring.uuid}
        yield from _of(RING, ring, of_ring)
        for consumer in ring.consumers:
            yield from _of(CONSUMER, consumer, {**of_ring, "consumer": consumer.name})


def _of(figures: tuple[Figure, ...], subject: object, labels: dict[str, str]) -> Iterator[Sample]:
    for figure in figures:
        value = figure.of(subject)
        if value is not None:
            yield Sample(figure, labels, float(value))
