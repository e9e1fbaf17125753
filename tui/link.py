"""The one thread that talks to the supervisor; the interface never waits for a socket.

The thread asks; the interface collects what has come in whenever it gets round to it. While the
interface does not collect (a stalled terminal), nothing more is asked: neither side heaps up.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

from enrgdaq.control.address import Address
from enrgdaq.control.client import ControlClient
from enrgdaq.control.history import ALL_TOPICS
from enrgdaq.control.protocol import CONSOLE, LONGEST_TOPIC, Event, Logs
from enrgdaq.control.status import Snapshot
from enrgdaq.errors import ControlError, ControlTimeoutError, NotRunningError
from tui.contact import Contact
from tui.decisions import Order
from tui.ending import events_on_disk, is_alive
from tui.history import GAP_SECONDS
from tui.incoming import cleaned, cleaned_details, named
from tui.news import Command, LogWish, News, Result
from tui.text import clean, clean_lines

LINES_PER_PULL = 500
HISTORIES_PER_PULL = 40
"""At most 6 kB each; those of the busiest topics come first."""
_SLOW = {Order.CHECK, Order.RELOAD, Order.ADD}
"""What imports user's code before it is answered."""


class Link:
    """Asks the supervisor every ``refresh_seconds`` and carries out commands in between.

    ``between`` runs in the link's thread before each question; it may end the process.
    """

    def __init__(
        self,
        address: Address,
        *,
        refresh_seconds: float = 0.5,
        answer_seconds: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
        between: Callable[[], None] = lambda: None,
    ) -> None:
        self._address = address
        self._refresh_seconds = refresh_seconds
        self._answer_seconds = answer_seconds
        self._clock = clock
        self._between = between
        self._commands: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._news: News | None = None
        self._watched = ""
        self._wanted = self._last_wanted = LogWish()
        self._notify: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._work, name="control-link", daemon=True)
        self._stopping = False
        self._real_names: dict[str, str] = {}
        self._last_line = -1
        self._last_event = -1
        self._run = (0, 0.0)
        self._log_path: Path | None = None
        self._without_history: list[str] = []
        self._answered_at: float | None = None
        self._errands: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self.me = ("", "")
        """Our account and terminal, as they stand in the audit trail."""

    def start(self, notify: Callable[[], None]) -> None:
        """Begin; ``notify`` is called in the link's thread when there is something to take."""
        self._notify = notify
        self._thread.start()

    def stop(self) -> None:
        """End the thread, at the latest when the question that is under way times out."""
        self._stopping = True
        self._commands.put(None)
        if self._thread.is_alive():
            self._thread.join(self._answer_seconds + 1.0)

    @property
    def is_alive(self) -> bool:
        """Whether anybody still asks."""
        return self._thread.is_alive()

    @property
    def is_here(self) -> bool:
        """Whether the supervisor runs on this host."""
        return isinstance(self._address, Path)

    @property
    def supervisor_pid(self) -> int | None:
        """The process that has answered last; None before the first answer."""
        return self._run[0] or None

    def send(self, command: Command) -> None:
        """Have a command carried out; safe in a signal handler."""
        self._commands.put(command)

    def watch(self, job: str) -> None:
        """Fetch this job's details too, from now on; none if empty."""
        self._watched = job
        self._commands.put(None)

    def read_log(self, wish: LogWish) -> None:
        """Fetch these lines of the log, from now on."""
        if wish != self._wanted:
            self._wanted = wish
            self._commands.put(None)

    def take(self) -> News | None:
        """What has come in, once."""
        with self._lock:
            news, self._news = self._news, None
        return news

    def _work(self) -> None:
        with ControlClient(
            self._address, program=CONSOLE, timeout_seconds=self._answer_seconds
        ) as client:
            self.me = client.identity
            ask_at = 0.0
            while not self._stopping:
                try:
                    command = self._commands.get(timeout=max(0.0, ask_at - time.monotonic()))
                except queue.Empty:
                    command = None
                if self._stopping:
                    self._say_goodbye(client)
                    return
                self._between()
                results = self._see_to(client, command)
                if self._news is None or results:
                    self._hand_over(self._ask(client, results))
                ask_at = time.monotonic() + self._refresh_seconds

    def _see_to(self, client: ControlClient, command: Command | None) -> list[Result]:
        """Carry out a command, or send for it; what has come of this and of earlier ones."""
        results = []
        if command is not None and command.order in _SLOW:
            # In a thread with a client of its own: the display goes on meanwhile.
            threading.Thread(target=self._run_errand, args=(command,), daemon=True).start()
        elif command is not None:
            results.append(self._carry_out(client, command))
        while not self._errands.empty():
            results.append(self._errands.get())
        return results

    def _run_errand(self, command: Command) -> None:
        with ControlClient(self._address, program=CONSOLE) as client:
            self._errands.put(self._carry_out(client, command))
        self._commands.put(None)

    def _carry_out(self, client: ControlClient, command: Command) -> Result:
        # A command that waited behind unanswered questions was given on a display long gone.
        if command.given and self._clock() - command.given > self._answer_seconds + 1.0:
            return Result(command, False, "not sent: the supervisor did not answer in time")
        try:
            text = self._send(client, command)
        except ControlTimeoutError:
            return Result(command, False, "no answer; it may still be carried out")
        except (ControlError, OSError) as error:
            return Result(command, False, clean_lines(str(error)))
        return Result(command, True, clean(text))

    def _send(self, client: ControlClient, command: Command) -> str:
        name = self._real_names.get(command.job, command.job)
        match command.order:
            case Order.RESTART:
                return client.restart(name)
            case Order.RESTART_GROUP:
                return client.restart_all([self._real_names.get(n, n) for n in command.jobs])
            case Order.STOP:
                return client.stop(name)
            case Order.START:
                return client.start(name)
            case Order.CHECK:
                return client.check(name, command.text or "")
            case Order.RELOAD:
                return client.reload(name, text=command.text, before=command.before)
            case Order.ADD:
                return client.add(Path(command.file).name, text=command.text, origin=command.file)
            case Order.SHUTDOWN:
                return client.shutdown()

    def _say_goodbye(self, client: ControlClient) -> None:
        # A supervisor that has gone, or is busy, need not hear it.
        with contextlib.suppress(ControlError, OSError):
            client.leave()

    def _ask(self, client: ControlClient, results: list[Result]) -> News:
        news = News(results=results)
        try:
            snapshot, self._real_names = named(client.snapshot())
            run = (snapshot.supervisor.pid, snapshot.supervisor.started)
            if run != self._run:
                self._run, news.is_new_run = run, True
                self._log_path = Path(snapshot.supervisor.log_path)
                self._last_line = self._last_event = -1
            self._ask_history(client, news, snapshot)
            self._ask_log(client, news)
            self._ask_events(client, news)
            self._ask_details(client, news)
            news.snapshot, news.contact = snapshot, Contact.ANSWERED
            news.answered_at = self._answered_at = self._clock()
        except NotRunningError as error:
            news.contact, news.reason = Contact.GONE, clean(str(error))
            if self.is_here and self._run[0]:
                news.reason = "its control socket is not there any more"
                self._take_last_events(news)
        except ControlTimeoutError as error:
            if self.is_here and self._run[0] and not is_alive(self._run[0]):
                # Killed: its socket is still there, and nobody listens.
                news.contact = Contact.GONE
                news.reason = f"its process {self._run[0]} has ended"
            else:
                news.contact, news.reason = Contact.SILENT, clean(str(error))
        except (ControlError, OSError) as error:
            news.contact, news.reason = Contact.REFUSED, clean(str(error))
        return news

    def _ask_history(self, client: ControlClient, news: News, snapshot: Snapshot) -> None:
        """What was missed: before this console came, or while its terminal was stalled."""
        last = self._answered_at
        if news.is_new_run or last is None or self._clock() - last > GAP_SECONDS:
            topics = sorted(snapshot.topics, key=lambda topic: -topic.messages)
            names = [topic.topic for topic in topics if len(topic.topic) <= LONGEST_TOPIC]
            self._without_history = [ALL_TOPICS, *names]
        asked = self._without_history[:HISTORIES_PER_PULL]
        if asked:
            news.histories = client.history(asked)
            del self._without_history[: len(asked)]

    def _ask_log(self, client: ControlClient, news: News) -> None:
        wish = self._wanted
        if wish != self._last_wanted:
            self._last_wanted, self._last_line, news.is_new_log = wish, -1, True
        answer = self._read_log(client, wish, self._last_line)
        news.skipped = answer.missed
        if self._last_line >= 0 and len(answer.lines) >= LINES_PER_PULL:
            # Too much to show line by line: go on with what is newest.
            answer = self._read_log(client, wish, -1)
            if answer.lines:
                news.skipped = max(0, answer.lines[0].number - self._last_line - 1)
        news.lines = [cleaned(line) for line in answer.lines]
        if news.lines:
            self._last_line = news.lines[-1].number

    def _read_log(self, client: ControlClient, wish: LogWish, after: int) -> Logs:
        job = self._real_names.get(wish.job, wish.job) or None
        try:
            return client.logs(after=after, limit=LINES_PER_PULL, job=job, level=wish.level)
        except (NotRunningError, ControlTimeoutError):
            raise
        except ControlError:
            # The job is no longer there.
            return Logs(lines=[])

    def _ask_events(self, client: ControlClient, news: News) -> None:
        self._take_events(news, client.events(after=self._last_event).events)

    def _take_events(self, news: News, events: list[Event]) -> None:
        news.events = [cleaned(event) for event in events]
        if news.events:
            self._last_event = news.events[-1].number

    def _take_last_events(self, news: News) -> None:
        """Once: what happened between the last question and the end."""
        log_path, self._log_path = self._log_path, None
        if log_path is not None:
            self._take_events(news, events_on_disk(log_path, self._last_event))

    def _ask_details(self, client: ControlClient, news: News) -> None:
        watched = self._watched
        if not watched:
            return
        try:
            details = client.job_details(self._real_names.get(watched, watched))
        except (NotRunningError, ControlTimeoutError):
            raise
        except ControlError as error:
            news.details_error = clean(str(error))
        else:
            news.details = cleaned_details(details)
            news.details.job.id = watched

    def _hand_over(self, news: News) -> None:
        with self._lock:
            if self._news is not None:
                # Not collected yet, but a command's result must not wait.
                news.results = self._news.results + news.results
                if not news.is_new_log:
                    news.lines = self._news.lines + news.lines
                    news.skipped = self._news.skipped if self._news.lines else news.skipped
                    news.is_new_log = self._news.is_new_log
                news.events = self._news.events + news.events
                news.histories = self._news.histories + news.histories
                news.is_new_run = news.is_new_run or self._news.is_new_run
            self._news = news
        self._notify()
