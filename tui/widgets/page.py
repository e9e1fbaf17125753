"""A page of text: help, and all about a job."""

from tui.model import Model
from tui.widgets.line_view import Line
from tui.widgets.scroll_lines import ScrollLines


class Page(ScrollLines):
    """Shows the lines it was given last."""

    fades = True

    def __init__(self, model: Model, heading: str) -> None:
        super().__init__(model)
        self._heading = heading
        self._content: list[Line] = []

    def show(self, content: list[Line]) -> None:
        """Replace the text; the place in it stays."""
        self._content = content
        self.redraw()

    def title(self, width: int) -> str:
        """The page's heading."""
        return f" {self._heading}"

    def count(self) -> int:
        """Lines of the text."""
        return len(self._content)

    def body(self, index: int, width: int) -> Line:
        """One line of the text."""
        return self._content[index]
