"""Settings and identity of a supervisor: ``supervisor.toml``."""

import enum
import logging
from typing import Annotated, Literal

from msgspec import Meta, Struct, field


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
            pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,39}\Z",
            description="name of this node; letters, digits, dot, dash, underscore",
        ),
    ]
    supervisor_tags: Annotated[
        list[str], Meta(description="free words that say what this node is for")
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


class SupervisorFederationConfig(Struct, kw_only=True, forbid_unknown_fields=True):
    """Links between supervisors in a star: one hub, any number of spokes."""

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
        list[Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,39}\Z")]],
        Meta(
            description="hub: spokes that are sent what their jobs take of the hub and of other"
            " spokes; while one is away, all that is kept for it"
        ),
    ] = field(default_factory=list)
    receive: Annotated[
        bool, Meta(description="spoke: take what the hub sends; its send_to must name this node")
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
