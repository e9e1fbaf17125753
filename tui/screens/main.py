"""The screen that a shift looks at."""

from collections.abc import Callable

from textual.app import App, ComposeResult
from textual.containers import Container
from textual.message import Message
from textual.screen import Screen

from tui.commands import Action, Scope, bindings
from tui.model import Model
from tui.news import LogWish
from tui.outcome import Outcome
from tui.screens.palette import Choice, PaletteScreen
from tui.screens.prompt import PromptScreen
from tui.text import clean
from tui.view import LEVELS, ORDERS, SPANS, following, stepped
from tui.widgets.graph import RateGraphs
from tui.widgets.header import HeaderBand
from tui.widgets.jobs import JobTable
from tui.widgets.keybar import KeyBar
from tui.widgets.line_view import LineView
from tui.widgets.logs import LogPane, plain
from tui.widgets.rings import RingList
from tui.widgets.scroll_lines import CursorLines
from tui.widgets.topics import TopicList


class MainScreen(Screen[None]):
    """Band, jobs, graphs, topics, rings, log, keys; the style sheet arranges them."""

    BINDINGS = bindings(Scope.VIEW)

    class Said(Message):
        """A sentence for the bottom line."""

        def __init__(self, text: str, meaning: str = "plain") -> None:
            super().__init__()
            self.text = text
            self.meaning = meaning

    def __init__(self, model: Model, read_log: Callable[[LogWish], None]) -> None:
        super().__init__()
        self._model = model
        self._view = model.view
        self._read_log = read_log
        self.jobs = JobTable(model)
        self.topics = TopicList(model)
        self.log_pane = LogPane(model)

    def compose(self) -> ComposeResult:
        """All panels; which of them are visible depends on the size."""
        yield HeaderBand(self._model)
        with Container(id="body"):
            yield self.jobs
            with Container(id="panels"):
                yield RateGraphs(self._model)
                with Container(id="lists"):
                    yield self.topics
                    yield RingList(self._model)
            yield self.log_pane
        yield KeyBar(self._model)

    def on_mount(self) -> None:
        """As it was left."""
        self._arrange()
        self._read_log(self._model.wish)

    def on_cursor_lines_chosen(self, message: CursorLines.Chosen) -> None:
        """Graphs show the topic that was chosen; the log may be of the job."""
        if message.view is self.topics:
            self._view.topic = message.key
            self.query_one(RateGraphs).redraw()
        elif message.view is self.jobs:
            self._view.job = self.jobs.chosen or ""
            self._read_log(self._model.wish)
            self.log_pane.redraw()

    def action_freeze(self) -> None:
        """Hold the display, or let it go."""
        self._model.freeze(not self._model.is_frozen)
        self._redraw()

    def action_next_problem(self) -> None:
        """To the next job that is not well."""
        self.jobs.focus()
        if not self.jobs.next_problem():
            self._say("no job has a problem", "good")

    def action_find(self) -> None:
        """Filter jobs or topics, or search the log: whatever has the focus."""
        view, topics, log = self._view, self.topics, self.log_pane
        if self.focused is log:
            before, heading = view.log_search, "search the log"
        elif self.focused is topics:
            before, heading = view.topic_filter, "topics that contain"
        else:
            before, heading = view.job_filter, "jobs whose name, type, kind or state contain"
        target = self.focused

        def look_for(text: str) -> None:
            if target is log:
                view.log_search = clean(text)
            elif target is topics:
                view.topic_filter = clean(text)
            else:
                view.job_filter = clean(text)
                self.jobs.seek()
            self._redraw()

        def end(text: str | None) -> None:
            look_for(before if text is None else text)
            if text and target is log:
                self.action_search(-1)

        self.app.push_screen(PromptScreen(heading, before, look_for), end)

    def action_search(self, direction: int) -> None:
        """The next line that has what was searched for."""
        wanted = self._view.log_search
        if not wanted:
            self._say("nothing to search for: / in the log asks for it", "warn")
        elif not self.log_pane.search(direction):
            where = "below" if direction > 0 else "above"
            self._say(f"{wanted}: none {where}; the file has all lines", "warn")

    def action_back(self) -> None:
        """Everything there is again; from there, every panel in its place."""
        view = self._view
        if view.is_attentive or view.job_filter or view.topic_filter or view.log_search:
            view.job_filter = view.topic_filter = view.log_search = ""
            view.is_attentive = False
            self._redraw()
        else:
            view.large, view.compared = "", []
            self._arrange()

    def action_follow(self) -> None:
        """Newest log lines."""
        self.log_pane.follow()

    def action_copy(self) -> None:
        """The log line under the cursor into the terminal's clipboard."""
        line = self.log_pane.chosen
        if line is not None:
            self.app.copy_to_clipboard(plain(line))
            self._say("sent to the terminal's clipboard", "good")

    def action_enlarge(self, panel: str) -> None:
        """Give one panel the screen, or take it back."""
        self._view.large = "" if self._view.large == panel else panel
        self._arrange()

    def action_span(self, by: int) -> None:
        """A shorter or longer time."""
        self._view.span_seconds = stepped(SPANS, self._view.span_seconds, by)
        self._redraw()

    def action_toggle_unit(self) -> None:
        """Messages or bytes per second."""
        self._view.show_bytes = not self._view.show_bytes
        self._redraw()

    def action_toggle_rings(self) -> None:
        """Topics or rings."""
        self._view.show_rings = not self._view.show_rings
        self.set_class(self._view.show_rings, "-rings")

    def action_order(self) -> None:
        """Jobs by the next column."""
        self._view.order = following(ORDERS, self._view.order)
        self._say(f"jobs by {self._view.order}")
        self._redraw()

    def action_log_level(self) -> None:
        """Leave out what is less grave."""
        self._view.log_level = following(LEVELS, self._view.log_level)
        self._read_log(self._model.wish)

    def action_log_of_job(self) -> None:
        """One job's lines, or those of all."""
        self._view.log_of_job = not self._view.log_of_job
        self._read_log(self._model.wish)

    def action_toggle_clock(self) -> None:
        """UTC or local time."""
        self._view.is_local_time = not self._view.is_local_time
        self._redraw()

    def action_palette(self) -> None:
        """Everything there is, by name."""
        screen = PaletteScreen(self._model, self._choices())
        self.app.push_screen(screen, self._carry_out)

    def _choices(self) -> list[Choice]:
        jobs = [Choice(f"job {job.id}", "go to it", job=job.id) for job in self._model.jobs]
        topics = [
            Choice(f"topic {topic.topic}", "its graph", topic=topic.topic)
            for topic in self._model.topics
        ]
        return [*jobs, *topics]

    async def _carry_out(self, choice: "Choice | None") -> None:
        if choice is None:
            return
        if choice.job:
            self._view.job_filter = ""
            self.jobs.focus()
            self.jobs.choose(choice.job)
        elif choice.topic:
            self._view.topic_filter = ""
            self.topics.choose(choice.topic)
        elif choice.action is not None:
            await self.app.run_action(choice.action.call, self._target(choice.action))

    def _target(self, action: Action) -> "App[Outcome] | Screen[None] | LineView":
        match action.scope:
            case Scope.JOBS:
                return self.jobs
            case Scope.TOPICS:
                return self.topics
            case Scope.LOG:
                return self.log_pane
            case Scope.ANYWHERE:
                return self.app
            case _:
                return self

    def _arrange(self) -> None:
        """Put the panels in their places, and the focus where it can be seen."""
        large = self._view.large
        self.set_class(large == "graphs", "-large-graphs")
        self.set_class(large == "log", "-large-log")
        self.set_class(self._view.show_rings, "-rings")
        focus = {"graphs": self.topics, "log": self.log_pane}.get(large, self.jobs)
        focus.focus()
        self._redraw()

    def _say(self, text: str, meaning: str = "plain") -> None:
        self.post_message(self.Said(text, meaning))

    def _redraw(self) -> None:
        for view in self.query(LineView):
            view.redraw()
