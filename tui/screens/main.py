"""The screen that a shift looks at."""

from textual.app import ComposeResult
from textual.containers import Container
from textual.screen import Screen

from tui.model import Model
from tui.widgets.graph import RateGraph
from tui.widgets.header import HeaderBand
from tui.widgets.jobs import JobTable
from tui.widgets.keybar import KeyBar
from tui.widgets.logs import LogPane
from tui.widgets.rings import RingList
from tui.widgets.topics import TopicList


class MainScreen(Screen[None]):
    """Band, jobs, graph, topics, rings, log, keys; the style sheet arranges them."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self._model = model
        self.jobs = JobTable(model)
        self.log_pane = LogPane(model)

    def compose(self) -> ComposeResult:
        """All panels; which of them are visible depends on the size."""
        yield HeaderBand(self._model)
        with Container(id="body"):
            yield self.jobs
            with Container(id="panels"):
                yield RateGraph(self._model)
                yield TopicList(self._model)
                yield RingList(self._model)
            yield self.log_pane
        yield KeyBar(self._model)

    def on_mount(self) -> None:
        """The jobs come first."""
        self.jobs.focus()

    def on_cursor_lines_chosen(self, message: TopicList.Chosen) -> None:
        """The graph shows the topic that was chosen."""
        if isinstance(message.view, TopicList):
            self._model.topic = message.key
            self.query_one(RateGraph).redraw()
