"""The interface: puts news into the model, has panels redrawn, and turns keys into commands."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from rich.console import RenderableType
from textual.app import App
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget

from enrgdaq.control.protocol import Event
from enrgdaq.control.status import JobStatus
from tui.commands import CHANGING, Scope, bindings
from tui.contact import Contact
from tui.decisions import (
    Intent,
    Order,
    Plan,
    facts_of_all,
    plan,
    plan_group,
    plan_shutdown,
    still_fits,
)
from tui.editing import Editor, run_editor
from tui.file_changes import FileChanges
from tui.link import Link
from tui.model import Model
from tui.narrow import narrowed
from tui.news import Command, News, Result
from tui.outcome import Outcome
from tui.screens.confirm import ConfirmScreen
from tui.screens.details import DetailsScreen
from tui.screens.events import EventsScreen
from tui.screens.help import HelpScreen
from tui.screens.leave import LeaveScreen, about_the_end
from tui.screens.main import MainScreen
from tui.screens.stopping import StoppingScreen
from tui.theme import ALL_THEMES, THEMES, theme_for
from tui.tree import group_of
from tui.view import View
from tui.widgets.keybar import KeyBar
from tui.widgets.line_view import LineView

W = TypeVar("W", bound=Widget)

TICK_SECONDS = 0.5
WIDTHS: list[tuple[int, str]] | None = [
    (0, "-thin"),
    (56, "-narrow"),
    (110, "-medium"),
    (140, "-wide"),
]
HEIGHTS: list[tuple[int, str]] | None = [(0, "-flat"), (12, "-low"), (20, "-short"), (34, "-tall")]


class ConsoleApp(App[Outcome], inherit_bindings=False):
    """Textual's own keys are not inherited: its ctrl+q would quit without a question."""

    CSS_PATH = "app.tcss"
    TITLE = "ENRGDAQ"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS = bindings(Scope.ANYWHERE)
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS

    class Arrived(Message):
        """The link has something to take."""

    def __init__(
        self,
        link: Link,
        model: Model,
        clock: Callable[[], float] = time.monotonic,
        edit: Editor = run_editor,
        remember: Callable[[View], None] = lambda view: None,
    ) -> None:
        super().__init__()
        self.link = link
        self.model = model
        self._clock = clock
        self._main = MainScreen(model, link.read_log)
        self._pending: set[str] = set()
        self._said_gone = False
        self._is_back = False
        self._edit = edit
        self._remember = remember
        self._files = FileChanges(
            model, push=self.push_screen, say=self._say, send=self._send, edit=self._edit_here
        )

    def get_default_screen(self) -> Screen[None]:
        """The panels."""
        return self._main

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """The style sheet is read before a theme is chosen."""
        return THEMES["dark"].variables

    def on_mount(self) -> None:
        """Begin to ask."""
        for theme in ALL_THEMES:
            self.register_theme(theme)
        self.show_theme()
        self.set_class(self.model.symbols.plain or self._has_few_colours, "-plain")
        self.model.tick(self._clock())
        self.link.start(self._note_arrival)
        self.set_interval(TICK_SECONDS, self.tick)

    def on_console_app_arrived(self, _: Arrived) -> None:
        """Take what the link has, once for however many notes there are."""
        news = self.link.take()
        if news is None or self._is_ending:
            return
        self.model.apply(news, self._clock())
        for result in news.results:
            self._report(result)
        if not news.is_new_run:
            self._tell_of_others(news.events)
        self._come_back()
        self._redraw()
        self._mind_the_end(news)

    def _note_arrival(self) -> None:
        # In the link's thread.
        self.post_message(self.Arrived())

    def tick(self) -> None:
        """Let silence grow and notices go, without any news."""
        if self._is_ending:
            return
        now = self._clock()
        is_changed = self.model.tick(now)
        if not self.link.is_alive:
            self.exit(Outcome.DETACHED, return_code=1, message="the console's link has failed")
            return
        for bar in self._everywhere(KeyBar):
            bar.tick(now)
        if is_changed:
            self._redraw()
        # Here and not at the end: a console whose line is cut has none.
        self._remember(self.model.view)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A read-only console has no keys that change anything."""
        return not (self.model.readonly and action in CHANGING)

    def action_restart(self) -> None:
        """First key of a restart."""
        self._ask(Intent.RESTART)

    def action_toggle_job(self) -> None:
        """First key of a stop or start."""
        self._ask(Intent.TOGGLE)

    def action_restart_group(self) -> None:
        """First key of a restart of all jobs of a kind."""
        snapshot, job = self.model.snapshot, self._chosen_job()
        kind = group_of(job) if job is not None else self._main.jobs.chosen_kind
        if snapshot is not None and kind and self._may_command(kind):
            self._confirm(plan_group(kind, snapshot))

    def action_edit(self) -> None:
        """The chosen job's file in an editor."""
        job = self._chosen_job()
        if job is not None and self._may_command(job.id):
            self._files.edit(job)

    def action_add(self) -> None:
        """One more job."""
        if self.model.snapshot is not None and self._may_command(""):
            self._files.add(self.model.snapshot)

    def action_events(self) -> None:
        """Who did what when."""
        if not self.screen.is_modal and not isinstance(self.screen, EventsScreen):
            self.model.view.page = "events"
            self.push_screen(EventsScreen(self.model), self._left_page)

    def action_details(self) -> None:
        """All about the chosen job."""
        chosen = self._main.jobs.chosen
        if self.screen is self._main and chosen is None:
            self._main.jobs.fold()
        elif self.screen is self._main and chosen is not None:
            self._show_details(chosen)

    def action_help(self) -> None:
        """What the keys do."""
        self.push_screen(HelpScreen(self.model))

    def action_detach(self) -> None:
        """Leave at once; acquisition goes on."""
        self._remember(self.model.view)
        gone = self.model.contact is Contact.GONE
        self.exit(Outcome.GONE if gone else Outcome.DETACHED)

    async def action_quit(self) -> None:
        """Ask how to leave."""
        self.ask_how_to_leave()

    def ask_how_to_leave(self) -> None:
        """The quit dialog, unless something is being asked already."""
        if isinstance(self.screen, LeaveScreen | StoppingScreen):
            return
        snapshot = self.model.snapshot
        if self.model.contact is Contact.GONE or snapshot is None:
            self._offer_to_quit()
            return
        node = snapshot.supervisor
        choices = [(Outcome.DETACHED, "Leave it running")]
        # What is on its way to its end cannot be stopped once more.
        if not self.model.readonly and node.state != "stopping":
            choices.append((Outcome.STOPPED, "Stop acquisition"))
        self._offer(f"Leave {node.id}?", facts_of_all(snapshot), choices)

    def action_toggle_theme(self) -> None:
        """Light or dark."""
        view = self.model.view
        view.theme = "light" if view.theme == "dark" else "dark"
        self.show_theme()

    def show_theme(self) -> None:
        """Put the chosen colours on."""
        self.theme = theme_for(self.model.view.theme, self.console.color_system).name

    def on_main_screen_said(self, message: MainScreen.Said) -> None:
        """What came of a key."""
        self._say(message.text, message.meaning)

    @property
    def _has_few_colours(self) -> bool:
        return self.console.color_system == "standard"

    @property
    def _is_ending(self) -> bool:
        # Messages are still delivered while Textual takes the screens down.
        return self._exit or not self.screen_stack

    def _offer_to_quit(self) -> None:
        self._said_gone = True
        heading, facts = about_the_end(self.model, is_here=self.link.is_here)
        self._offer(heading, facts, [(Outcome.GONE, "Quit")])

    def _offer(
        self, heading: str, facts: Sequence[str], choices: list[tuple[Outcome, str]]
    ) -> None:
        screen = LeaveScreen(self.model, heading, facts, choices, self._clock)
        self.push_screen(screen, self._leave)

    def _leave(self, outcome: Outcome | None) -> None:
        snapshot = self.model.snapshot
        if outcome is Outcome.STOPPED:
            if snapshot is not None and self._may_command(""):
                self._confirm(plan_shutdown(snapshot))
        elif outcome is not None:
            self.exit(outcome)

    def _wait_for_the_end(self) -> None:
        if not any(isinstance(screen, StoppingScreen) for screen in self.screen_stack):
            self.push_screen(StoppingScreen(self.model, self._clock), self._leave_stopped)

    def _leave_stopped(self, outcome: Outcome | None) -> None:
        if outcome is not None:
            self.exit(outcome)

    def _chosen_job(self) -> JobStatus | None:
        screen = self.screen
        name = screen.job if isinstance(screen, DetailsScreen) else None
        if screen is self._main:
            name = self._main.jobs.chosen
        return self.model.job(name)

    def _may_command(self, subject: str) -> bool:
        """Whether a command makes sense now; if not, the bottom line says why."""
        if self.model.is_frozen:
            self._say("not now: the display is frozen (space lets it go)", "warn")
        elif self.model.is_old:
            self._say("not now: what is shown is old", "warn")
        elif subject in self._pending:
            self._say(f"{subject}: the last command has not been answered yet", "warn")
        else:
            return True
        return False

    def _ask(self, intent: Intent) -> None:
        """Arm a command: the job's name is fixed here, whatever the list does afterwards."""
        job, snapshot = self._chosen_job(), self.model.snapshot
        if job is not None and snapshot is not None and self._may_command(job.id):
            self._confirm(plan(intent, job, snapshot))

    def _confirm(self, planned: Plan | str) -> None:
        if isinstance(planned, str):
            self._say(planned, "warn")
            return
        self.push_screen(
            ConfirmScreen(self.model, planned, self._clock),
            lambda confirmed: self._confirmed(planned, bool(confirmed)),
        )

    def _confirmed(self, planned: Plan, confirmed: bool) -> None:
        if not confirmed:
            self._say(f"{planned.job}: left as it is", "dim")
            return
        snapshot = self.model.snapshot
        changed = still_fits(planned, snapshot) if snapshot else "nothing is known"
        if self.model.is_old or changed:
            self._say(f"not done: {changed or 'what is shown is old'}", "warn")
            return
        if planned.order is Order.SHUTDOWN:
            self.link.send(Command(Order.SHUTDOWN, given=self._clock()))
            self._wait_for_the_end()
            return
        self._say(f"{planned.job}: {planned.order.value} ...", "plain")
        self._send(Command(planned.order, planned.job, self._clock(), planned.jobs))

    def _send(self, command: Command) -> None:
        self._pending.add(command.job)
        self.link.send(command)

    def _report(self, result: Result) -> None:
        command = result.command
        self._pending.discard(command.job)
        if self._files.heard(result):
            return
        if command.order is Order.SHUTDOWN:
            if result.ok:
                # Also when a signal asked for it and no dialog is up yet.
                self._wait_for_the_end()
            else:
                self._say(f"stopping acquisition: {result.text}", "bad")
            return
        text = result.text or ("done" if result.ok else "refused")
        if command.job not in text:
            text = f"{command.job}: {text}"
        self._say(text, "good" if result.ok else "bad")

    def _tell_of_others(self, events: list[Event]) -> None:
        """Say what somebody else does at this moment, at another console or by a command."""
        for event in events:
            if event.user and (event.user, event.terminal) != self.link.me:
                where = event.terminal.removeprefix("/dev/") or "no terminal"
                what = event.text or event.what
                self._say(f"{event.user} on {where}: {what}", "info")

    def _show_details(self, job: str) -> None:
        self.model.details, self.model.details_error = None, ""
        self.model.view.page = "details"
        self.link.watch(job)
        self.push_screen(DetailsScreen(self.model, job), self._left_page)

    def _left_page(self, _: None) -> None:
        self.model.view.page = ""
        self.link.watch("")

    def _come_back(self) -> None:
        """Once there is something to show: the page that was open when the last console went."""
        if self._is_back or self.model.snapshot is None:
            return
        self._is_back = True
        page, job = self.model.view.page, self.model.view.job
        if page == "events":
            self.action_events()
        elif page == "details" and self.model.job(job) is not None:
            self._show_details(job)

    def _edit_here(self, file: Path) -> int:
        with self.suspend():
            return self._edit(file)

    def _mind_the_end(self, news: News) -> None:
        if news.contact is not Contact.GONE:
            self._said_gone = False
        elif not self._said_gone and self.screen.is_modal is False:
            self._offer_to_quit()

    def _say(self, text: str, meaning: str) -> None:
        for bar in self._everywhere(KeyBar):
            bar.notice(text, meaning, self._clock())

    def _redraw(self) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, DetailsScreen):
                screen.show()
        for view in self._everywhere(LineView):
            view.redraw()

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        super()._display(screen, narrowed(renderable))

    def _everywhere(self, kind: type[W]) -> list[W]:
        return [view for screen in self.screen_stack for view in screen.query(kind)]
