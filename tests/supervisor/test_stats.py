"""Counters over the lives of a job."""

from enrgdaq.daq.models import DAQJobMessageStatsReport, TopicCount
from enrgdaq.supervisor.stats import JobStats


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def report(life: int, out: int) -> DAQJobMessageStatsReport:
    return DAQJobMessageStatsReport(
        unique_id="job",
        instance_id=life,
        messages_out=out,
        topics_out={"store.X": TopicCount(messages=out, bytes=10 * out, rows=100 * out)},
    )


def test_totals_go_on_over_restarts() -> None:
    stats = JobStats(Clock())
    for life, out in ((0, 5), (0, 9), (1, 2), (2, 1)):
        stats.process_started()
        stats.absorb(report(life, out))
    assert stats.total("messages_out") == 9 + 2 + 1
    assert stats.topics()["store.X"].rows == 1200


def test_last_report_may_come_after_the_end() -> None:
    stats = JobStats(Clock())
    stats.process_started()
    stats.absorb(report(0, 5))
    stats.process_ended()
    stats.absorb(report(0, 7))
    assert stats.total("messages_out") == 7
    stats.process_started()
    stats.absorb(report(1, 1))
    stats.absorb(report(0, 7))
    assert stats.total("messages_out") == 8


def test_last_report_may_leave_the_topics_out() -> None:
    stats = JobStats(Clock())
    stats.process_started()
    stats.absorb(report(0, 5))
    last = report(0, 7)
    last.topics_out = {}
    stats.absorb(last)
    assert stats.total("messages_out") == 7
    assert stats.topics()["store.X"].messages == 5


def test_rates_are_per_second_and_end_with_the_process() -> None:
    clock = Clock()
    stats = JobStats(clock)
    stats.process_started()
    stats.absorb(report(0, 0))
    clock.now = 2.0
    stats.absorb(report(0, 10))
    assert stats.rates.messages_out == 5.0
    assert stats.topic_rates["store.X"].rows == 500.0
    clock.now = 10.0
    assert stats.rates.messages_out == 0.0, "a process that reports no more has no rate"
    stats.absorb(report(0, 10))
    stats.process_ended()
    assert stats.rates.messages_out == 0.0
