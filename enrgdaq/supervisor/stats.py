"""Statistics of jobs over all their lives, and rates."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from enrgdaq.daq.models import DAQJobMessageStatsReport, TopicCount
from enrgdaq.text import clean

_STALE_REPORT_SECONDS = 3.0
_COUNTERS = (
    "messages_in",
    "bytes_in",
    "messages_out",
    "bytes_out",
    "unrouted",
    "lost",
    "telemetry_dropped",
)


@dataclass
class Rates:
    """Per second, between the last two reports."""

    messages_in: float = 0.0
    messages_out: float = 0.0
    bytes_in: float = 0.0
    bytes_out: float = 0.0


@dataclass
class TopicRates:
    """Per second, between the last two reports."""

    messages: float = 0.0
    bytes: float = 0.0
    rows: float = 0.0


class JobStats:
    """Counters of one job, summed over its restarts.

    A report counts from the start of its process; when the next process reports, what the
    one before had counted is added to the base.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._base = dict.fromkeys(_COUNTERS, 0)
        self._topic_base: dict[str, TopicCount] = {}
        self._report: DAQJobMessageStatsReport | None = None
        self._reported_at = 0.0
        self._is_running = False
        self._rates = Rates()
        self._topic_rates: dict[str, TopicRates] = {}
        self._link_rates: dict[str, Rates] = {}
        self.last_in: dt.datetime | None = None
        self.last_out: dt.datetime | None = None

    @property
    def report(self) -> DAQJobMessageStatsReport | None:
        """The newest report of the running process."""
        return self._report if self._is_running else None

    @property
    def rates(self) -> Rates:
        """Rates of the running process; zero when it has stopped reporting."""
        return self._rates if self._is_fresh() else Rates()

    @property
    def topic_rates(self) -> dict[str, TopicRates]:
        """Rates by topic; empty when the process has stopped reporting."""
        return self._topic_rates if self._is_fresh() else {}

    @property
    def condition(self) -> str:
        """What the job says that it waits for."""
        return self.report.condition if self.report else ""

    def link_rates(self, peer: str) -> Rates:
        """Of a link to another node."""
        return self._link_rates.get(peer, Rates()) if self._is_fresh() else Rates()

    def absorb(self, report: DAQJobMessageStatsReport) -> None:
        """Take a report of the job's process; the last one may come after its end."""
        _make_safe(report)
        previous = self._report
        if previous is not None and report.instance_id < previous.instance_id:
            return  # late, from a process long gone
        if previous is not None and report.instance_id > previous.instance_id:
            self._add_to_base(previous)
            previous = None
        if previous is not None and not report.topics_out:
            # The last report leaves them out where they are too many; they never get fewer.
            report.topics_out = previous.topics_out
        now = self._clock()
        seconds = now - self._reported_at
        if previous is not None and seconds > 0:
            self._find_rates(previous, report, seconds)
        self._report = report
        self._reported_at = now
        self.last_in = report.last_in or self.last_in
        self.last_out = report.last_out or self.last_out

    def process_ended(self) -> None:
        """The process is gone; what it had counted stays."""
        self._is_running = False

    def process_started(self) -> None:
        """A new process counts from zero."""
        self._is_running = True
        self._rates = Rates()
        self._topic_rates = {}

    def total(self, name: str) -> int:
        """A counter over all lives of the job."""
        return self._base[name] + (getattr(self._report, name) if self._report else 0)

    def topics(self) -> dict[str, TopicCount]:
        """What was published, by topic, over all lives of the job."""
        running = self._report.topics_out if self._report else {}
        totals = {}
        for topic in {*self._topic_base, *running}:
            base, now = self._topic_base.get(topic, TopicCount()), running.get(topic, TopicCount())
            totals[topic] = TopicCount(
                messages=base.messages + now.messages,
                bytes=base.bytes + now.bytes,
                rows=base.rows + now.rows,
            )
        return totals

    def age_seconds(self, wall: float) -> float | None:
        """Since the last message in or out; ``None`` before the first."""
        times = [moment.timestamp() for moment in (self.last_in, self.last_out) if moment]
        return max(0.0, wall - max(times)) if times else None

    def _is_fresh(self) -> bool:
        return self._is_running and self._clock() - self._reported_at < _STALE_REPORT_SECONDS

    def _add_to_base(self, report: DAQJobMessageStatsReport) -> None:
        for name in _COUNTERS:
            self._base[name] += getattr(report, name)
        for topic, count in report.topics_out.items():
            base = self._topic_base.setdefault(topic, TopicCount())
            base.messages += count.messages
            base.bytes += count.bytes
            base.rows += count.rows

    def _find_rates(
        self,
        before: DAQJobMessageStatsReport,
        after: DAQJobMessageStatsReport,
        seconds: float,
    ) -> None:
        def rate(name: str) -> float:
            return float(getattr(after, name) - getattr(before, name)) / seconds

        self._rates = Rates(
            rate("messages_in"), rate("messages_out"), rate("bytes_in"), rate("bytes_out")
        )
        links = {link.peer: link for link in before.links}
        self._link_rates = {
            link.peer: Rates(
                messages_in=(link.messages - links[link.peer].messages) / seconds,
                bytes_in=(link.bytes - links[link.peer].bytes) / seconds,
            )
            for link in after.links
            if link.peer in links
        }
        self._topic_rates = {}
        for topic, count in after.topics_out.items():
            earlier = before.topics_out.get(topic, TopicCount())
            self._topic_rates[topic] = TopicRates(
                messages=(count.messages - earlier.messages) / seconds,
                bytes=(count.bytes - earlier.bytes) / seconds,
                rows=(count.rows - earlier.rows) / seconds,
            )


def _make_safe(report: DAQJobMessageStatsReport) -> None:
    """Take out of a job's words what a terminal would obey."""
    report.condition = clean(report.condition)
    topics: dict[str, TopicCount] = {}
    for topic, count in report.topics_out.items():
        total = topics.setdefault(clean(topic), TopicCount())
        total.messages += count.messages
        total.bytes += count.bytes
        total.rows += count.rows
    report.topics_out = topics
    for link in report.links:
        link.peer = clean(link.peer)
        link.stream, link.leader = clean(link.stream), clean(link.leader)
