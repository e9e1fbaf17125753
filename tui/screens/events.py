"""Who did what when: the audit trail."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from enrgdaq.control.protocol import Event
from tui import formats
from tui.commands import audited_words, key_bar
from tui.model import Model
from tui.widgets.fitting import fit
from tui.widgets.header import HeaderBand
from tui.widgets.keybar import KeyBar
from tui.widgets.line_view import Line, Span
from tui.widgets.scroll_lines import ScrollLines

KEYS_HERE = {"detach", "help"}
_LOOKS = {
    "failed": "bad",
    "alarm": "bad",
    "broker lost": "bad",
    "forkserver lost": "bad",
    "record put aside": "bad",
    "change taken back": "bad",
    "crashed": "warn",
    "alarm over": "good",
}


class EventList(ScrollLines):
    """Stays with the newest events until somebody scrolls up."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self._is_following = True

    def title(self, width: int) -> str:
        """Who watches at this moment."""
        snapshot = self.model.snapshot
        here = ", ".join(snapshot.supervisor.consoles) if snapshot is not None else ""
        return f" events   watching now: {here}" if here else " events"

    def count(self) -> int:
        """Events kept."""
        return len(self.model.events)

    def body(self, index: int, width: int) -> Line:
        """When, what, which job, by whom, and the rest."""
        event = self.model.events[index]
        local = self.model.view.is_local_time
        head = f" {formats.moment(event.time, is_local=local)} "
        look = look_of(event)
        cut = self.model.symbols.cut
        by = " ".join(filter(None, (event.user, _short(event.terminal), event.address)))
        spans = [
            Span(head, "dim"),
            Span(fit(event.what, 18, cut) + " ", look),
            Span(fit(event.job, 14, cut) + " ", "bold"),
            Span(fit(by, 14, cut) + " ", "info"),
        ]
        room = max(0, width - sum(len(span.text) for span in spans))
        return Line([*spans, Span(fit(event.text, room, cut), "plain")])

    def prepare(self, width: int) -> None:
        """Keeps to the end, unless somebody reads further up."""
        if self._is_following:
            self.top = max(0, self.count() - self.page)

    def action_move(self, by: int) -> None:
        """Going up holds the view, the end lets it follow again."""
        super().action_move(by)
        self._is_following = self.top >= self.count() - self.page


class EventsScreen(Screen[None]):
    """The newest events at the bottom."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,E,backspace", "back", show=False),
    ]

    def __init__(self, model: Model) -> None:
        super().__init__()
        self._model = model
        self._list = EventList(model)

    def compose(self) -> ComposeResult:
        """Band, events, keys."""
        yield HeaderBand(self._model)
        yield self._list
        keys = [pair for pair in key_bar(readonly=self._model.readonly) if pair[1] in KEYS_HERE]
        yield KeyBar(self._model, [("esc", "back"), ("j k", "scroll"), *keys])

    def on_mount(self) -> None:
        """The list has the keys."""
        self._list.focus()

    def action_back(self) -> None:
        """To the panels."""
        self.dismiss(None)


def look_of(event: Event) -> str:
    """How an event looks: what people did, and what went wrong, stand out."""
    if event.what.startswith("refused"):
        return "warn"
    if event.what in audited_words():
        return "info"
    return _LOOKS.get(event.what, "plain")


def _short(terminal: str) -> str:
    return terminal.removeprefix("/dev/")
