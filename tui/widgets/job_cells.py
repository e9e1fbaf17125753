"""A job as cells of the job tree: pure, so that every state can be looked at in a test."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.cells import cell_len

from enrgdaq.control.status import JobStatus
from tui import formats
from tui.problems import tally
from tui.symbols import Symbols
from tui.tree import Row
from tui.view import View
from tui.widgets.fitting import fit
from tui.widgets.line_view import Span

WIDE = 110  # cells; from here on states and headings are words
LEAST_NAME = 12
HEADING = 16  # cells: "jobs 1-10 of 200"
STATE = 9  # cells of a state's word

STATES = {
    "running": ("R", "running", "good"),
    "starting": ("U", "starting", "info"),
    "stopping": ("D", "stopping", "warn"),
    "stopped": ("O", "stopped", "dim"),
    "backoff": ("B", "BACKOFF", "warn"),
    "failed": ("F", "FAILED", "bad"),
}
"""Letter, word and meaning; what needs attention is in capitals, for eyes without colour."""
STALE = ("S", "STALE", "warn")


class Column(NamedTuple):
    """Widths in cells, one more than the heading.

    ``order`` names the order by this column; ``rank`` 1 is left out last.
    ``sum`` adds the figures of a group up; None leaves its cell empty.
    """

    order: str
    short: str
    long: str
    narrow: int
    wide: int
    rank: int
    cell: Callable[[JobStatus, View], tuple[str, str]]
    sum: Callable[[Sequence[JobStatus], View], str] | None = None


def _rate(rate: float, ever: int) -> tuple[str, str]:
    return (formats.number(rate), "plain") if ever else ("-", "dim")


def _in(job: JobStatus, view: View) -> tuple[str, str]:
    return _rate(job.rate_bytes_in if view.show_bytes else job.rate_in, job.messages_in)


def _out(job: JobStatus, view: View) -> tuple[str, str]:
    return _rate(job.rate_bytes_out if view.show_bytes else job.rate_out, job.messages_out)


def _age(job: JobStatus, view: View) -> tuple[str, str]:
    return formats.age(job.age_seconds), "warn" if job.is_stale else "plain"


def _cpu(job: JobStatus, view: View) -> tuple[str, str]:
    return f"{job.cpu_percent:.0f}", "plain" if job.cpu_percent >= 0.5 else "dim"


def _memory(job: JobStatus, view: View) -> tuple[str, str]:
    return f"{job.private_mb:.0f}", "plain"


def _restarts(job: JobStatus, view: View) -> tuple[str, str]:
    return formats.count(job.restarts), "warn" if job.restarts else "dim"


def _backpressure(job: JobStatus, view: View) -> tuple[str, str]:
    waited = round(job.backpressure_seconds, 1)
    return (formats.number(waited), "warn") if waited else ("0", "dim")


def _lost(job: JobStatus, view: View) -> tuple[str, str]:
    return formats.count(job.lost), "bad" if job.lost else "dim"


def _sum_in(jobs: Sequence[JobStatus], view: View) -> str:
    return formats.number(sum(j.rate_bytes_in if view.show_bytes else j.rate_in for j in jobs))


def _sum_out(jobs: Sequence[JobStatus], view: View) -> str:
    return formats.number(sum(j.rate_bytes_out if view.show_bytes else j.rate_out for j in jobs))


def _sum_cpu(jobs: Sequence[JobStatus], view: View) -> str:
    return f"{sum(job.cpu_percent for job in jobs):.0f}"


def _sum_memory(jobs: Sequence[JobStatus], view: View) -> str:
    return f"{sum(job.private_mb for job in jobs):.0f}"


COLUMNS = (
    Column("in", "in/s", "in msg/s", 6, 9, 1, _in, _sum_in),
    Column("out", "out/s", "out msg/s", 6, 10, 1, _out, _sum_out),
    Column("age", "age", "age", 4, 5, 2, _age),
    Column("cpu", "cpu%", "cpu %", 5, 6, 4, _cpu, _sum_cpu),
    Column("memory", "MB", "mem MB", 5, 7, 5, _memory, _sum_memory),
    Column("restarts", "rst", "restarts", 4, 9, 3, _restarts),
    Column("backpressure", "bp s", "backpr. s", 5, 10, 6, _backpressure),
    Column("lost", "lost", "lost", 5, 6, 3, _lost),
)


class Table(NamedTuple):
    """The columns that a width has room for, with their widths; one blank before each.

    ``type`` is the width of the job's type, or of what is wrong; 0 leaves it out.
    """

    is_wide: bool
    name: int
    type: int
    columns: list[tuple[Column, int]]


def table(width: int, rows: Sequence[Row] = ()) -> Table:
    """What fits; where not all does, the least wanted columns go first.

    Types get what the names of these rows leave to them.
    """
    is_wide = width >= WIDE
    chosen = [(column, column.wide if is_wide else column.narrow) for column in COLUMNS]

    def left() -> int:
        return width - sum(cells + 1 for _, cells in chosen)

    while chosen and left() < LEAST_NAME + 13:
        rank = max(column.rank for column, _ in chosen)
        chosen = [(column, cells) for column, cells in chosen if column.rank < rank]
    room = left()
    mark = STATE + 3 if is_wide else 2
    names = [2 * row.depth + mark + cell_len(row.key) for row in rows if row.job is not None]
    kind = max(12, min(32, max(room * 2 // 5, room - 2 - max(names, default=0))))
    kind = min(kind, max(12, room - 1 - HEADING))
    if room < LEAST_NAME + 13:
        kind = 0
    return Table(is_wide, max(0, room - kind - 1) if kind else max(0, room), kind, chosen)


def headings(at: Table, name: str, view: View, symbols: Symbols) -> str:
    """The title line; ``name`` is what stands over the names."""
    cells = [fit(name, at.name, symbols.cut)]
    if at.type:
        cells.append(fit("type", at.type, symbols.cut))
    for column, width in at.columns:
        text = column.long if at.is_wide else column.short
        if view.show_bytes and column.order in {"in", "out"}:
            text = f"{column.order} B/s" if at.is_wide else f"{column.order}B/s"
        if column.order == view.order:
            # Every heading has a cell left for this.
            text += symbols.down
        cells.append(fit(text, width, symbols.cut, right=True))
    return " ".join(cells)


def state_of(job: JobStatus) -> tuple[str, str, str]:
    """(letter, word, meaning) of a job's state."""
    if job.state == "running" and job.is_stale:
        return STALE
    return STATES.get(job.state, ("?", job.state.upper(), "bad"))


def job_cells(row: Row, job: JobStatus, at: Table, view: View, symbols: Symbols) -> list[Span]:
    """One job's line."""
    letter, word, meaning = state_of(job)
    indent = "  " * row.depth
    state = fit(f"{letter} {word}", STATE + 2, symbols.cut) if at.is_wide else letter
    name = at.name - len(indent) - len(state) - 1
    spans = [
        Span(indent),
        Span(state, meaning),
        Span(" "),
        Span(fit(row.label, name, symbols.cut), "bold"),
    ]
    resting, columns = _why_not_running(job, at), at.columns
    if resting:
        # Rates and processor time of what does not run are no news: the reason has their place.
        taken = [pair for pair in columns if pair[0].order in _OF_A_PROCESS]
        columns = columns[len(taken) :]
        room = at.type + sum(cells + 1 for _, cells in taken) + bool(at.type)
        spans.append(Span(fit(f" {resting}", room, symbols.cut), meaning))
    elif at.type:
        spans += [Span(" "), _type(job, at, symbols)]
    for column, cells in columns:
        text, look = column.cell(job, view)
        spans.append(Span(" " + fit(text, cells, symbols.cut, right=True), look))
    return spans


def group_cells(row: Row, at: Table, view: View, symbols: Symbols) -> list[Span]:
    """A group's line: how many jobs, what is wrong with them, and the sums of its columns."""
    mark = symbols.folded if row.is_folded else symbols.open
    head = f"{'  ' * row.depth}{mark} {row.label}  {len(row.jobs)}"
    wrong = "  ".join(f"{count} {problem.value}" for problem, count in tally(row.jobs))
    room = at.name + (at.type + 1 if at.type else 0)
    head = fit(head, max(min(len(head), room), at.name), symbols.cut)
    spans = [
        Span(head, "group"),
        Span(fit(f" {wrong}", room - len(head), symbols.cut), "warn"),
    ]
    for column, cells in at.columns:
        text = column.sum(row.jobs, view) if column.sum is not None else ""
        spans.append(Span(" " + fit(text, cells, symbols.cut, right=True), "dim"))
    return spans


_OF_A_PROCESS = {"in", "out", "age", "cpu", "memory"}


def _type(job: JobStatus, at: Table, symbols: Symbols) -> Span:
    if job.condition:
        return Span(fit(job.condition, at.type, symbols.cut), "warn")
    _, word, meaning = state_of(job)
    # Where there are only letters, states that are not usual are spelt out here.
    if not at.is_wide and job.state in {"starting", "stopping"}:
        return Span(fit(word, at.type, symbols.cut), meaning)
    if not at.is_wide and job.is_stale:
        return Span(fit("STALE", at.type, symbols.cut), meaning)
    return Span(fit(job.type.removeprefix("DAQJob"), at.type, symbols.cut), "dim")


def _why_not_running(job: JobStatus, at: Table) -> str:
    word = "" if at.is_wide else state_of(job)[1]
    match job.state:
        case "backoff":
            wait = job.next_start_seconds
            reason = f"again in {formats.span(wait)}" if wait is not None else "waits to start"
            reason += f": {job.exit_reason}" if job.exit_reason else ""
        case "failed" | "stopped":
            reason = job.exit_reason
        case _:
            return ""
    return f"{word}  {reason}".strip() or "-"
