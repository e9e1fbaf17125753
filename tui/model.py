"""What the panels show: the newest answers, and what the user has chosen to look at."""

from collections import deque
from dataclasses import dataclass, field

from enrgdaq.control.history import ALL_TOPICS, History
from enrgdaq.control.protocol import Event, JobDetails, LogLine
from enrgdaq.control.status import JobStatus, Snapshot, TopicStatus
from tui.contact import Contact
from tui.ending import why
from tui.health import Health, health
from tui.news import LogWish, News
from tui.symbols import UNICODE, Symbols
from tui.view import View

KEPT_LINES = 5000
KEPT_EVENTS = 2000
OLD_AFTER_SECONDS = 2.0


@dataclass
class Model:
    """One per interface; only the event loop's thread touches it. No Textual in here."""

    symbols: Symbols = UNICODE
    readonly: bool = False
    view: View = field(default_factory=View)
    history: History = field(default_factory=History)
    latest: Snapshot | None = None
    """The newest answer, also while the display is frozen."""
    snapshot: Snapshot | None = None
    """The one that is shown."""
    is_frozen: bool = False
    contact: Contact = Contact.WAITING
    reason: str = ""
    answered_at: float | None = None
    silent_seconds: int | None = None
    """Whole seconds without an answer, once that is long enough to mention."""
    jobs: list[JobStatus] = field(default_factory=list)
    topics: list[TopicStatus] = field(default_factory=list)
    """By name: rows do not jump."""
    rates: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Messages and bytes per second of each topic, and of all of them."""
    lines: deque[LogLine] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    lines_seen: int = 0
    """Lines ever taken in: tells a view how far its own have moved."""
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=KEPT_EVENTS))
    details: JobDetails | None = None
    details_error: str = ""
    started_at: float | None = None
    _held: deque[LogLine] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    _held_count: int = 0

    def apply(self, news: News, now: float) -> None:
        """Take in what came from the link."""
        self.contact, self.reason = news.contact, news.reason
        if news.answered_at is not None:
            self.answered_at = news.answered_at
        if news.is_new_run:
            self.history = self.history if self.latest is None else History()
        if news.is_new_run or news.is_new_log:
            self._drop_lines()
        if news.snapshot is not None:
            self._note(news.snapshot)
            if not self.is_frozen or self.snapshot is None:
                self._show(news.snapshot)
        self.history.fill(news.histories)
        self._take_lines(news)
        if news.is_new_run:
            self.events.clear()
        self.events.extend(news.events)
        if news.details is not None or news.details_error:
            self.details, self.details_error = news.details, news.details_error
        self.tick(now)

    def tick(self, now: float) -> bool:
        """Let time pass (monotonic seconds, the clock of ``answered_at``).

        True if that has changed what is to be shown.
        """
        before = self.silent_seconds
        if self.started_at is None:
            self.started_at = now
        since = self.answered_at if self.answered_at is not None else self.started_at
        silence = now - since
        self.silent_seconds = int(silence) if silence >= OLD_AFTER_SECONDS else None
        return self.silent_seconds != before

    def freeze(self, on: bool) -> None:
        """Hold what is shown, or show what has come in meanwhile."""
        self.is_frozen = on
        if on:
            return
        if self.latest is not None:
            self._show(self.latest)
        lost = self._held_count - len(self._held)
        if lost:
            self._add(_gap(lost, self._held[0], "not kept while the display was frozen"))
        for line in self._held:
            self._add(line)
        self._held.clear()
        self._held_count = 0

    @property
    def is_old(self) -> bool:
        """Whether what is shown no longer tells how things are."""
        return self.silent_seconds is not None or self.contact in (Contact.GONE, Contact.REFUSED)

    @property
    def health(self) -> Health:
        """What the band at the top says: never frozen."""
        return health(self.latest, self.contact, self.why_gone, self.silent_seconds)

    @property
    def why_gone(self) -> str:
        """Why nobody answers, as far as it is known."""
        return why(self.events, self.reason) if self.contact is Contact.GONE else self.reason

    @property
    def wish(self) -> LogWish:
        """Which lines of the log are wanted."""
        view = self.view
        return LogWish(job=view.job if view.log_of_job else "", level=view.log_level)

    def job(self, name: str | None) -> JobStatus | None:
        """The job of this name, if it is there now."""
        return next((job for job in self.jobs if job.id == name), None)

    def _note(self, snapshot: Snapshot) -> None:
        self.latest = snapshot
        node = snapshot.supervisor
        rates = [(topic.topic, topic.rate_messages, topic.rate_bytes) for topic in snapshot.topics]
        self.history.add(node.now, [(ALL_TOPICS, node.rate_messages, node.rate_bytes), *rates])

    def _show(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        node, view = snapshot.supervisor, self.view
        self.jobs = sorted(snapshot.jobs, key=lambda job: job.id)
        self.topics = sorted(snapshot.topics, key=lambda topic: topic.topic)
        self.rates = {ALL_TOPICS: (node.rate_messages, node.rate_bytes)}
        self.rates |= {one.topic: (one.rate_messages, one.rate_bytes) for one in self.topics}
        if view.topic not in self.rates:
            view.topic = ALL_TOPICS
        view.compared = [topic for topic in view.compared if topic in self.rates]

    def _take_lines(self, news: News) -> None:
        lines = news.lines
        if lines and news.skipped:
            # With a filter nobody knows how many of the numbers were lines of it.
            few = "" if self.wish == LogWish() else "up to "
            lines = [_gap(news.skipped, lines[0], "not shown here", few), *lines]
        # Lines that somebody has just asked for are not kept from him.
        if self.is_frozen and not news.is_new_log:
            self._held += lines
            self._held_count += len(lines)
            return
        for line in lines:
            self._add(line)

    def _drop_lines(self) -> None:
        self.lines.clear()
        self._held.clear()
        self._held_count = 0

    def _add(self, line: LogLine) -> None:
        self.lines.append(line)
        self.lines_seen += 1


def _gap(skipped: int, following: LogLine, why: str, few: str = "") -> LogLine:
    return LogLine(
        number=following.number - 1,
        time=following.time,
        level="",
        job="",
        text=f"{few}{skipped} lines {why}: they are in the log file",
    )
