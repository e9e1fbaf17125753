"""Turns what the supervisor knows into what displays and statistics files show."""

import datetime as dt
import os
import time
from pathlib import Path
from typing import Any, Final

from enrgdaq import __version__
from enrgdaq.control.history import ALL_TOPICS, History
from enrgdaq.control.protocol import Histories, JobDetails
from enrgdaq.control.status import (
    JobStatus,
    LinkStatus,
    NodeStatus,
    RingStatus,
    Snapshot,
    SupervisorStatus,
    TopicStatus,
)
from enrgdaq.daq.models import DAQJobMessageStatsReport
from enrgdaq.daq.secrets import env_names, masked_environment, masked_text
from enrgdaq.supervisor.changed_files import has_changed
from enrgdaq.supervisor.fleet import Fleet
from enrgdaq.supervisor.job import Job
from enrgdaq.supervisor.logs import LogBook
from enrgdaq.supervisor.places import Places
from enrgdaq.supervisor.problems import job_problems, link_problems
from enrgdaq.supervisor.rings import Backlog, NodeRings
from enrgdaq.supervisor.states import JobState
from enrgdaq.supervisor.stats import TopicRates
from enrgdaq.supervisor.stats_files import job_row, node_row
from enrgdaq.text import clean

_NO_REPORT: Final = DAQJobMessageStatsReport(unique_id="", instance_id=0)


class Reporter:
    """Makes snapshots and table rows. Reads, never changes."""

    def __init__(
        self,
        fleet: Fleet,
        rings: NodeRings,
        places: Places,
        book: LogBook,
        config_path: str,
        tags: list[str],
    ) -> None:
        self._fleet = fleet
        self._rings = rings
        self._places = places
        self._book = book
        self._config_path = config_path
        self._tags = tags
        self._started = time.time()
        self._history = History()

    def snapshot(self, state: str, consoles: list[str]) -> Snapshot:
        """Everything at once. ``state``: of the supervisor; ``consoles``: who watches."""
        jobs = self._jobs()
        topics = self.topics()
        links = self.links(jobs)
        return Snapshot(
            supervisor=SupervisorStatus(
                id=self._places.supervisor_id,
                tags=self._tags,
                pid=os.getpid(),
                version=__version__,
                state=state,
                started=self._started,
                now=time.time(),
                config_path=self._config_path,
                out_dir=str(self._places.out),
                log_path=str(self._places.log_file),
                jobs_running=sum(job.state == JobState.RUNNING for job in jobs),
                jobs_total=len(jobs),
                problems=[
                    *(text for job in jobs for text in job_problems(job).values()),
                    *(text for link in links for text in link_problems(link)),
                ],
                rate_messages=sum(job.rate_out for job in jobs),
                rate_bytes=sum(job.rate_bytes_out for job in jobs),
                disk_free_bytes=_free_bytes(str(self._places.out)),
                memory_free_bytes=_free_bytes(str(self._places.memory)),
                log_dropped=self._book.dropped,
                consoles=consoles,
            ),
            jobs=jobs,
            topics=topics,
            links=links,
            rings=[self._with_averages(ring) for ring in self._rings.status()],
        )

    def links(self, jobs: list[JobStatus]) -> list[LinkStatus]:
        """The links of these jobs to other nodes."""
        found = []
        for status in jobs:
            stats = self._fleet.jobs[status.id].stats
            for link in stats.report.links if stats.report else ():
                rates = stats.link_rates(link.peer)
                found.append(
                    LinkStatus(
                        job=status.id,
                        peer=link.peer,
                        is_sender=link.is_sender,
                        state=link.state,
                        since=link.since.timestamp(),
                        round_trip_ms=link.round_trip_ms,
                        messages=link.messages,
                        bytes=link.bytes,
                        rate_messages=rates.messages_in,
                        rate_bytes=rates.bytes_in,
                        backlog_bytes=(
                            status.queued_bytes + status.spool_bytes + link.unread_bytes
                            if link.is_sender
                            else 0
                        ),
                        repeated=link.repeated,
                        stream=link.stream,
                        leader=link.leader,
                        lag=link.lag,
                        redelivered=link.redelivered,
                    )
                )
        return found

    def _with_averages(self, ring: RingStatus) -> RingStatus:
        """Tell how much of a ring is a message: counting what it holds would mean to walk it."""
        job = self._fleet.jobs.get(ring.producer)
        messages = job.stats.total("messages_out") if job is not None else 0
        if job is None or ring.is_old or not messages:
            return ring
        counts = job.stats.topics().values()
        counted = sum(one.messages for one in counts)
        # A message of several topics is counted on each, and so are its rows.
        rows = sum(one.rows for one in counts) * messages / counted if counted else 0.0
        ring.message_bytes = ring.head / messages
        ring.row_bytes = ring.head / rows if rows else 0.0
        return ring

    def job(self, job: Job, backlog: Backlog) -> JobStatus:
        """One job for displays."""
        stats, report = job.stats, job.stats.report or _NO_REPORT
        age = stats.age_seconds(time.time())
        limit = job.facts.stale_after_seconds
        is_stale = job.state is JobState.RUNNING and limit is not None and (age or 0.0) > limit
        next_start = job.next_start
        return JobStatus(
            id=job.id,
            type=job.facts.type_name,
            kind=job.facts.kind,
            state=job.state.value,
            is_stale=is_stale,
            condition=stats.condition,
            pid=job.pid,
            restarts=job.restarts,
            exit_reason=job.exit_reason,
            messages_in=stats.total("messages_in"),
            messages_out=stats.total("messages_out"),
            bytes_in=stats.total("bytes_in"),
            bytes_out=stats.total("bytes_out"),
            rate_in=stats.rates.messages_in,
            rate_out=stats.rates.messages_out,
            rate_bytes_in=stats.rates.bytes_in,
            rate_bytes_out=stats.rates.bytes_out,
            age_seconds=age,
            backpressure_seconds=round(self._rings.ring_of(job.id).waited_seconds, 3),
            lost=stats.total("lost") + backlog.skipped[job.id] + job.records_set_aside,
            unrouted=stats.total("unrouted"),
            telemetry_dropped=stats.total("telemetry_dropped"),
            queued_bytes=backlog.waiting[job.id],
            spool_bytes=report.spool_bytes,
            spool_age_seconds=(
                max(0.0, time.time() - report.spool_oldest.timestamp())
                if report.spool_oldest
                else None
            ),
            latency_avg_ms=report.latency.avg_ms,
            latency_p95_ms=report.latency.p95_ms,
            latency_p99_ms=report.latency.p99_ms,
            cpu_percent=report.resources.cpu_percent,
            rss_mb=report.resources.rss_mb,
            private_mb=report.resources.private_mb,
            next_start_seconds=(
                None if next_start is None else max(0.0, next_start - time.monotonic())
            ),
            file=str(job.file.path.absolute()),
        )

    def details(self, job: Job) -> JobDetails:
        """All that is known of one job."""
        return JobDetails(
            job=self.job(job, self._rings.backlog()),
            config_file=str(job.file.path.absolute()),
            config_text=masked_text(job.file.text),
            file_has_changed=has_changed(job.file),
            topics_in=[clean(topic) for topic in job.facts.topics_in],
            exits=list(job.exit_records),
            last_errors=self._book.errors_of(job.id, 20),
            environment=self._environment_of(job),
        )

    def alarms(self) -> dict[tuple[str, str], str]:
        """What is wrong now, by job and kind of trouble."""
        jobs = self._jobs()
        found = {(job.id, kind): text for job in jobs for kind, text in job_problems(job).items()}
        for link in self.links(jobs):
            found |= {(link.job, f"link {link.peer}"): text for text in link_problems(link)}
        return found

    def _environment_of(self, job: Job) -> list[str]:
        if job.pid is None:
            return []
        try:
            raw = Path(f"/proc/{job.pid}/environ").read_bytes().decode(errors="replace")
        except OSError:
            # It has ended meanwhile, or this is no Linux.
            return []
        pairs = (entry.partition("=") for entry in raw.split("\0") if entry)
        # Every process has the environment of all: also what only another job's file names.
        named = {name for other in self._fleet.jobs.values() for name in env_names(other.file.raw)}
        return masked_environment({name: value for name, _, value in pairs}, named)

    def topics(self) -> list[TopicStatus]:
        """What was published on each topic, over all jobs and all their lives."""
        found: dict[str, TopicStatus] = {}
        for job in self._fleet.jobs.values():
            for topic, count in job.stats.topics().items():
                rates = job.stats.topic_rates.get(topic, TopicRates())
                status = found.setdefault(
                    topic,
                    TopicStatus(
                        topic=topic,
                        messages=0,
                        bytes=0,
                        rows=0,
                        rate_messages=0.0,
                        rate_bytes=0.0,
                        rate_rows=0.0,
                    ),
                )
                status.messages += count.messages
                status.bytes += count.bytes
                status.rows += count.rows
                status.rate_messages += rates.messages
                status.rate_bytes += rates.bytes
                status.rate_rows += rates.rows
        return [found[topic] for topic in sorted(found)]

    def note_rates(self) -> None:
        """Once a second: what an operator who comes later wants to have seen."""
        rates = [(one.topic, one.rate_messages, one.rate_bytes) for one in self.topics()]
        jobs = [job.stats.rates for job in self._fleet.jobs.values()]
        total = sum(one.messages_out for one in jobs), sum(one.bytes_out for one in jobs)
        self._history.add(time.time(), [(ALL_TOPICS, *total), *rates])

    def history(self, topics: list[str]) -> Histories:
        """The last hour of these topics."""
        return Histories(topics=self._history.packed(topics))

    def job_rows(self) -> list[list[Any]]:
        """Rows of ``stats.csv``."""
        backlog = self._rings.backlog()
        return [
            job_row(self._places.supervisor_id, job, self.job(job, backlog), backlog.held[job.id])
            for job in self._fleet.jobs.values()
        ]

    def own_node_row(self) -> list[Any]:
        """This node's row of ``stats_remote.csv``."""
        jobs = self._jobs()
        return node_row(
            self._places.supervisor_id,
            jobs,
            self.links(jobs),
            is_up=True,
            heard=dt.datetime.now(dt.UTC),
        )

    def _jobs(self) -> list[JobStatus]:
        backlog = self._rings.backlog()
        return [self.job(job, backlog) for job in self._fleet.jobs.values()]


def other_node_row(node: NodeStatus) -> list[Any]:
    """Another node's row of ``stats_remote.csv``."""
    heard = dt.datetime.fromtimestamp(time.time() - node.age_seconds, dt.UTC)
    return node_row(node.id, node.jobs, node.links, is_up=node.state == "up", heard=heard)


def _free_bytes(folder: str) -> int:
    try:
        disk = os.statvfs(folder)
    except OSError:
        return 0
    return disk.f_bavail * disk.f_frsize
