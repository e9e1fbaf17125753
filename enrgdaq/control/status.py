"""How a node is: its jobs, topics, rings and links, as one snapshot shows them."""

from msgspec import Struct


class RemoteStatus(Struct, kw_only=True):
    """The TCP endpoint of this protocol. Counters are since the supervisor started."""

    endpoint: str
    is_insecure: bool
    """Nobody is asked for a key."""
    connections: int
    refused: int
    """Attempts to come in without a key that may."""
    rejected: int
    """Messages that were no request."""


class SupervisorStatus(Struct, kw_only=True):
    """The node as a whole. Times are seconds since 1970, UTC; rates per second."""

    id: str
    tags: list[str]
    pid: int
    version: str
    state: str
    """``starting running stopping``"""
    started: float
    now: float
    config_path: str
    out_dir: str
    log_path: str
    jobs_running: int
    jobs_total: int
    problems: list[str]
    """One short sentence each; empty when all is well."""
    rate_messages: float
    rate_bytes: float
    disk_free_bytes: int
    memory_free_bytes: int
    log_dropped: int
    consoles: list[str] = []
    """Who watches at this moment: ``account on terminal``."""
    remote: RemoteStatus | None = None
    """``None``: only local clients come in."""


class JobStatus(Struct, kw_only=True):
    """One job. Counters are since the supervisor started, restarts of the job included."""

    id: str
    type: str
    kind: str
    """``source processor store monitor``"""
    state: str
    """``starting running stopping stopped backoff failed``"""
    is_stale: bool
    condition: str
    """What the job says of itself, such as "waiting for disk"; empty when all is well."""
    pid: int | None
    restarts: int
    exit_reason: str
    messages_in: int
    messages_out: int
    bytes_in: int
    bytes_out: int
    rate_in: float
    rate_out: float
    rate_bytes_in: float
    rate_bytes_out: float
    age_seconds: float | None
    """Since the last message in or out; ``None`` before the first."""
    backpressure_seconds: float
    lost: int
    unrouted: int
    telemetry_dropped: int = 0
    """Statistics, announcements and the like that were too many to be sent or handled."""
    queued_bytes: int
    """Bytes that wait for this job in rings."""
    spool_bytes: int = 0
    """Bytes on disk that its store has not written yet."""
    spool_age_seconds: float | None = None
    """Since the oldest of them was published; ``None`` for an empty spool."""
    latency_avg_ms: float
    latency_p95_ms: float
    latency_p99_ms: float
    cpu_percent: float
    rss_mb: float
    private_mb: float
    next_start_seconds: float | None
    """Until the next attempt, in state ``backoff``."""
    file: str = ""
    """Absolute path of the job's file."""


class TopicStatus(Struct, kw_only=True):
    """What was published on a topic, summed over jobs, since the supervisor started."""

    topic: str
    messages: int
    bytes: int
    rows: int
    rate_messages: float
    rate_bytes: float
    rate_rows: float


class RingConsumerStatus(Struct, kw_only=True):
    """One consumer of a ring."""

    name: str
    cursor: int
    lag_bytes: int
    skipped: int


class RingStatus(Struct, kw_only=True):
    """One ring. ``is_old``: left by an earlier run, drained and then removed."""

    producer: str
    uuid: str
    capacity: int
    head: int
    is_old: bool
    consumers: list[RingConsumerStatus]
    message_bytes: float = 0.0
    """What a message takes in it, on average since the supervisor started; 0: not known."""
    row_bytes: float = 0.0
    """The same of a row; 0 also where messages have no rows."""


class LinkStatus(Struct, kw_only=True):
    """One end of a link to another node. Counters are since the link's job started."""

    job: str
    peer: str
    """The node at the other end; its address until it has said its name."""
    is_sender: bool
    state: str
    """``up away left``; ``left``: the other node has stopped in order"""
    since: float
    round_trip_ms: float | None
    messages: int
    bytes: int
    rate_messages: float
    rate_bytes: float
    backlog_bytes: int
    """Sender: not at the other end yet: in rings, in the spool, and over NATS at servers."""
    repeated: int
    """Receiver: records that came again after a cut, and were dropped."""
    stream: str = ""
    """Over NATS: the stream that carries it; empty for other links."""
    leader: str = ""
    """The server that leads the stream; empty where it has only one."""
    lag: int = 0
    """Messages in the stream that this node, or the slowest one that takes, has not taken."""
    redelivered: int = 0
    """Receiver: messages that the server delivered again."""


class NodeStatus(Struct, kw_only=True):
    """Another node that this one is the hub of, as it last said."""

    id: str
    state: str
    """``up away left``; ``left``: it has stopped in order, or its key was revoked"""
    age_seconds: float
    """Since it was heard."""
    dropped: int
    """How often it could not say how it is."""
    supervisor: SupervisorStatus
    jobs: list[JobStatus]
    topics: list[TopicStatus]
    links: list[LinkStatus]


class Snapshot(Struct, tag=True, kw_only=True):
    """All of it at one moment."""

    supervisor: SupervisorStatus
    jobs: list[JobStatus]
    topics: list[TopicStatus]
    rings: list[RingStatus]
    links: list[LinkStatus] = []
    nodes: list[NodeStatus] = []
