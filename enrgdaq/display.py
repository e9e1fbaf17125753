"""Text for the terminal: status tables, events, rings.

Nothing in it makes a terminal do anything but show it, whoever the words are from.
"""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from enrgdaq.control.protocol import Event
from enrgdaq.control.status import (
    JobStatus,
    LinkStatus,
    NodeStatus,
    RemoteStatus,
    RingStatus,
    Snapshot,
)
from enrgdaq.errors import EnrgdaqError
from enrgdaq.text import clean
from enrgdaq.transport.ring import RingFile


def status_text(snapshot: Snapshot) -> str:
    """The state of a node in a screenful of plain text."""
    node = snapshot.supervisor
    lines = [
        f"{node.id}: {node.state}, {node.jobs_running} of {node.jobs_total} jobs run,"
        f" {number(node.rate_messages)} msg/s, {size(node.rate_bytes)}/s,"
        f" up {duration(node.now - node.started)}, disk free {size(node.disk_free_bytes)}",
        *(f"  ! {problem}" for problem in node.problems),
        *([_remote_line(node.remote)] if node.remote else []),
        "",
        *table(
            ["JOB", "TYPE", "STATE", "IN/S", "OUT/S", "AGE", "QUEUED", "WAITED", "RST", "LOST"],
            [
                *(_job_cells(job.id, job) for job in snapshot.jobs),
                *(
                    _job_cells(f"{other.id}/{job.id}", job)
                    for other in snapshot.nodes
                    for job in other.jobs
                ),
            ],
        ),
    ]
    if snapshot.nodes:
        header = ["NODE", "STATE", "HEARD", "JOBS", "MSG/S", "BYTES/S", "DISK FREE", "DROPPED"]
        lines += ["", *table(header, [_node_cells(other) for other in snapshot.nodes])]
    if snapshot.links:
        header = ["LINK", "STATE", "FOR", "RTT/MS", "MSG/S", "BYTES/S", "BACKLOG", "AGAIN"]
        lines += ["", *table(header, [_link_cells(link, node.now) for link in snapshot.links])]
    over_nats = [link for link in snapshot.links if link.stream]
    if over_nats:
        header = ["STREAM", "LINK", "LEADER", "LAG", "REDELIVERED"]
        lines += ["", *table(header, [_stream_cells(link) for link in over_nats])]
    if snapshot.topics:
        lines += [
            "",
            *table(
                ["TOPIC", "MSG/S", "ROWS/S", "BYTES/S", "MESSAGES", "ROWS"],
                [
                    [
                        topic.topic,
                        number(topic.rate_messages),
                        number(topic.rate_rows),
                        size(topic.rate_bytes),
                        str(topic.messages),
                        str(topic.rows),
                    ]
                    for topic in snapshot.topics
                ],
            ),
        ]
    rings = ring_lines(snapshot.rings)
    return "\n".join(map(clean, [*lines, *([""] if rings else []), *rings]))


def ring_lines(rings: Sequence[RingStatus]) -> list[str]:
    """A table of the rings that were written: how full, and for whom most of it is kept."""
    rows = []
    for ring in rings:
        if not ring.head:
            continue
        behind = max(ring.consumers, key=lambda one: one.lag_bytes, default=None)
        lag = behind.lag_bytes if behind else 0
        rows.append(
            [
                f"{ring.producer}, earlier run" if ring.is_old else ring.producer,
                size(ring.capacity),
                f"{100 * lag / ring.capacity:.0f} %",
                behind.name if behind and lag else "-",
                size(lag),
            ]
        )
    return table(["RING", "SIZE", "FULL", "FURTHEST BEHIND", "BY"], rows) if rows else []


def _remote_line(remote: RemoteStatus) -> str:
    keys = "INSECURE: whoever reaches it commands this node" if remote.is_insecure else "by key"
    return (
        f"  control at {remote.endpoint}, {keys}; {remote.connections} connections,"
        f" {remote.refused} refused, {remote.rejected} messages not understood"
    )


def _job_cells(name: str, job: JobStatus) -> list[str]:
    return [
        name,
        job.type,
        f"{job.state}, stale" if job.is_stale else job.state,
        number(job.rate_in),
        number(job.rate_out),
        "-" if job.age_seconds is None else duration(job.age_seconds),
        size(job.queued_bytes + job.spool_bytes),
        duration(job.backpressure_seconds),
        str(job.restarts),
        str(job.lost),
    ]


def _node_cells(node: NodeStatus) -> list[str]:
    there = node.supervisor
    return [
        node.id,
        node.state if node.state != "up" else there.state,
        duration(node.age_seconds),
        f"{there.jobs_running} of {there.jobs_total}",
        number(there.rate_messages),
        size(there.rate_bytes),
        size(there.disk_free_bytes),
        str(node.dropped),
    ]


def _link_cells(link: LinkStatus, now: float) -> list[str]:
    return [
        f"to {link.peer}" if link.is_sender else f"from {link.peer}",
        link.state,
        duration(max(0.0, now - link.since)),
        "-" if link.round_trip_ms is None else f"{link.round_trip_ms:.1f}",
        number(link.rate_messages),
        size(link.rate_bytes),
        size(link.backlog_bytes) if link.is_sender else "-",
        "-" if link.is_sender else str(link.repeated),
    ]


def _stream_cells(link: LinkStatus) -> list[str]:
    return [
        link.stream,
        "sends" if link.is_sender else "takes",
        link.leader or "-",
        str(link.lag),
        "-" if link.is_sender else str(link.redelivered),
    ]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns side by side, each as wide as its widest cell; numbers to the right."""
    rows = [[clean(cell) for cell in row] for row in rows]
    columns = list(zip(header, *rows, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    is_number = [
        all(not cell or cell[0].isdigit() or cell == "-" for cell in c[1:]) for c in columns
    ]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, is_number, strict=True)
        )
        return "  ".join(padded).rstrip()

    return [line(row) for row in (header, *rows)]


def number(value: float) -> str:
    """``0``, ``0.5``, ``12.3``, ``4 567``"""
    if value >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.1f}".rstrip("0").rstrip(".") if value else "0"


def size(count: float) -> str:
    """Bytes with a decimal unit: ``1.5 MB``."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("unreachable")


def counted(count: int, what: str) -> str:
    """``1 job``, ``2 jobs``"""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def duration(seconds: float) -> str:
    """``0 s``, ``2.5 s``, ``3 min``, ``2 h 05 min``, ``4 d 03 h``"""
    if seconds < 60:
        return f"{seconds:.1f}".rstrip("0").rstrip(".") + " s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours:02d} h"


def event_text(event: Event) -> str:
    """One line of the audit trail: when, what, to which job, why, by whom; UTC."""
    moment = dt.datetime.fromtimestamp(event.time, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    by = f"by {event.user} on {event.terminal or 'no terminal'}" if event.user else ""
    by += f" at {event.address}" if event.address else ""
    parts = (moment, event.what, event.job, event.text, by)
    return clean("  ".join(part for part in parts if part))


def ring_text(path: Path) -> str:
    """One ring file: whose, how large, who is owed how much."""
    try:
        ring = RingFile.open(path)
    except EnrgdaqError as error:
        return clean(str(error))
    owed = ", ".join(f"{c.name} {size(c.lag_bytes)}" for c in ring.consumers() if c.is_owed)
    ring.close()
    whose = f"{ring.identity.producer}, {size(ring.capacity)}"
    return clean(f"{path}: {whose}; owed: {owed or 'nothing'}")
