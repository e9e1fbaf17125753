"""The base of every panel: draws lines, and repaints only the cells that have changed.

Over SSH a frame costs what is written. Textual repaints a whole widget when told to refresh;
here a panel composes its few visible lines anew, compares them with what is on the screen, and
asks for just the runs of cells that differ. Panels scroll by themselves, without scroll bars:
with Textual's scrolling every step would repaint everything.
"""

from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tui.looks import Looks, looks
from tui.model import Model
from tui.text import clean

# Fewer unchanged cells than this between two changed ones cost less than moving the cursor.
_WORTH_A_JUMP = 12


class Span(NamedTuple):
    """A piece of text and what it means; the style sheet gives meanings their looks."""

    text: str
    meaning: str = "plain"


@dataclass
class Line:
    """``over`` is laid over the whole line, such as the cursor."""

    spans: list[Span] = field(default_factory=list)
    over: str = ""


class LineView(Widget):
    """Subclasses say what is on the lines; :meth:`redraw` shows it."""

    fades: ClassVar[bool] = False
    """Whether it loses its colours when what it shows is old."""

    def __init__(self, model: Model, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.model = model
        self._strips: list[Strip] = []
        self._looks = looks("")

    def lines(self, width: int, height: int) -> list[Line]:
        """The lines to show in a space of this size, at most ``height`` of them."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Bring the screen up to date with what :meth:`lines` says now."""
        width, height = self.size
        if not width or not height or not self.is_attached:
            return
        self._looks = self._looks_now()
        strips = [self._strip(line, width) for line in self.lines(width, height)[:height]]
        strips += [self._strip(Line(), width)] * (height - len(strips))
        before, self._strips = self._strips, strips
        if len(before) != height:
            self.refresh()
            return
        regions = [
            Region(start, y, end - start, 1)
            for y, (old, new) in enumerate(zip(before, strips, strict=True))
            if old is not new and old != new
            for start, end in changed_runs(old, new)
        ]
        if regions:
            self.refresh(*regions)

    def render_line(self, y: int) -> Strip:
        """Called by Textual for the regions that were asked for."""
        if y < len(self._strips):
            return self._strips[y]
        return Strip.blank(self.size.width, self._looks.look("plain"))

    def on_resize(self, _: events.Resize) -> None:
        """Everything is drawn anew."""
        self._strips = []
        self.redraw()

    def notify_style_update(self) -> None:
        """Called by Textual when focus, theme or classes have changed."""
        super().notify_style_update()
        if self.is_mounted:
            self.call_next(self.redraw)

    def _strip(self, line: Line, width: int) -> Strip:
        # Text is cleaned where it comes in; this is for whoever forgets to.
        spans = [
            (text if text.isprintable() else clean(text), meaning)
            for text, meaning in line.spans
            if text
        ]
        segments = [Segment(text, self._looks.look(meaning, line.over)) for text, meaning in spans]
        strip = Strip(segments, sum(cell_len(text) for text, _ in spans))
        return strip.adjust_cell_length(width, self._looks.look("plain", line.over)).simplify()

    def _looks_now(self) -> Looks:
        app = self.app
        return looks(
            app.theme,
            is_plain=app.has_class("-plain"),
            is_colourless=app.no_color,
            is_faded=self.fades and self.model.is_old,
        )


def changed_runs(old: Strip, new: Strip) -> list[tuple[int, int]]:
    """Where two strips differ: [start, end) in cells, near ones joined."""
    runs: list[tuple[int, int]] = []
    for index, (before, after) in enumerate(zip(_cells(old), _cells(new), strict=False)):
        if before == after:
            continue
        if runs and index - runs[-1][1] < _WORTH_A_JUMP:
            runs[-1] = (runs[-1][0], index + 1)
        else:
            runs.append((index, index + 1))
    return runs


def _cells(strip: Strip) -> list[tuple[str, Style | None]]:
    cells: list[tuple[str, Style | None]] = []
    for text, style, _ in strip:
        for character in text:
            width = cell_len(character)
            if width:
                # Both halves of a wide character change together.
                cells.extend([(character, style)] * width)
            elif cells:
                cells[-1] = (cells[-1][0] + character, style)
    return cells
