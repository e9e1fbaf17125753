"""The topics: which of them have graphs."""

from enrgdaq.control.history import ALL_TOPICS
from tui import formats
from tui.commands import Scope, bindings
from tui.model import Model
from tui.widgets.fitting import fit, fit_end
from tui.widgets.line_view import Line, Span
from tui.widgets.scroll_lines import CursorLines

FIGURES = 16  # cells of the two rates


class TopicList(CursorLines):
    """Rates per topic, the sum of all first."""

    fades = True

    BINDINGS = bindings(Scope.TOPICS)

    def __init__(self, model: Model) -> None:
        super().__init__(model, model.view.topic)

    def prepare(self, width: int) -> None:
        """Topics by name: rows do not jump."""
        words = self.model.view.topic_filter.casefold().split()
        if self.model.snapshot is None:
            self._keys = []
            return
        names = (topic.topic for topic in self.model.topics)
        shown = [name for name in names if all(word in name.casefold() for word in words)]
        self._keys = shown if words else [ALL_TOPICS, *shown]

    def title(self, width: int) -> str:
        """What the columns are, and what is looked for."""
        wanted = self.model.view.topic_filter
        name = f" topics /{wanted}" if wanted else f" topics {self.where}"
        return fit(name, max(0, width - FIGURES), self.model.symbols.cut) + "  msg/s     B/s "

    @property
    def nothing(self) -> str:
        """Why there is no topic to be seen."""
        if self.model.snapshot is None:
            return ""
        return f"none of {len(self.model.topics)} topics has this; esc shows all"

    def row(self, index: int, width: int) -> list[Span]:
        """Name, messages and bytes per second; topics that are compared have a mark."""
        key, symbols = self._keys[index], self.model.symbols
        messages, size = self.model.rates.get(key, (0.0, 0.0))
        is_marked = key in self.model.view.compared
        name = max(0, width - FIGURES - 1)
        quiet = "plain" if messages else "dim"
        return [
            Span(symbols.mark if is_marked else " ", "info"),
            Span(fit(fit_end(key or "all topics", name, symbols.cut), name, ""), quiet),
            Span(f"  {formats.number(messages):>5}", quiet),
            Span(f"  {formats.number(size):>6} ", "dim"),
        ]

    def action_compare(self) -> None:
        """Mark the topic under the cursor, or take its mark away."""
        view = self.model.view
        if self.key is None:
            return
        others = [topic for topic in view.compared if topic != self.key]
        view.compared = others if self.key in view.compared else [*others, self.key]
        self.redraw()
        self.post_message(self.Chosen(self, self.key))

    def _title_line(self, width: int) -> Line:
        # Where in the list we are stands beside "topics", not over the headings.
        return Line([Span(fit(self.title(width), width, self.model.symbols.cut), self._title_look)])
