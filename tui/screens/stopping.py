"""Shows how acquisition comes to its end."""

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from tui.contact import Contact
from tui.model import Model
from tui.outcome import Outcome
from tui.widgets.line_view import Line, LineView, Span

LIMIT_SECONDS = 15.0
RESTING = {"stopped", "failed"}


class Progress(LineView):
    """How many jobs still run, and which."""

    seconds = 0

    def lines(self, width: int, height: int) -> list[Line]:
        """Heading, jobs that are not yet at rest, keys."""
        busy = [job for job in self.model.jobs if job.state not in RESTING]
        names = ", ".join(job.id for job in busy)
        return [
            Line([Span(" Stopping acquisition", "bold"), Span(f"   {self.seconds} s", "dim")]),
            Line([Span(f" {len(busy)} of {len(self.model.jobs)} jobs still end", "plain")]),
            Line([Span(f" {names}", "dim")]),
            Line([Span(" d", "bold"), Span(" do not wait: it goes on ending by itself", "dim")]),
        ]


class StoppingScreen(ModalScreen[Outcome]):
    """STOPPED when the supervisor has gone, STILL_STOPPING after a limit."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d,q,escape,ctrl+c,ctrl+q", "leave", show=False),
    ]

    def __init__(self, model: Model, clock: Callable[[], float]) -> None:
        super().__init__()
        self._model = model
        self._clock = clock
        self._began = clock()
        self._progress = Progress(model)

    def compose(self) -> ComposeResult:
        """Just the progress."""
        yield self._progress

    def on_mount(self) -> None:
        """Time passes."""
        self.set_interval(0.2, self.tick)

    def tick(self) -> None:
        """Look whether it is over."""
        elapsed = self._clock() - self._began
        self._progress.seconds = int(elapsed)
        self._progress.redraw()
        if not self.is_current:
            return
        if self._model.contact is Contact.GONE:
            self.dismiss(Outcome.STOPPED)
        elif elapsed >= LIMIT_SECONDS:
            self.dismiss(Outcome.STILL_STOPPING)

    def action_leave(self) -> None:
        """Do not wait for the end."""
        self.dismiss(Outcome.STILL_STOPPING)
