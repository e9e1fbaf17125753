"""The job table."""

from tui.commands import Scope, bindings
from tui.widgets import job_cells
from tui.widgets.fitting import fit
from tui.widgets.line_view import Line, Span
from tui.widgets.scroll_lines import CursorLines


class JobTable(CursorLines):
    """All jobs by kind; the cursor's job is what commands are about."""

    BINDINGS = bindings(Scope.JOBS)

    def keys(self) -> list[str]:
        """Job names."""
        return [job.id for job in self.model.jobs]

    def title(self, width: int) -> str:
        """The column headings."""
        return " " + job_cells.headings(
            job_cells.columns(width - 1), self.where, self.model.symbols.cut
        )

    def row(self, index: int, width: int) -> list[Span]:
        """One job. A kind is named where it begins, and on the first visible line."""
        job = self.model.jobs[index]
        is_first = index == self.top or self.model.jobs[index - 1].kind != job.kind
        return job_cells.cells(
            job, job_cells.columns(width), is_first=is_first, cut=self.model.symbols.cut
        )

    def _title_line(self, width: int) -> Line:
        # Columns need the whole width: where in the list we are stands beside "name".
        return Line([Span(fit(self.title(width), width, self.model.symbols.cut), self._title_look)])
