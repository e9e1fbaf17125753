"""The job tree."""

from tui import tree
from tui.commands import Scope, bindings
from tui.model import Model
from tui.problems import problems_of
from tui.widgets import job_cells
from tui.widgets.fitting import fit
from tui.widgets.line_view import Line, Span
from tui.widgets.scroll_lines import CursorLines

ROOMY = 110  # cells; from here on the supervisor has a line of its own


class JobTable(CursorLines):
    """All jobs by kind; the cursor's job is what commands are about."""

    fades = True

    BINDINGS = bindings(Scope.JOBS)

    def __init__(self, model: Model) -> None:
        super().__init__(model, model.view.job)
        self._rows: list[tree.Row] = []
        self._table = job_cells.table(0)

    @property
    def chosen(self) -> str | None:
        """The job under the cursor; None on a group."""
        row = self._row()
        return row.job.id if row is not None and row.job is not None else None

    @property
    def chosen_kind(self) -> str:
        """The kind whose line is under the cursor; empty on a job."""
        return tree.kind_of(self.key or "")

    def prepare(self, width: int) -> None:
        """Which lines there are now."""
        snapshot = self.model.snapshot
        node = snapshot.supervisor.id if snapshot is not None and width >= ROOMY else ""
        self._rows = tree.rows(self.model.jobs, self.model.view, node)
        self._keys = [row.key for row in self._rows]
        self._table = job_cells.table(width - 1, self._rows)

    def nearest(self, place: int) -> int:
        """A job rather than the group above it."""
        return next(
            (place + n for n, row in enumerate(self._rows[place:]) if row.job is not None), place
        )

    def title(self, width: int) -> str:
        """The column headings."""
        view, symbols = self.model.view, self.model.symbols
        name = f"jobs /{view.job_filter}" if view.job_filter else f"jobs {self.where}"
        if view.order == "name":
            name = name.strip()
        elif view.order == "problems":
            name = f"{name.strip()} (problems first)"
        return " " + job_cells.headings(self._table, name, view, symbols)

    @property
    def nothing(self) -> str:
        """Why there is no job to be seen."""
        if self.model.snapshot is None:
            return ""
        return f"none of {len(self.model.jobs)} jobs has this; esc shows them all"

    def row(self, index: int, width: int) -> list[Span]:
        """One job, or a group of them."""
        row, view, symbols = self._rows[index], self.model.view, self.model.symbols
        if row.job is None:
            return job_cells.group_cells(row, self._table, view, symbols)
        return job_cells.job_cells(row, row.job, self._table, view, symbols)

    def fold(self, on: bool | None = None) -> None:
        """Hide the jobs of the kind under the cursor, or show them; None: the other of both."""
        row, view = self._row(), self.model.view
        kind = tree.kind_of(row.key) if row is not None else ""
        if row is not None and row.job is not None:
            shown = [one for one in self._rows[: self._rows.index(row)] if one.job is None]
            kind = tree.kind_of(shown[-1].key) if on and shown else ""
        if not kind:
            return
        if on is None:
            on = kind not in view.folded
        view.folded = [one for one in view.folded if one != kind] + [kind] * on
        self.choose(tree.group_key(kind))

    def action_fold(self, on: bool) -> None:
        """Hide the jobs of a kind, or show them."""
        self.fold(on)

    def seek(self) -> None:
        """Leave a group for the first job that a filter has found."""
        self.redraw()
        if self.chosen is None and self._rows:
            self.choose(self._keys[self.nearest(0)])

    def next_problem(self) -> bool:
        """The cursor to the next job that has one; False if none has."""
        view = self.model.view
        view.is_attentive, view.job_filter = True, ""
        view.folded = [kind for kind in view.folded if kind != tree.ATTENTION]
        was_there = self.chosen
        self.prepare(self.size.width)
        ill = [row.key for row in self._rows if row.job is not None and problems_of(row.job)]
        if not ill:
            view.is_attentive = False
        else:
            place = ill.index(was_there) + 1 if was_there in ill else 0
            self.choose(ill[place % len(ill)])
        self.redraw()
        return bool(ill)

    def _row(self) -> tree.Row | None:
        return next((row for row in self._rows if row.key == self.key), None)

    def _title_line(self, width: int) -> Line:
        # Columns need the whole width: where in the list we are stands beside "jobs".
        return Line([Span(fit(self.title(width), width, self.model.symbols.cut), self._title_look)])
