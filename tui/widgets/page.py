"""A page of text: help, and all about a job."""

from collections.abc import Sequence

from rich.cells import cell_len, chop_cells

from tui.model import Model
from tui.widgets.line_view import Line, Span
from tui.widgets.scroll_lines import ScrollLines

TWO_COLUMNS = 140  # cells; from here on a page has them
GAP = 2  # cells between the two


class Page(ScrollLines):
    """Shows the lines it was given last; those that are too long go on in the next line."""

    fades = True

    def __init__(self, model: Model, heading: str) -> None:
        super().__init__(model)
        self._heading = heading
        self._content: tuple[Sequence[Line], Sequence[Line]] = ((), ())
        self._arranged: list[Line] = []
        self._width = 0

    def show(self, content: Sequence[Line], beside: Sequence[Line] = ()) -> None:
        """Replace the text; the place in it stays.

        ``beside`` stands in a column of its own where there is room, else below.
        """
        self._content = (content, beside)
        self._width = 0
        self.redraw()

    def prepare(self, width: int) -> None:
        """Fold long lines, and put the columns side by side or one below the other."""
        if width == self._width:
            return
        self._width = width
        content, beside = self._content
        if not beside or width < TWO_COLUMNS:
            self._arranged = _folded([*content, *beside], width)
            return
        half = (width - GAP) // 2
        left = _folded(content, half)
        right = _folded(beside[1:] if not beside[0].spans else beside, half)
        lines = max(len(left), len(right))
        left += [Line()] * (lines - len(left))
        right += [Line()] * (lines - len(right))
        self._arranged = [
            Line([*_padded(one.spans, half + GAP), *other.spans])
            for one, other in zip(left, right, strict=True)
        ]

    def title(self, width: int) -> str:
        """The page's heading."""
        return f" {self._heading}"

    def count(self) -> int:
        """Lines of the text, as they are shown."""
        return len(self._arranged)

    def body(self, index: int, width: int) -> Line:
        """One line of the text."""
        return self._arranged[index]


def _folded(lines: Sequence[Line], width: int) -> list[Line]:
    return [part for line in lines for part in _parts(line, width)]


def _parts(line: Line, width: int) -> list[Line]:
    """A line as lines that fit; what goes on stands below the text, not below its name."""
    if sum(cell_len(span.text) for span in line.spans) <= width:
        return [line]
    first = line.spans[0].text
    indent = cell_len(first) if len(line.spans) > 1 else len(first) - len(first.lstrip())
    indent = min(indent, width // 3)
    parts: list[Line] = []
    spans: list[Span] = []
    room = width
    for text, meaning in line.spans:
        rest = text
        while cell_len(rest) > room:
            head = _head(rest, room)
            parts.append(Line([*spans, Span(head, meaning)]))
            rest = rest[len(head) :].lstrip(" ")
            spans, room = [Span(" " * indent)], max(1, width - indent)
        spans.append(Span(rest, meaning))
        room -= cell_len(rest)
    return [*parts, Line(spans)]


def _head(text: str, room: int) -> str:
    """As much as fits, up to a blank if there is one near."""
    head = chop_cells(text, room)[0] if room > 1 else text[:room]
    blank = head.rfind(" ")
    return head[: blank + 1] if blank > len(head) // 2 else head


def _padded(spans: list[Span], width: int) -> list[Span]:
    return [*spans, Span(" " * (width - sum(cell_len(span.text) for span in spans)))]
