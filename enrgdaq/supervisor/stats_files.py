"""The two statistics files: ``stats.csv`` with a row per job, ``stats_remote.csv`` per node."""

import csv
import datetime as dt
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from enrgdaq.control.status import JobStatus, LinkStatus
from enrgdaq.daq.store.journal import replace_file
from enrgdaq.federation.endpoints import UPLINK
from enrgdaq.supervisor.job import Job
from enrgdaq.supervisor.states import LIVE

_LOG = logging.getLogger(__name__)


@dataclass
class StatsFile:
    """A table on disk that is replaced as a whole. A full disk is said once, and no more."""

    path: Path
    columns: Sequence[str]
    _is_failing: bool = field(default=False, init=False)

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        """Replace the file with these rows."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(rows)
        try:
            replace_file(self.path, text.getvalue().encode())
        except OSError as error:
            if not self._is_failing:
                _LOG.warning("%s is not kept up to date: %s", self.path, error.strerror)
            self._is_failing = True
        else:
            self._is_failing = False


def job_row(supervisor_id: str, job: Job, status: JobStatus, held_bytes: int) -> list[Any]:
    """A job's row, in the order of ``JOB_COLUMNS``.

    ``held_bytes``: what the consumer furthest behind holds of the job's ring.
    """
    restarted = dt.datetime.fromtimestamp(job.last_restart, dt.UTC) if job.last_restart else None
    return [
        supervisor_id,
        status.type,
        status.id,
        job.state in LIVE,
        _time(job.stats.last_in),
        status.messages_in,
        _time(job.stats.last_out),
        status.messages_out,
        status.queued_bytes,
        held_bytes,
        _time(restarted),
        status.restarts,
        round(status.latency_avg_ms, 3),
        round(status.latency_p95_ms, 3),
        round(status.latency_p99_ms, 3),
        round(status.cpu_percent, 1),
        round(status.rss_mb, 1),
        status.backpressure_seconds,
        status.lost,
        status.spool_bytes,
        round(status.spool_age_seconds or 0.0, 1),
    ]


def node_row(
    supervisor_id: str,
    jobs: Sequence[JobStatus],
    links: Sequence[LinkStatus],
    *,
    is_up: bool,
    heard: dt.datetime,
) -> list[Any]:
    """A node's row, in the order of ``REMOTE_COLUMNS``. ``heard``: when it was last."""
    return [
        supervisor_id,
        is_up,
        _time(heard),
        sum(job.messages_in for job in jobs),
        _megabytes(sum(job.bytes_in for job in jobs)),
        sum(job.messages_out for job in jobs),
        _megabytes(sum(job.bytes_out for job in jobs)),
        _megabytes(sum(job.rate_bytes_out for job in jobs)),
        *_uplink_cells(links),
    ]


def _uplink_cells(links: Sequence[LinkStatus]) -> list[Any]:
    """Of a node's link to its hub; empty cells where there is none."""
    for link in links:
        if link.job == UPLINK:
            return [
                link.state,
                _megabytes(link.rate_bytes),
                _megabytes(link.backlog_bytes),
                "" if link.round_trip_ms is None else round(link.round_trip_ms, 1),
            ]
    return [""] * 4


def _megabytes(count: float) -> float:
    return round(count / 1e6, 3)


def _time(moment: dt.datetime | None) -> str:
    """``2026-01-31T12:00:00Z``; empty for none."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""
