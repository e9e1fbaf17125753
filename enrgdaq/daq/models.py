"""Configs, messages and statistics of jobs."""

import datetime as dt
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from enrgdaq.errors import EnrgdaqError
from enrgdaq.models import LogVerbosity, SupervisorInfo

__all__ = [
    "DAQJobConfig",
    "DAQJobInfo",
    "DAQJobLatencyStats",
    "DAQJobMessage",
    "DAQJobMessageHeartbeat",
    "DAQJobMessageStatsReport",
    "DAQJobMessageStop",
    "DAQJobResourceStats",
    "DAQJobStats",
    "DAQJobStatsRecord",
    "DAQJobStopError",
    "LinkFigures",
    "LogVerbosity",
    "TopicCount",
]


class DAQJobConfig(Struct, kw_only=True):
    """The keys that every job's TOML file may have. Subclasses add their own."""

    daq_job_type: Annotated[
        str, Meta(description="class name of the job, or 'package.module:Class'")
    ]
    verbosity: Annotated[LogVerbosity, Meta(description="least level that is logged")] = (
        LogVerbosity.INFO
    )
    daq_job_unique_id: (
        Annotated[
            str,
            Meta(
                pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z",
                description="name of the job; the file's name without .toml by default",
            ),
        ]
        | None
    ) = None
    use_shm_when_possible: Annotated[
        bool, Meta(description="keep the job's ring in memory; false: in an ordinary file")
    ] = True
    topics_to_subscribe: Annotated[
        list[str], Meta(description="topics to receive, besides those of the job type")
    ] = field(default_factory=list)
    when_behind: Annotated[
        Literal["hold", "skip"],
        Meta(
            description="when this job is behind and a ring is full: hold makes the producers"
            " wait; skip loses this job's oldest messages, counted (for monitors)"
        ),
    ] = "hold"
    ring_size_mb: (
        Annotated[
            int,
            Meta(ge=1, le=65536, description="size of the job's ring, MiB; its share by default"),
        ]
        | None
    ) = None
    stale_after_seconds: (
        Annotated[
            float,
            Meta(gt=0, description="mark the job stale when silent for longer, s; off if unset"),
        ]
        | None
    ) = None


class DAQJobInfo(Struct, kw_only=True):
    """Who sent a message."""

    daq_job_type: str
    unique_id: str
    instance_id: int = 0
    supervisor_info: SupervisorInfo | None = None

    @property
    def daq_job_class_name(self) -> str:
        """Old name of :attr:`daq_job_type`."""
        return self.daq_job_type

    @staticmethod
    def mock() -> "DAQJobInfo":
        """A sender for tests."""
        return DAQJobInfo(
            daq_job_type="mock",
            unique_id="mock",
            supervisor_info=SupervisorInfo(supervisor_id="mock"),
        )


class DAQJobMessage(Struct, kw_only=True, omit_defaults=True):
    """Base of all messages between jobs.

    ``id`` (``ring:sequence``), ``timestamp`` (UTC) and ``daq_job_info`` are filled in when
    the message is published; ``topics`` decides who receives it.
    """

    id: str | None = None
    timestamp: dt.datetime | None = None
    topics: list[str] = field(default_factory=list)
    daq_job_info: DAQJobInfo | None = None
    target_local_supervisor: bool = False

    @property
    def supervisor_id(self) -> str:
        """Node that the message comes from; ``"unknown"`` before it was published."""
        if self.daq_job_info is None or self.daq_job_info.supervisor_info is None:
            return "unknown"
        return self.daq_job_info.supervisor_info.supervisor_id


class DAQJobMessageStop(DAQJobMessage, kw_only=True):
    """Asks a job to stop; :meth:`DAQJob.handle_message` turns it into a stop error."""

    reason: str


class DAQJobMessageHeartbeat(DAQJobMessage, kw_only=True):
    """A supervisor is alive."""


class DAQJobStatsRecord(Struct):
    """A counter and when it last moved (UTC)."""

    count: int = 0
    last_updated: dt.datetime | None = None

    def increase(self, amount: int = 1) -> None:
        """Add to the counter."""
        self.set(self.count + amount)

    def set(self, amount: int) -> None:
        """Set the counter."""
        self.count = amount
        self.last_updated = dt.datetime.now(dt.UTC)


class DAQJobLatencyStats(Struct):
    """Publish-to-handler delay over the last second, ms."""

    count: int = 0
    avg_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0


class DAQJobResourceStats(Struct):
    """What a job's process takes."""

    cpu_percent: float = 0.0
    rss_mb: float = 0.0
    private_mb: float = 0.0


class DAQJobStats(Struct):
    """Statistics of one job since its supervisor started."""

    message_in_stats: DAQJobStatsRecord = field(default_factory=DAQJobStatsRecord)
    message_out_stats: DAQJobStatsRecord = field(default_factory=DAQJobStatsRecord)
    message_in_queue_stats: DAQJobStatsRecord = field(default_factory=DAQJobStatsRecord)
    message_out_queue_stats: DAQJobStatsRecord = field(default_factory=DAQJobStatsRecord)
    restart_stats: DAQJobStatsRecord = field(default_factory=DAQJobStatsRecord)
    latency_stats: DAQJobLatencyStats = field(default_factory=DAQJobLatencyStats)
    resource_stats: DAQJobResourceStats = field(default_factory=DAQJobResourceStats)
    is_alive: bool = True


class TopicCount(Struct):
    """What went out on one topic since the job's process started."""

    messages: int = 0
    bytes: int = 0
    rows: int = 0


class LinkFigures(Struct):
    """One end of a link between nodes, since the job's process started."""

    peer: str
    """The node at the other end; its address until it has said its name."""
    is_sender: bool
    state: Literal["up", "away", "left"]
    """``left``: the other end has said that it stops."""
    since: dt.datetime
    """When that began."""
    round_trip_ms: float | None = None
    messages: int = 0
    bytes: int = 0
    repeated: int = 0
    """Records that came again after a cut, and were dropped."""
    stream: str = ""
    """Over NATS: the stream that carries it, ..."""
    leader: str = ""
    """... the server that leads it, ..."""
    lag: int = 0
    """... messages in it that this node, or the slowest one that takes, has not taken, ..."""
    redelivered: int = 0
    """... messages that the server delivered again, ..."""
    unread_bytes: int = 0
    """... and what this node keeps until all that take have it."""


class DAQJobMessageStatsReport(DAQJobMessage, kw_only=True):
    """One job's counters since its process started, sent once a second."""

    unique_id: str
    instance_id: int
    messages_in: int = 0
    bytes_in: int = 0
    messages_out: int = 0
    bytes_out: int = 0
    last_in: dt.datetime | None = None
    last_out: dt.datetime | None = None
    topics_out: dict[str, TopicCount] = field(default_factory=dict)
    unrouted: int = 0
    lost: int = 0
    logs_dropped: int = 0
    telemetry_dropped: int = 0
    latency: DAQJobLatencyStats = field(default_factory=DAQJobLatencyStats)
    resources: DAQJobResourceStats = field(default_factory=DAQJobResourceStats)
    condition: str = ""
    spool_bytes: int = 0
    spool_oldest: dt.datetime | None = None
    """When the oldest record in the job's spool was published."""
    links: list[LinkFigures] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


class DAQJobStopError(EnrgdaqError):
    """The job is to stop. Raised in ``start()`` and in puts that wait; let it pass."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
