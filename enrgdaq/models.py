"""Settings and identity of a supervisor: ``supervisor.toml``."""

import enum
import logging
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field

NODE_PATTERN: Final = r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,39}\Z"
"""What nodes, and so their keys, may be called."""
RING_PATTERN: Final = r"\A[0-9a-f]{32}\Z"
"""What rings are called."""


class LogVerbosity(enum.StrEnum):
    """How much a job or the supervisor writes to the log."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"

    def to_logging_level(self) -> int:
        """The level as the ``logging`` module counts it."""
        return logging.getLevelNamesMapping()[self.value]


class SupervisorInfo(Struct, kw_only=True, forbid_unknown_fields=True):
    """Who a supervisor is."""

    supervisor_id: Annotated[
        str,
        Meta(
            pattern=NODE_PATTERN,
            description="name of this node; letters, digits, dot, dash, underscore",
        ),
    ]
    supervisor_tags: Annotated[
        list[Annotated[str, Meta(max_length=50)]],
        Meta(max_length=20, description="free words that say what this node is for"),
    ] = field(default_factory=list)


class SupervisorCNCConfig(Struct, kw_only=True, forbid_unknown_fields=True):
    """Remote command and control."""

    is_server: Annotated[
        bool, Meta(description="listen on TCP for consoles and commands that have a key")
    ] = False
    server_host: Annotated[
        str, Meta(description="address to listen on; 0.0.0.0 for all of this host")
    ] = "127.0.0.1"
    server_port: Annotated[int, Meta(ge=1, le=65535, description="port to listen on")] = 1638
    insecure: Annotated[
        bool, Meta(description="ask nobody for a key: whoever reaches the port commands the node")
    ] = False
    rest_api_enabled: bool = False
    rest_api_host: str = "127.0.0.1"
    rest_api_port: Annotated[int, Meta(ge=1, le=65535)] = 8000


class FederationNatsConfig(Struct, kw_only=True, forbid_unknown_fields=True):
    """Links over NATS JetStream. What is said of streams is made when missing, else compared."""

    servers: Annotated[
        list[str],
        Meta(min_length=1, description="nats://HOST:PORT or tls://HOST:PORT, all of the cluster"),
    ]
    prefix: Annotated[
        str,
        Meta(
            pattern=r"\A[A-Za-z0-9_]{1,32}\Z",
            description="begins the names of streams (PREFIX-data-NODE, PREFIX-wanted) and subjects"
            " (PREFIX.data.NODE.RING); nodes with the same one are linked",
        ),
    ] = "enrgdaq"
    send: Annotated[
        bool, Meta(description="send what other nodes take; receive in [federation] is to take")
    ] = True
    wait_for: Annotated[
        list[Annotated[str, Meta(pattern=NODE_PATTERN)]],
        Meta(
            description="nodes that must have said once what they take before anything is sent;"
            " until then all that is for stores is kept"
        ),
    ] = field(default_factory=list)
    storage: Annotated[
        Literal["file", "memory"], Meta(description="where servers keep streams")
    ] = "file"
    replicas: Annotated[
        Literal[1, 3, 5], Meta(description="servers that have a message before it counts as sent")
    ] = 1
    retention: Annotated[
        Literal["limits", "interest"],
        Meta(description="limits: kept until a limit is reached; interest: until all have read it"),
    ] = "limits"
    remove_read: Annotated[
        bool,
        Meta(
            description="with retention limits: remove what every reader has taken, once the stream"
            " is half full; false keeps it for others, up to max_age_hours"
        ),
    ] = True
    keep_unread: Annotated[
        bool,
        Meta(
            description="keep a copy on this node's disk of what not every reader has yet, up to"
            " max_size_mb, and send it again when servers have lost it; false trusts the servers"
        ),
    ] = True
    max_size_mb: Annotated[
        int, Meta(ge=16, description="most that the stream of this node may take, MiB")
    ] = 1024
    max_age_hours: Annotated[
        float, Meta(ge=0, description="messages live so long, also unread ones; 0: for ever")
    ] = 0.0
    discard: Annotated[
        Literal["new", "old"],
        Meta(
            description="a full stream: new takes no more, and this node spools; old loses the"
            " oldest, also unread ones"
        ),
    ] = "new"
    may_lose_unread: Annotated[
        bool, Meta(description="allows discard old and max_age_hours, which lose unread data")
    ] = False
    duplicate_window_seconds: Annotated[
        float, Meta(ge=0.1, le=86_400, description="for so long servers know message ids again")
    ] = 120.0
    nkey_seed_file: Annotated[
        str | None,
        Meta(description="file with this node's nkey seed, mode 0600; beside supervisor.toml"),
    ] = None
    tls_ca: Annotated[
        str | None,
        Meta(description="file with the authority's certificate, by which servers are known"),
    ] = None
    tls_cert: Annotated[
        str | None, Meta(description="file with this node's certificate, where servers ask for it")
    ] = None
    tls_key: Annotated[str | None, Meta(description="file with the key of tls_cert, mode 0600")] = (
        None
    )


class SupervisorFederationConfig(Struct, kw_only=True, forbid_unknown_fields=True):
    """Links between supervisors: in a star of one hub and its spokes, or over NATS."""

    engine: Annotated[
        Literal["zmq", "nats"],
        Meta(
            description="what carries data: zmq, this program's own sockets, in a star; nats, the"
            " JetStream servers of [federation.nats]"
        ),
    ] = "zmq"
    nats: FederationNatsConfig | None = None

    is_server: Annotated[bool, Meta(description="this node is the hub")] = False
    server_xsub_url: Annotated[
        str, Meta(description="hub: where data of spokes comes in, tcp://HOST:PORT")
    ] = "tcp://0.0.0.0:1639"
    server_xpub_url: Annotated[
        str, Meta(description="hub: where spokes say how they are, and are commanded")
    ] = "tcp://0.0.0.0:1640"
    remote_server_xsub_url: Annotated[
        str | None, Meta(description="spoke: the hub's server_xsub_url as seen from here")
    ] = None
    remote_server_xpub_url: Annotated[
        str | None, Meta(description="spoke: the hub's server_xpub_url as seen from here")
    ] = None
    server_key: Annotated[
        str | None,
        Meta(description="spoke: name of the hub's public key; the only one if unset"),
    ] = None
    insecure: Annotated[
        bool, Meta(description="no keys: whoever reaches the ports sends data and reads it")
    ] = False
    send_to: Annotated[
        list[Annotated[str, Meta(pattern=NODE_PATTERN)]],
        Meta(
            description="hub: spokes that are sent what their jobs take of the hub and of other"
            " spokes; while one is away, all that is kept for it"
        ),
    ] = field(default_factory=list)
    receive: Annotated[
        bool,
        Meta(
            description="spoke: take what the hub sends; its send_to must name this node. With"
            " engine nats: take what other nodes send"
        ),
    ] = False
    hub_may_command: Annotated[
        bool, Meta(description="spoke: operators of the hub may restart and change jobs here")
    ] = True
    when_behind: Annotated[
        Literal["hold", "spool", "skip"],
        Meta(
            description="spoke, while the hub is away or slower: spool moves records to the disk;"
            " hold makes producers wait once a ring is full; skip loses the oldest, counted"
        ),
    ] = "spool"
    spool_size_mb: Annotated[
        int, Meta(ge=32, description="spoke: most that the spool may take, MiB; then it holds")
    ] = 4096
    mirror_size_mb: (
        Annotated[
            int,
            Meta(ge=1, le=65536, description="hub: ring for what comes in, MiB; a share if unset"),
        ]
        | None
    ) = None


class RestartConfig(Struct, kw_only=True, forbid_unknown_fields=True):
    """When and how often a job that ended is started again."""

    first_delay_seconds: Annotated[
        float, Meta(ge=0, description="wait before the first restart; doubles with each")
    ] = 1.0
    longest_delay_seconds: Annotated[
        float, Meta(ge=0, description="the wait never grows beyond this")
    ] = 30.0
    forgiven_after_seconds: Annotated[
        float, Meta(gt=0, description="a job that ran this long starts counting anew")
    ] = 60.0
    max_restarts: Annotated[
        int, Meta(ge=0, description="after so many in the window a source is failed; 0: no limit")
    ] = 10
    window_seconds: Annotated[
        float, Meta(gt=0, description="the window in which max_restarts counts")
    ] = 600.0


class SupervisorConfig(Struct, kw_only=True, forbid_unknown_fields=True):
    """``supervisor.toml``. Every key has a default; only the id is asked for."""

    info: SupervisorInfo
    verbosity: LogVerbosity = LogVerbosity.INFO
    cnc: SupervisorCNCConfig | None = None
    federation: SupervisorFederationConfig | None = None
    restart: RestartConfig = field(default_factory=RestartConfig)
    ring_buffer_size_mb: Annotated[
        int, Meta(ge=1, le=1_048_576, description="memory for all rings of this node, MiB")
    ] = 256
    ring_buffer_slot_size_kb: Annotated[
        int | None, Meta(description="accepted for old files; a byte log has no slots")
    ] = None
    out_dir: Annotated[
        str, Meta(description="folder for stats.csv, stats_remote.csv, logs and state")
    ] = "out"
    keys_dir: Annotated[
        str, Meta(description="folder of the keys for TCP, beside supervisor.toml")
    ] = "keys"
    control_group: Annotated[
        str | None,
        Meta(description="Unix group whose members may attach to this supervisor and command it"),
    ] = None
    stop_grace_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="longest time that a clean stop takes")
    ] = 10.0
    hung_after_seconds: Annotated[
        float, Meta(ge=1, description="a job whose heartbeat is older is killed and restarted")
    ] = 15.0

    @property
    def supervisor_id(self) -> str:
        """Name of this node."""
        return self.info.supervisor_id
