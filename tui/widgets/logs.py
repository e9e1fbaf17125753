"""The log: stays with the newest lines until somebody scrolls up."""

from tui import formats
from tui.commands import Scope, bindings
from tui.model import Model
from tui.widgets.fitting import fit
from tui.widgets.line_view import Line, Span
from tui.widgets.scroll_lines import ScrollLines

LOOKS = {
    "DEBUG": "dim",
    "INFO": "plain",
    "PRINT": "plain",
    "WARNING": "warn",
    "ERROR": "bad",
    "CRITICAL": "bad",
}
SHORT = {"WARNING": "WARN", "CRITICAL": "CRIT"}
STEP = 20  # cells a press moves long lines by


class LogPane(ScrollLines):
    """The lines that the model keeps. Only visible ones are ever formatted."""

    BINDINGS = bindings(Scope.LOG)

    def __init__(self, model: Model, *, id: str | None = None) -> None:
        super().__init__(model, id=id)
        self.is_following = True
        self._seen = 0
        self._shift = 0
        self._kept = 0

    def title(self, width: int) -> str:
        """Says whether new lines are being shown."""
        if self.is_following:
            return " log"
        below = self.count() - self.top - self.page
        return f" log: held, {below} below {self.model.symbols.down} (f to follow)"

    def count(self) -> int:
        """Lines kept."""
        return len(self.model.lines)

    def body(self, index: int, width: int) -> Line:
        """Time, level, job, text."""
        line = self.model.lines[index]
        look = LOOKS.get(line.level, "dim")
        job = min(16, width // 6)
        cut = self.model.symbols.cut
        text = line.text[self._shift :] if self._shift else line.text
        head = f" {formats.utc(line.time)} {SHORT.get(line.level, line.level):<5} "
        room = max(0, width - len(head) - job - 1)
        return Line(
            [
                Span(head, "dim" if look == "plain" else look),
                Span(fit(line.job or "supervisor", job, cut) + " ", "dim"),
                Span(fit(text, room, cut), look),
            ]
        )

    def lines(self, width: int, height: int) -> list[Line]:
        """Keeps to the end, or to the lines that are being read."""
        arrived = self.model.lines_seen - self._seen
        self._seen = self.model.lines_seen
        if self.is_following:
            self.top = max(0, self.count() - (height - 1))
        elif self.model.lines.maxlen is not None:
            # Lines that fell off the front moved the rest up.
            fell = max(0, arrived - (self.model.lines.maxlen - self._kept))
            self.top = max(0, self.top - fell)
        self._kept = self.count()
        return super().lines(width, height)

    def follow(self) -> None:
        """Go to the end and stay there."""
        self.is_following = True
        self._shift = 0
        self.redraw()

    def action_move(self, by: int) -> None:
        """Scrolling up holds the view; reaching the end lets it follow again."""
        self.is_following = False
        super().action_move(by)
        if by > 0 and self.top >= self.count() - self.page:
            self.is_following = True
            self.redraw()

    def action_shift(self, by: int) -> None:
        """Move long lines sideways."""
        self._shift = max(0, self._shift + by * STEP)
        self.redraw()
