"""Asks how to leave."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from tui.outcome import Outcome


class LeaveScreen(ModalScreen[Outcome | None]):
    """The chosen outcome, or None to stay; staying has the focus."""

    # From the first moment: an accidental Enter changes nothing.
    AUTO_FOCUS = "#stay"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h,up,k", "app.focus_previous", show=False),
        Binding("right,l,down,j", "app.focus_next", show=False),
        Binding("escape,q,ctrl+c,ctrl+q", "stay", show=False),
    ]

    def __init__(self, heading: str, text: str, choices: list[tuple[Outcome, str]]) -> None:
        super().__init__()
        self._heading = heading
        self._text = text
        self._choices = choices

    def compose(self) -> ComposeResult:
        """A box with one button for each way."""
        with Container(id="dialog"):
            yield Static(self._heading, id="heading", markup=False)
            yield Static(self._text, id="facts", markup=False)
            with Horizontal(id="buttons"):
                for outcome, label in self._choices:
                    yield Button(label, id=outcome.name, compact=True)
                yield Button("Cancel", id="stay", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The button's name is the outcome's."""
        name = event.button.id or ""
        self.dismiss(Outcome[name] if name in Outcome.__members__ else None)

    def action_stay(self) -> None:
        """Back to the panels."""
        self.dismiss(None)
