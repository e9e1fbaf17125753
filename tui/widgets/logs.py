"""The log: stays with the newest lines until somebody scrolls up."""

import re

from enrgdaq.control.protocol import LogLine
from tui import formats
from tui.commands import Scope, bindings
from tui.model import Model
from tui.view import LEVELS
from tui.widgets.fitting import fit, fit_end
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
MOST_PATH = 48


class LogPane(ScrollLines):
    """The lines that the model keeps. Only visible ones are ever formatted.

    While it follows there is no cursor; a line that is gone to holds the view.
    """

    BINDINGS = bindings(Scope.LOG)

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.is_following = True
        self._cursor = 0
        self._seen = 0
        self._shift = 0
        self._kept = 0

    def title(self, width: int) -> str:
        """Which lines these are, whether new ones are shown, and where all of them are kept."""
        view, wish, snapshot = self.model.view, self.model.wish, self.model.snapshot
        parts = [f" log of {wish.job}" if wish.job else " log"]
        if wish.level != LEVELS[0]:
            parts.append(f"{wish.level} and worse")
        if view.log_search:
            parts.append(f"/{view.log_search}")
        if not self.is_following:
            below = self.count() - self.top - self.page
            parts.append(f"held, {max(0, below)} below {self.model.symbols.down} (f follows)")
        if snapshot is not None and snapshot.supervisor.log_dropped:
            parts.append(f"{formats.count(snapshot.supervisor.log_dropped)} dropped")
        left = "  ".join(parts)
        path = snapshot.supervisor.log_path if snapshot is not None else ""
        room = max(0, min(len(path), width - len(left) - 3))
        if room < 12:
            return left
        path = fit_end(path, room, self.model.symbols.cut)
        return left + path.rjust(width - len(left) - 1)

    @property
    def where(self) -> str:
        """The path has this place."""
        return ""

    @property
    def nothing(self) -> str:
        """Why there is no line to be seen."""
        wish, snapshot = self.model.wish, self.model.snapshot
        if snapshot is None or (not wish.job and wish.level == LEVELS[0]):
            return ""
        return "no such line among the newest; the file has all"

    def count(self) -> int:
        """Lines kept."""
        return len(self.model.lines)

    def body(self, index: int, width: int) -> Line:
        """Time, level, job, text."""
        line = self.model.lines[index]
        look = LOOKS.get(line.level, "dim")
        job = min(16, width // 6)
        cut = self.model.symbols.cut
        here = not self.is_following and index == self._cursor
        mark = self.model.symbols.cursor if here else " "
        clock = formats.clock(line.time, is_local=self.model.view.is_local_time)
        head = f"{clock} {SHORT.get(line.level, line.level):<5} "
        room = max(0, width - len(head) - job - 2)
        return Line(
            [
                Span(mark, "info"),
                Span(head, "dim" if look == "plain" else look),
                Span(fit(line.job or "supervisor", job, cut) + " ", "dim"),
                *self._text(fit(line.text[self._shift :], room, cut), look),
            ],
            over="cursor" if here else "",
        )

    def prepare(self, width: int) -> None:
        """Keeps to the end, or to the lines that are being read."""
        arrived = self.model.lines_seen - self._seen
        self._seen = self.model.lines_seen
        if self.is_following:
            self.top = max(0, self.count() - self.page)
            self._cursor = max(0, self.count() - 1)
        elif self.model.lines.maxlen is not None:
            # Lines that fell off the front moved the rest up.
            fell = max(0, arrived - (self.model.lines.maxlen - self._kept))
            self.top = max(0, self.top - fell)
            self._cursor = max(0, min(self._cursor - fell, self.count() - 1))
        self._kept = self.count()

    def follow(self) -> None:
        """Go to the end and stay there."""
        self.is_following = True
        self._shift = 0
        self.redraw()

    def search(self, direction: int) -> bool:
        """Go to the next line that has what is searched for; False if there is none that way."""
        pattern = self._pattern()
        if pattern is None:
            return False
        # Going up, the newest line counts too as long as the cursor has not left it.
        start = self._cursor + (0 if self.is_following and direction < 0 else direction)
        stop = self.count() if direction > 0 else -1
        for index in range(start, stop, direction):
            if pattern.search(self.model.lines[index].text):
                self._go_to(index)
                return True
        return False

    def action_move(self, by: int) -> None:
        """Going up holds the view; reaching the end lets it follow again."""
        if self.count():
            self._go_to(self._cursor + by)
            if by > 0 and self._cursor >= self.count() - 1:
                self.follow()

    def action_shift(self, by: int) -> None:
        """Move long lines sideways."""
        self._shift = max(0, self._shift + by * STEP)
        self.redraw()

    @property
    def chosen(self) -> LogLine | None:
        """The line under the cursor; the newest while there is none."""
        return self.model.lines[self._cursor] if self.count() else None

    def _go_to(self, index: int) -> None:
        self.is_following = False
        self._cursor = max(0, min(index, self.count() - 1))
        self.top = max(self._cursor - self.page + 1, min(self.top, self._cursor))
        self.redraw()

    def _pattern(self) -> re.Pattern[str] | None:
        wanted = self.model.view.log_search
        return re.compile(re.escape(wanted), re.IGNORECASE) if wanted else None

    def _text(self, text: str, look: str) -> list[Span]:
        pattern = self._pattern()
        if pattern is None:
            return [Span(text, look)]
        spans, end = [], 0
        for match in pattern.finditer(text):
            spans += [Span(text[end : match.start()], look), Span(match.group(), "found")]
            end = match.end()
        return [*spans, Span(text[end:], look)]


def plain(line: LogLine) -> str:
    """A line as it is copied: the text is whole, the time in UTC."""
    return f"{formats.utc_date(line.time)} UTC {line.level} {line.job or 'supervisor'}: {line.text}"
