"""Shows what was found out about a file, and asks what is to become of it."""

from enum import Enum
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from tui.model import Model
from tui.widgets.keybar import KeyBar
from tui.widgets.line_view import Line, Span
from tui.widgets.page import Page

_LOOKS = {"+": "good", "-": "bad", "@": "info"}


class Answer(Enum):
    """What the user wants."""

    YES = "yes"
    AGAIN = "again"


class ReviewScreen(Screen[Answer | None]):
    """The answer, or None for leaving everything as it was.

    ``look`` is that of all lines, or ``plain`` for the lines of a diff, each in its own.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer('YES')", show=False),
        Binding("e", "answer('AGAIN')", show=False),
        Binding("escape,q,n,ctrl+c,ctrl+q", "leave", show=False),
        # What these mean elsewhere must not happen to the file at hand.
        Binding("r,s,R,d,plus,E", "nothing", show=False),
    ]

    def __init__(
        self,
        model: Model,
        heading: str,
        lines: list[str],
        look: str,
        *,
        yes: str = "",
        again: bool = False,
    ) -> None:
        super().__init__()
        self._model = model
        self._page = Page(model, heading)
        self._lines = lines
        self._look = look
        self._yes = yes
        self._again = again

    def compose(self) -> ComposeResult:
        """The page and the keys."""
        yield self._page
        keys = [("y", self._yes)] if self._yes else []
        keys += [("e", "edit again")] if self._again else []
        yield KeyBar(self._model, [*keys, ("esc", "leave it as it was"), ("j k", "scroll")])

    def on_mount(self) -> None:
        """The text never changes."""
        self._page.show([Line([Span(line, self._look_of(line))]) for line in self._lines])
        self._page.focus()

    def action_answer(self, name: str) -> None:
        """One of the answers that were offered."""
        answer = Answer[name]
        if self._yes if answer is Answer.YES else self._again:
            self.dismiss(answer)

    def action_leave(self) -> None:
        """Nothing is to happen."""
        self.dismiss(None)

    def action_nothing(self) -> None:
        """A key without a meaning here."""

    def _look_of(self, line: str) -> str:
        return _LOOKS.get(line[:1], "plain") if self._look == "plain" else self._look
