"""What a job's process counts, for the statistics of its life."""

import datetime as dt
import time
from collections import deque

from enrgdaq.daq.models import DAQJobLatencyStats, TopicCount

_DELAYS_KEPT = 2_000


class Counters:
    """Counters since the process started. Written by the job's threads, read by its service.

    Plain additions under the GIL: each counter has one writing thread, or is written under
    the outbox's lock.
    """

    def __init__(self) -> None:
        self.messages_in = 0
        self.bytes_in = 0
        self.unrouted = 0
        self.last_in_ns = 0
        self.last_out_ns = 0
        self._sent: dict[tuple[str, ...], TopicCount] = {}
        self._delays_ns: deque[int] = deque(maxlen=_DELAYS_KEPT)

    def took(self, size: int, sent_ns: int, now_ns: int, messages: int = 1) -> None:
        """So many messages came in, published together at ``sent_ns``."""
        self.messages_in += messages
        self.bytes_in += size
        self.last_in_ns = now_ns
        self._delays_ns.append(now_ns - sent_ns)

    def sent(self, topics: tuple[str, ...], size: int, rows: int, messages: int) -> None:
        """So many messages of the same topics went out, with so many bytes and rows in all."""
        # Added up where it is asked for: this runs for every message.
        count = self._sent.get(topics)
        if count is None:
            count = self._sent[topics] = TopicCount()
        count.messages += messages
        count.bytes += size
        count.rows += rows
        self.last_out_ns = time.time_ns()

    @property
    def messages_out(self) -> int:
        """Messages published."""
        return sum(count.messages for count in list(self._sent.values()))

    @property
    def bytes_out(self) -> int:
        """Bytes in them."""
        return sum(count.bytes for count in list(self._sent.values()))

    @property
    def topics_out(self) -> dict[str, TopicCount]:
        """The same by topic; a message of several topics counts for each."""
        totals: dict[str, TopicCount] = {}
        for topics, sent in list(self._sent.items()):
            for topic in topics:
                total = totals.setdefault(topic, TopicCount())
                total.messages += sent.messages
                total.bytes += sent.bytes
                total.rows += sent.rows
        return totals

    def take_latency(self) -> DAQJobLatencyStats:
        """Delays since the last call, of the newest 2 000 records."""
        delays = sorted(self._delays_ns)
        self._delays_ns.clear()
        if not delays:
            return DAQJobLatencyStats()
        return DAQJobLatencyStats(
            count=len(delays),
            avg_ms=sum(delays) / len(delays) / 1e6,
            p95_ms=delays[min(len(delays) - 1, len(delays) * 95 // 100)] / 1e6,
            p99_ms=delays[min(len(delays) - 1, len(delays) * 99 // 100)] / 1e6,
        )


def utc(nanoseconds: int) -> dt.datetime | None:
    """A count of ns since 1970 as a time; ``None`` for 0."""
    return dt.datetime.fromtimestamp(nanoseconds / 1e9, dt.UTC) if nanoseconds else None
