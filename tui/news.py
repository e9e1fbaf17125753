"""What passes between the interface and the thread that talks to the supervisor."""

from dataclasses import dataclass, field

from enrgdaq.control.protocol import Event, JobDetails, Level, LogLine, TopicHistory
from enrgdaq.control.status import Snapshot
from tui.contact import Contact
from tui.decisions import Order


@dataclass(frozen=True)
class Command:
    """An order, the job's name as it is shown, and when it was given (monotonic seconds).

    ``jobs``: the names of a group. ``file``, ``text``, ``before``: what a job is to be made of,
    see :class:`enrgdaq.control.protocol.ReloadJob`.
    """

    order: Order
    job: str = ""
    given: float = 0.0
    jobs: tuple[str, ...] = ()
    file: str = ""
    text: str | None = None
    before: str | None = None


@dataclass(frozen=True)
class Result:
    """What came of a command."""

    command: Command
    ok: bool
    text: str


@dataclass
class News:
    """What came in since the interface last looked."""

    contact: Contact = Contact.WAITING
    reason: str = ""
    answered_at: float | None = None
    snapshot: Snapshot | None = None
    is_new_run: bool = False
    """The supervisor is another one than before: what was kept of its log no longer counts."""
    lines: list[LogLine] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    skipped: int = 0
    """Lines between the last one shown and ``lines`` that were not fetched."""
    is_new_log: bool = False
    """Other lines are wanted than before; those that were kept no longer count."""
    details: JobDetails | None = None
    details_error: str = ""
    results: list[Result] = field(default_factory=list)
    histories: list[TopicHistory] = field(default_factory=list)
    """Of rates before this console looked."""


@dataclass(frozen=True)
class LogWish:
    """Which lines of the log are fetched: of one job (empty: of all), from this level on."""

    job: str = ""
    level: Level = "DEBUG"
