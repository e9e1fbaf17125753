"""Asks how to leave."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from tui.model import Model
from tui.outcome import Outcome
from tui.widgets.fitting import wrapped
from tui.widgets.line_view import Line, LineView, Span

PATIENCE_SECONDS = 30.0
"""A menu that nobody answers goes away: whoever comes back to the keyboard meant something else."""

STAY = "Cancel"


def about_the_end(model: Model, *, is_here: bool) -> tuple[str, list[str]]:
    """Heading and facts for when there is no supervisor; ``is_here``: it was one of this host."""
    why = model.why_gone or "Nothing has been heard of it yet."
    # Another host's may go on, with only the way to it broken, unless it has said that it stops.
    if model.latest is None or not (is_here or why != model.reason):
        return "No supervisor answers", [why]
    node = model.latest.supervisor
    return f"The supervisor {node.id} has ended", [why, f"its log: {node.log_path}"]


class Menu(LineView):
    """What there is to know, and the ways side by side. Staying is the last, and chosen first."""

    def __init__(
        self, model: Model, heading: str, facts: Sequence[str], choices: list[str]
    ) -> None:
        super().__init__(model)
        self._heading = heading
        self._facts = facts
        self._choices = [*choices, STAY]
        self.place = len(choices)

    def lines(self, width: int, height: int) -> list[Line]:
        """Heading, facts on two lines if they must, ways."""
        buttons = [Span(" ")]
        for place, label in enumerate(self._choices):
            look = "title-hot" if place == self.place else "title"
            buttons += [Span(f" {label} ", look), Span("  ")]
        buttons.append(Span("arrows, enter", "dim"))
        return [
            Line([Span(f" {self._heading}", "bold")]),
            *(Line([Span(f" {text}")]) for text in wrapped(self._facts, width - 2, height - 2)),
            Line(buttons),
        ]

    def move(self, by: int) -> None:
        """Choose a neighbour."""
        self.place = max(0, min(self.place + by, len(self._choices) - 1))
        self.redraw()


class LeaveScreen(ModalScreen[Outcome | None]):
    """The chosen outcome, or None to stay."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h,up,k,shift+tab", "move(-1)", show=False),
        Binding("right,l,down,j,tab", "move(1)", show=False),
        Binding("enter", "choose", show=False),
        Binding("escape,q,ctrl+c,ctrl+q", "stay", show=False),
    ]

    def __init__(
        self,
        model: Model,
        heading: str,
        facts: Sequence[str],
        choices: list[tuple[Outcome, str]],
        clock: Callable[[], float],
    ) -> None:
        super().__init__()
        self._outcomes = [outcome for outcome, _ in choices]
        self._menu = Menu(model, heading, facts, [label for _, label in choices])
        self._clock = clock
        self._deadline = clock() + PATIENCE_SECONDS

    def compose(self) -> ComposeResult:
        """Just the menu."""
        yield self._menu

    def on_mount(self) -> None:
        """Time passes."""
        self.set_interval(0.5, self.tick)

    def tick(self) -> None:
        """Give up on whoever has gone."""
        if self._clock() >= self._deadline and self.is_current:
            self.dismiss(None)

    def on_key(self, _: events.Key) -> None:
        """Somebody is there."""
        self._deadline = self._clock() + PATIENCE_SECONDS

    def action_move(self, by: int) -> None:
        """Choose a neighbour."""
        self._menu.move(by)

    def action_choose(self) -> None:
        """Take what is chosen."""
        place = self._menu.place
        self.dismiss(self._outcomes[place] if place < len(self._outcomes) else None)

    def action_stay(self) -> None:
        """Back to the panels."""
        self.dismiss(None)
