"""The help page, made from the action table."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from tui.commands import help_lines
from tui.model import Model
from tui.widgets.job_cells import STALE, STATES
from tui.widgets.keybar import KeyBar
from tui.widgets.line_view import Line, Span
from tui.widgets.page import Page

_STATES = (
    ("running", "takes part"),
    ("starting", "not yet ready"),
    ("stopping", "on its way out"),
    ("stopped", "stopped by somebody; s starts it"),
    ("backoff", "has ended by itself, will be started again"),
    ("failed", "has ended too often; s starts it"),
)
_SAFETY = (
    "Keys that hurt say first what will happen, and to which process. y within 3 s",
    "does it; any other key, or none, leaves everything as it is.",
)
_COLUMNS = (
    ("in, out", "messages or bytes it takes and gives per second; - if never"),
    ("age", "since its last message"),
    ("cpu%", "of one processor core"),
    ("MB", "memory of its own, without what all jobs share"),
    ("rst", "restarts since the supervisor started"),
    ("bp s", "backpressure: seconds it waited for consumers that are behind"),
    ("lost", "messages lost; anything but 0 is a problem"),
)


class HelpScreen(Screen[None]):
    """Any of the leaving keys goes back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1,enter,ctrl+c,ctrl+q", "back", show=False),
    ]

    def __init__(self, model: Model) -> None:
        super().__init__()
        self._model = model

    def compose(self) -> ComposeResult:
        """The page and the way back."""
        yield Page(self._model, "help")
        yield KeyBar(self._model, [("esc", "back"), ("j k", "scroll")])

    def on_mount(self) -> None:
        """The text never changes."""
        page = self.query_one(Page)
        text = help_text(readonly=self._model.readonly)
        # Between two groups, as near to the middle as can be.
        blanks = [index for index, line in enumerate(text) if not line.spans]
        middle = min(blanks, key=lambda index: abs(index - len(text) // 2))
        page.show(text[:middle], beside=text[middle:])
        page.focus()

    def action_back(self) -> None:
        """Where we came from."""
        self.dismiss(None)


def help_text(*, readonly: bool) -> list[Line]:
    """Safety, keys, states, columns."""
    lines = [] if readonly else [Line(), *(Line([Span(f" {text}", "dim")]) for text in _SAFETY)]
    for key, about in help_lines(readonly=readonly):
        if about:
            lines.append(Line([Span(f"   {key:<10}", "bold"), Span(about)]))
        else:
            lines += [Line(), Line([Span(f" {key}", "info")])]
    lines += [Line(), Line([Span(" States", "info")])]
    states = [(STATES[state], about) for state, about in _STATES]
    states.append((STALE, "alive, but silent for longer than its stale_after_seconds"))
    lines += [
        Line([Span(f"   {letter} {word:<10}", look), Span(about)])
        for (letter, word, look), about in states
    ]
    lines += [Line(), Line([Span(" Columns", "info")])]
    lines += [Line([Span(f"   {word:<10}", "bold"), Span(about)]) for word, about in _COLUMNS]
    return lines[1:]
