"""A job as cells of the job table: pure, so that every state can be looked at in a test."""

from dataclasses import dataclass

from enrgdaq.control.protocol import JobStatus
from tui import formats
from tui.widgets.fitting import fit
from tui.widgets.line_view import Span

WIDE = 110  # cells; from here on headings are words
SHORT_KINDS = {"source": "src", "processor": "pro", "store": "sto", "monitor": "mon"}
CALM = {"starting": "info", "running": "good", "stopping": "warn", "stopped": "dim"}


@dataclass(frozen=True)
class Columns:
    """Widths in cells; 0 leaves a column out. ``condition`` takes what is left."""

    kind: int
    state: int
    name: int
    type: int
    rate: int
    age: int
    restarts: int
    backpressure: int
    lost: int
    condition: int


def columns(width: int) -> Columns:
    """The columns that a table of this width has, one blank between them."""
    if width < WIDE:
        fixed = Columns(3, 8, 0, 17, 5, 4, 3, 5, 5, 0)
        return Columns(3, 8, max(8, width - _sum(fixed) - 9), 17, 5, 4, 3, 5, 5, 0)
    fixed = Columns(9, 8, 0, 18, 9, 5, 8, 10, 8, 0)
    name = max(16, min(26, width - _sum(fixed) - 10))
    condition = max(0, width - _sum(fixed) - name - 10)
    return Columns(9, 8, name, 18, 9, 5, 8, 10, 8, condition)


def headings(at: Columns, where: str, cut: str) -> str:
    """The title line; ``where`` tells which part of a long list is visible."""
    wide = at.kind > 3
    name = f"name {where}" if where else "name"
    cells = [
        fit("kind" if wide else "", at.kind, cut),
        fit("state", at.state, cut),
        fit(name, at.name, cut),
        fit("type", at.type, cut),
        fit("in msg/s" if wide else "in/s", at.rate, cut, right=True),
        fit("out msg/s" if wide else "out/s", at.rate, cut, right=True),
        fit("age", at.age, cut, right=True),
        fit("restarts" if wide else "rst", at.restarts, cut, right=True),
        fit("backpress." if wide else "bp", at.backpressure, cut, right=True),
        fit("lost", at.lost, cut, right=True),
    ]
    if at.condition:
        cells.append(fit("condition", at.condition, cut))
    return " ".join(cells)


def state_of(job: JobStatus) -> tuple[str, str]:
    """(word, meaning): what needs attention is in capitals, for eyes without colour."""
    if job.state == "running" and job.is_stale:
        return "STALE", "warn"
    if job.state in CALM:
        return job.state, CALM[job.state]
    return job.state.upper(), "warn" if job.state == "backoff" else "bad"


def cells(job: JobStatus, at: Columns, *, is_first: bool, cut: str) -> list[Span]:
    """One line of the table. ``is_first``: of its kind."""
    word, meaning = state_of(job)
    blank = Span(" ")
    kind = job.kind if at.kind > 3 else SHORT_KINDS.get(job.kind, job.kind[:3])
    line = [
        Span(fit(kind if is_first else "", at.kind, cut), "dim"),
        blank,
        Span(fit(word, at.state, cut), meaning),
        blank,
        Span(fit(job.id, at.name, cut), "bold"),
        blank,
    ]
    resting = _why_not_running(job)
    if resting:
        room = at.type + 2 * at.rate + at.age + 3
        line += [Span(fit(resting, room, cut), meaning)]
    else:
        line += _running_cells(job, at, cut)
    line += [
        blank,
        _count(formats.count(job.restarts), job.restarts, at.restarts, "warn"),
        blank,
        _count(_waited(job), round(job.backpressure_seconds, 1), at.backpressure, "warn"),
        blank,
        _count(formats.count(job.lost), job.lost, at.lost, "bad"),
    ]
    if at.condition:
        line += [blank, Span(fit(job.condition, at.condition, cut), "warn")]
    return line


def _running_cells(job: JobStatus, at: Columns, cut: str) -> list[Span]:
    stands_for_type = job.condition and not at.condition
    kind = job.condition if stands_for_type else job.type.removeprefix("DAQJob")
    return [
        Span(fit(kind, at.type, cut), "warn" if stands_for_type else "dim"),
        Span(" "),
        _rate(job.rate_in, job.messages_in, at.rate),
        Span(" "),
        _rate(job.rate_out, job.messages_out, at.rate),
        Span(" "),
        Span(
            fit(formats.age(job.age_seconds), at.age, cut, right=True),
            "warn" if job.is_stale else "plain",
        ),
    ]


def _why_not_running(job: JobStatus) -> str:
    match job.state:
        case "backoff":
            wait = job.next_start_seconds
            again = f"again in {formats.span(wait)}" if wait is not None else "waits to start"
            return f"{again}: {job.exit_reason}" if job.exit_reason else again
        case "failed" | "stopped":
            return job.exit_reason or "-"
        case _:
            return ""


def _rate(rate: float, ever: int, width: int) -> Span:
    if not ever:
        return Span("-".rjust(width), "dim")
    return Span(formats.number(rate).rjust(width), "plain")


def _waited(job: JobStatus) -> str:
    return f"{formats.number(job.backpressure_seconds)}s"


def _count(text: str, value: float, width: int, meaning: str) -> Span:
    if not value:
        return Span("0".rjust(width), "dim")
    return Span(text.rjust(width), meaning)


def _sum(at: Columns) -> int:
    return (
        at.kind
        + at.state
        + at.name
        + at.type
        + 2 * at.rate
        + at.age
        + at.restarts
        + at.backpressure
        + at.lost
    )
