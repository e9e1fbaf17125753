"""Asks for the second key of a command."""

from collections.abc import Callable

from textual import events
from textual.app import ComposeResult
from textual.screen import ModalScreen

from tui.decisions import CONFIRM_SECONDS, Plan
from tui.model import Model
from tui.widgets.fitting import wrapped
from tui.widgets.line_view import Line, LineView, Span


class Question(LineView):
    """What will happen, and which key makes it happen."""

    def __init__(self, model: Model, plan: Plan) -> None:
        super().__init__(model)
        self._plan = plan
        self.left = CONFIRM_SECONDS

    def lines(self, width: int, height: int) -> list[Line]:
        """Question and facts on two lines if they must, consequence, keys at the bottom."""
        seconds = max(1, -int(-self.left // 1))
        plan = self._plan
        first, second = wrapped([plan.question, *plan.facts], width - 2, 2)
        above = [
            Line([Span(f" {plan.question}", "bold"), Span(first.removeprefix(plan.question))]),
            *([Line([Span(f" {second}")])] if second else []),
            Line([Span(f" {plan.consequence}", "dim")]),
        ]
        keys = Line(
            [
                Span(" y", "warn"),
                Span(f" {plan.order.value}   "),
                Span("any other key", "bold"),
                Span(f" leave it as it is   {seconds} s"),
            ]
        )
        return [*above, *[Line()] * (height - len(above) - 1), keys]


class ConfirmScreen(ModalScreen[bool]):
    """True if `y` came in time. Every key ends it, and is used up by it."""

    def __init__(self, model: Model, plan: Plan, clock: Callable[[], float]) -> None:
        super().__init__()
        self._question = Question(model, plan)
        self._clock = clock
        self._deadline = clock() + CONFIRM_SECONDS

    def compose(self) -> ComposeResult:
        """Just the question."""
        yield self._question

    def on_mount(self) -> None:
        """Time passes."""
        self.set_interval(0.2, self.tick)

    def tick(self) -> None:
        """Count down, and give up at the end."""
        self._question.left = self._deadline - self._clock()
        if self._question.left <= 0:
            self._end(False)
        else:
            self._question.redraw()

    def on_key(self, event: events.Key) -> None:
        """Textual runs this before any binding of the keys."""
        event.stop()
        event.prevent_default()
        # The clock counts, not the timer: on a stalled line the timer may be late.
        self._end(event.key == "y" and self._clock() < self._deadline)

    def _end(self, answer: bool) -> None:
        if self.is_current:
            self.dismiss(answer)
