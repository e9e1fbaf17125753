"""What the panels show: the newest answers, and what the user has chosen to look at."""

from collections import deque
from dataclasses import dataclass, field

from enrgdaq.control.protocol import JobDetails, JobStatus, LogLine, Snapshot
from tui.contact import Contact
from tui.health import Health, health
from tui.history import History
from tui.link import News
from tui.symbols import UNICODE, Symbols

KEPT_LINES = 2000
OLD_AFTER_SECONDS = 2.0
ALL_TOPICS = ""
KINDS = ("source", "processor", "store", "monitor")


@dataclass
class Model:
    """One per interface; only the event loop's thread touches it. No Textual in here."""

    symbols: Symbols = UNICODE
    readonly: bool = False
    history: History = field(default_factory=History)
    snapshot: Snapshot | None = None
    contact: Contact = Contact.WAITING
    reason: str = ""
    answered_at: float | None = None
    silent_seconds: int | None = None
    """Whole seconds without an answer, once that is long enough to mention."""
    jobs: list[JobStatus] = field(default_factory=list)
    """By kind, then by name: rows do not jump."""
    lines: deque[LogLine] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    lines_seen: int = 0
    """Lines ever taken in: tells a view how far its own have moved."""
    details: JobDetails | None = None
    details_error: str = ""
    topic: str = ALL_TOPICS
    show_bytes: bool = False
    started_at: float | None = None

    def apply(self, news: News, now: float) -> None:
        """Take in what came from the link."""
        self.contact, self.reason = news.contact, news.reason
        if news.answered_at is not None:
            self.answered_at = news.answered_at
        if news.is_new_run:
            self.history = self.history if self.snapshot is None else History()
            self.lines.clear()
        if news.snapshot is not None:
            self._apply_snapshot(news.snapshot)
        if news.lines:
            if news.skipped:
                self._add(_gap(news.skipped, news.lines[0]))
            for line in news.lines:
                self._add(line)
        if news.details is not None or news.details_error:
            self.details, self.details_error = news.details, news.details_error
        self.tick(now)

    def tick(self, now: float) -> None:
        """Let time pass (monotonic seconds, the clock of ``answered_at``)."""
        if self.started_at is None:
            self.started_at = now
        since = self.answered_at if self.answered_at is not None else self.started_at
        silence = now - since
        self.silent_seconds = int(silence) if silence >= OLD_AFTER_SECONDS else None

    @property
    def is_old(self) -> bool:
        """Whether what is shown no longer tells how things are."""
        return self.silent_seconds is not None or self.contact in (Contact.GONE, Contact.REFUSED)

    @property
    def health(self) -> Health:
        """What the band at the top says."""
        return health(self.snapshot, self.contact, self.reason, self.silent_seconds)

    def job(self, name: str | None) -> JobStatus | None:
        """The job of this name, if it is there now."""
        return next((job for job in self.jobs if job.id == name), None)

    def _apply_snapshot(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.jobs = sorted(snapshot.jobs, key=lambda job: (_rank(job.kind), job.id))
        node = snapshot.supervisor
        rates = [(topic.topic, topic.rate_messages, topic.rate_bytes) for topic in snapshot.topics]
        self.history.add(node.now, [(ALL_TOPICS, node.rate_messages, node.rate_bytes), *rates])
        if self.topic not in {ALL_TOPICS, *(topic.topic for topic in snapshot.topics)}:
            self.topic = ALL_TOPICS

    def _add(self, line: LogLine) -> None:
        self.lines.append(line)
        self.lines_seen += 1


def _rank(kind: str) -> int:
    return KINDS.index(kind) if kind in KINDS else len(KINDS)


def _gap(skipped: int, following: LogLine) -> LogLine:
    return LogLine(
        number=following.number - 1,
        time=following.time,
        level="",
        job="",
        text=f"{skipped} lines not shown here: they are in the log file",
    )
