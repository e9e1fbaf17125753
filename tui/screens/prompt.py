"""A line to type at the bottom of the screen."""

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import ModalScreen
from textual.widgets import Input, Static

LONGEST = 200


class PromptScreen(ModalScreen[str | None]):
    """The text, or None to leave things as they were. ``on_text`` hears every change."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c,ctrl+q", "leave", show=False, priority=True),
    ]

    def __init__(self, heading: str, text: str, on_text: Callable[[str], None]) -> None:
        super().__init__()
        self._heading = heading
        self._text = text
        self._on_text = on_text

    def compose(self) -> ComposeResult:
        """Heading and input."""
        with Horizontal(id="prompt"):
            yield Static(f" {self._heading} ", id="prompt-heading", markup=False)
            yield Input(self._text, compact=True, max_length=LONGEST, select_on_focus=False)

    def on_mount(self) -> None:
        """A cursor that blinks would write to the line for ever."""
        self.query_one(Input).cursor_blink = False

    def on_input_changed(self, event: Input.Changed) -> None:
        """The panels show what is typed so far."""
        if event.value != self._text:
            self._text = event.value
            self._on_text(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter keeps it."""
        self.dismiss(event.value)

    def action_leave(self) -> None:
        """As before."""
        self.dismiss(None)
