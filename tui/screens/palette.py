"""Finds an action, a job or a topic by a few letters of its name."""

from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import ModalScreen
from textual.widgets import Input

from tui.commands import ACTIONS, Action
from tui.model import Model
from tui.widgets.fitting import fit
from tui.widgets.line_view import Span
from tui.widgets.scroll_lines import CursorLines

SHOWN_AT_MOST = 200


@dataclass(frozen=True)
class Choice:
    """One line of the palette: an action, or a job or topic to go to."""

    name: str
    about: str = ""
    keys: str = ""
    action: Action | None = None
    job: str = ""
    topic: str = ""


def actions(*, readonly: bool) -> list[Choice]:
    """The action table as choices: what has words and is not about moving in a list."""
    return [
        Choice(action.about, "", action.shown, action)
        for action in ACTIONS
        if action.about
        and not action.call.startswith(("move(", "page(", "edge(", "palette"))
        and not (readonly and action.changes)
    ]


def matching(choices: list[Choice], wanted: str) -> list[Choice]:
    """Those that contain every word; names that begin with them come first."""
    words = wanted.casefold().split()
    found = [
        choice
        for choice in choices
        if all(word in f"{choice.name} {choice.keys}".casefold() for word in words)
    ]
    begin = " ".join(words)
    found.sort(key=lambda choice: not choice.name.casefold().startswith(begin))
    return found[:SHOWN_AT_MOST]


class ChoiceList(CursorLines, can_focus=False):
    """The choices that match."""

    def __init__(self, model: Model, choices: list[Choice]) -> None:
        super().__init__(model)
        self.shown = choices

    def prepare(self, width: int) -> None:
        """A line a choice."""
        self._keys = [choice.name for choice in self.shown]

    def title(self, width: int) -> str:
        """How many there are."""
        return f" {len(self.shown)} found" if self.shown else " nothing found"

    def row(self, index: int, width: int) -> list[Span]:
        """Key and name."""
        choice, cut = self.shown[index], self.model.symbols.cut
        about = f"  {choice.about}" if choice.about else ""
        return [
            Span(f"{choice.keys:>8}  ", "bold"),
            Span(fit(choice.name, min(len(choice.name), width - 10), cut)),
            Span(fit(about, max(0, width - 10 - len(choice.name)), cut), "dim"),
        ]

    @property
    def choice(self) -> Choice | None:
        """The one under the cursor."""
        return next((choice for choice in self.shown if choice.name == self.key), None)


class PaletteScreen(ModalScreen[Choice | None]):
    """The choice that was made, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c,ctrl+q", "leave", show=False, priority=True),
        Binding("up", "move(-1)", show=False, priority=True),
        Binding("down", "move(1)", show=False, priority=True),
        Binding("pageup", "move(-10)", show=False, priority=True),
        Binding("pagedown", "move(10)", show=False, priority=True),
    ]

    def __init__(self, model: Model, more: list[Choice]) -> None:
        super().__init__()
        self._choices = [*actions(readonly=model.readonly), *more]
        self._list = ChoiceList(model, self._choices[:SHOWN_AT_MOST])

    def compose(self) -> ComposeResult:
        """Input over list."""
        with Container(id="palette"):
            yield Input(placeholder="action, job or topic", compact=True, max_length=200)
            yield self._list

    def on_mount(self) -> None:
        """A cursor that blinks would write to the line for ever."""
        self.query_one(Input).cursor_blink = False

    def on_input_changed(self, event: Input.Changed) -> None:
        """Fewer or more."""
        self._list.shown = matching(self._choices, event.value)
        self._list.prepare(0)
        self._list.action_edge(-1)

    def on_input_submitted(self) -> None:
        """Enter takes it."""
        self.dismiss(self._list.choice)

    def action_move(self, by: int) -> None:
        """Another choice."""
        self._list.action_move(by)

    def action_leave(self) -> None:
        """Nothing."""
        self.dismiss(None)
