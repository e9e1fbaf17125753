"""What crosses the control socket: msgpack of tagged structs, nothing else.

A client sends ``[request id, Request]`` and gets ``[request id, Answer]``. Every request is
answered, with :class:`Refused` when it cannot be done.
"""

from typing import Annotated, Literal

from msgspec import Meta, MsgspecError, Struct, field

from enrgdaq.control.status import JobStatus, Snapshot

PROTOCOL_VERSION = 1
LARGEST_REQUEST = 1 << 20  # bytes; larger ones are dropped before they are decoded
CONSOLE = "enrgdaq-console"
"""What a console calls itself as ``program``: it is counted among those who watch."""

LONGEST_TOPIC = 256
TopicName = Annotated[str, Meta(max_length=LONGEST_TOPIC)]
UNREADABLE = (MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding a stranger's bytes may raise; the last for arrays in arrays in arrays."""

JobName = Annotated[str, Meta(max_length=128)]
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "PRINT")
"""Of log lines; the last for what a job printed."""

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
FileName = Annotated[str, Meta(max_length=128)]
LONGEST_FILE = 150_000  # characters
FileText = Annotated[str, Meta(max_length=LONGEST_FILE)]


class Caller(Struct, kw_only=True):
    """Who asks: for the audit. ``user`` and ``address`` are replaced by the server: the account
    that the kernel names, or ``key NAME`` and where it came from by TCP; terminal and program
    are what the client says of itself."""

    user: Annotated[str, Meta(max_length=64)] = ""
    terminal: Annotated[str, Meta(max_length=64)] = ""
    program: Annotated[str, Meta(max_length=64)] = ""
    address: Annotated[str, Meta(max_length=64)] = ""


def remote_user(key_name: str) -> str:
    """What somebody is called who comes by TCP; no name where nobody was asked for a key."""
    return f"key {key_name}" if key_name else "somebody"


class GetSnapshot(Struct, tag=True, kw_only=True):
    """Everything a status display needs, in one answer."""


class GetLogs(Struct, tag=True, kw_only=True):
    """Log lines after a number, oldest first.

    ``after`` is the ``number`` of the last line that the caller has; -1 asks for the newest
    ``limit`` lines. ``job`` keeps one job's lines, ``level`` those that are at least so grave.
    """

    after: int = -1
    limit: Annotated[int, Meta(ge=1, le=5000)] = 500
    job: JobName | None = None
    level: Level = "DEBUG"


class GetEvents(Struct, tag=True, kw_only=True):
    """Audit trail entries after a number, like :class:`GetLogs`."""

    after: int = -1
    limit: Annotated[int, Meta(ge=1, le=5000)] = 500


class GetJobDetails(Struct, tag=True, kw_only=True):
    """What is known of one job."""

    job: JobName


class GetHistory(Struct, tag=True, kw_only=True):
    """The last hour of these topics' rates; ``""`` stands for the sum of all."""

    topics: Annotated[list[TopicName], Meta(max_length=100)]


class RestartJob(Struct, tag=True, kw_only=True):
    """Stop a job and start it again."""

    job: JobName


class StopJob(Struct, tag=True, kw_only=True):
    """Stop a job and leave it stopped."""

    job: JobName


class StartJob(Struct, tag=True, kw_only=True):
    """Start a job that is stopped or failed."""

    job: JobName


class RestartJobs(Struct, tag=True, kw_only=True):
    """Restart all of these jobs, or none when one of them cannot be restarted."""

    jobs: Annotated[list[JobName], Meta(min_length=1, max_length=1000)]


class CheckJob(Struct, tag=True, kw_only=True):
    """Say whether a job could run with this text as its file; changes nothing."""

    job: JobName
    text: FileText


class ReloadJob(Struct, tag=True, kw_only=True):
    """Restart a job with its file as it is on disk, or with ``text`` as its new file.

    The text is checked first; a mistake changes neither the file nor the job. ``before`` is
    the file's text that the caller began with: a file that is another by now is left alone.
    """

    job: JobName
    text: FileText | None = None
    before: FileText | None = None


class AddJob(Struct, tag=True, kw_only=True):
    """Start a job from a file: one of the folder of configs, or a new one with this text."""

    file: FileName
    """Without its folder."""
    text: FileText | None = None
    origin: Annotated[str, Meta(max_length=4096)] = ""
    """The path of the file that the text is from, as the caller knows it: for messages."""


class Leave(Struct, tag=True, kw_only=True):
    """A console goes; acquisition does not mind."""


class Shutdown(Struct, tag=True, kw_only=True):
    """Stop acquisition in order and end the supervisor."""


Request = (
    GetSnapshot
    | GetLogs
    | GetEvents
    | GetJobDetails
    | GetHistory
    | CheckJob
    | RestartJob
    | RestartJobs
    | StopJob
    | StartJob
    | ReloadJob
    | AddJob
    | Leave
    | Shutdown
)

COMMANDS: dict[type[Struct], str] = {
    RestartJob: "restart",
    RestartJobs: "restart group",
    StopJob: "stop",
    StartJob: "start",
    ReloadJob: "reload",
    AddJob: "add",
    Shutdown: "shutdown",
}
"""Requests that change something, and what the audit trail calls them. Read-only clients send
none of them."""

READS: frozenset[type[Struct]] = frozenset({GetSnapshot, GetLogs, GetEvents, GetJobDetails, Leave})
"""What observers may send. :class:`CheckJob` changes nothing, but starts a process."""


class Envelope(Struct, kw_only=True, array_like=True):
    """A request on the wire."""

    version: int
    request_id: int
    caller: Caller
    request: Request


class Done(Struct, tag=True, kw_only=True):
    """The command was taken; its effect shows in the next snapshots."""

    text: str = ""


class Refused(Struct, tag=True, kw_only=True):
    """The request was not carried out, and why."""

    reason: str


class LogLine(Struct, kw_only=True):
    """One line of the log, free of control characters. ``time``: seconds since 1970, UTC."""

    number: int
    time: float
    level: str
    """``DEBUG INFO WARNING ERROR CRITICAL``, or ``PRINT`` for what a job printed"""
    job: str
    """Empty for the supervisor itself."""
    text: str


class Logs(Struct, tag=True, kw_only=True):
    """Answer to :class:`GetLogs`. ``missed``: lines after ``after`` that are no longer kept."""

    lines: list[LogLine]
    missed: int = 0


class Event(Struct, kw_only=True):
    """Something that happened, or that somebody did. ``time``: seconds since 1970, UTC."""

    number: int
    time: float
    what: str
    job: str
    text: str
    user: str = ""
    terminal: str = ""
    address: str = ""
    """Where it was asked for by TCP; empty on this host."""


class Events(Struct, tag=True, kw_only=True):
    """Answer to :class:`GetEvents`."""

    events: list[Event]


class ExitRecord(Struct, kw_only=True):
    """How one life of a job ended. ``time``: seconds since 1970, UTC."""

    time: float
    reason: str
    ran_seconds: float


class JobDetails(Struct, tag=True, kw_only=True):
    """Answer to :class:`GetJobDetails`."""

    job: JobStatus
    config_file: str
    """Absolute path."""
    config_text: str
    """What the job runs with. Secrets in it are masked."""
    file_has_changed: bool = False
    """The file on disk has another text by now."""
    topics_in: list[str]
    exits: list[ExitRecord] = field(default_factory=list)
    last_errors: list[str] = field(default_factory=list)
    environment: list[str] = field(default_factory=list)
    """``NAME=value`` of the job's process, secrets masked; empty while there is none."""


class RateSeries(Struct, array_like=True):
    """Highest rates of consecutive spans of time up to span ``newest`` since 1970."""

    newest: int
    values: bytes
    """float32, little-endian, oldest first; NaN is unknown."""


class TopicHistory(Struct, kw_only=True):
    """Of one topic: messages and bytes per second in spans of 1 s, then both in spans of 10 s."""

    topic: str
    series: list[RateSeries]


class Histories(Struct, tag=True, kw_only=True):
    """Answer to :class:`GetHistory`; topics that are not known are left out."""

    topics: list[TopicHistory]


Answer = Done | Refused | Snapshot | Logs | Events | JobDetails | Histories


class Reply(Struct, kw_only=True, array_like=True):
    """An answer on the wire."""

    version: int
    request_id: int
    answer: Answer
