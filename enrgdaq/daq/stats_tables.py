"""Columns of the statistics files, and the message that carries them."""

from typing import Any, Final

from enrgdaq.daq.models import DAQJobMessage

JOB_COLUMNS: Final = [
    "supervisor",
    "daq_job",
    "unique_id",
    "is_alive",
    "last_message_in_date",
    "message_in_count",
    "last_message_out_date",
    "message_out_count",
    "message_in_queue_size",
    "message_out_queue_size",
    "last_restart_date",
    "restart_count",
    "latency_avg_ms",
    "latency_p95_ms",
    "latency_p99_ms",
    "cpu_percent",
    "rss_mb",
    "backpressure_seconds",
    "lost_count",
    "spool_bytes",
    "spool_age_seconds",
]
"""``stats.csv``, one row per job. Dates are UTC."""

REMOTE_COLUMNS: Final = [
    "supervisor",
    "is_alive",
    "last_active",
    "message_in_count",
    "message_in_megabytes",
    "message_out_count",
    "message_out_megabytes",
    "mb_per_second",
    "link_state",
    "link_mb_per_second",
    "link_backlog_megabytes",
    "link_round_trip_ms",
]
"""``stats_remote.csv``, one row per supervisor. Dates are UTC; ``link_`` is its link to its hub."""


class DAQJobMessageCombinedStats(DAQJobMessage, kw_only=True):
    """The job table of one node, once a second. ``time_ms`` counts from 1970 in UTC."""

    time_ms: int
    keys: list[str]
    rows: list[list[Any]]
