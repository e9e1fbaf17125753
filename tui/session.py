"""Runs the interface on a terminal, with the signals that may end it."""

import asyncio
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

# Read by Textual when it is imported. A shift's line may be slow: no animation. News comes twice a
# second however many frames there may be, but a key waits for the next one, and one that opens a
# page waits for three.
os.environ.setdefault("TEXTUAL_FPS", "240")
os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
os.environ.setdefault("TEXTUAL_SMOOTH_SCROLL", "0")

from enrgdaq.control.address import Address
from tui.app import ConsoleApp
from tui.contact import Contact
from tui.decisions import Order
from tui.link import Link
from tui.model import Model
from tui.news import Command
from tui.outcome import Outcome
from tui.remembered import remembered
from tui.symbols import UNICODE, choose
from tui.terminal import Terminal
from tui.view import Theme

HARD_END_SECONDS = 25.0
"""After SIGTERM; the orderly way has 15 s to see acquisition end."""
HARD_LEAVE_SECONDS = 3.0
"""The same where only the console is to end, and may wait for a stalled terminal."""


@dataclass(frozen=True)
class Ending:
    """How a session ended; ``code`` is not 0 when the interface itself failed."""

    outcome: Outcome
    code: int
    supervisor: str


class Signals:
    """Handlers that work even while the event loop waits for a stalled terminal.

    They only note things and put an order into a queue; the link's thread sees to the rest.
    """

    def __init__(self, terminal: Terminal, *, own_pid: int | None) -> None:
        """``own_pid``: the supervisor that this console has started; ends with it on SIGTERM."""
        self.app: ConsoleApp | None = None
        self._terminal = terminal
        self._own_pid = own_pid
        self._hard_end: float | None = None

    def install(self) -> None:
        """Take over hang-up, termination and interrupt."""
        signal.signal(signal.SIGHUP, self._hang_up)
        signal.signal(signal.SIGTERM, self._terminate)
        signal.signal(signal.SIGINT, self._interrupt)

    def between(self) -> None:
        """For the link's thread, a few times a second."""
        if self._terminal.is_hung_up:
            self._terminal.abandon(128 + signal.SIGHUP)
        if self._hard_end is not None and time.monotonic() > self._hard_end:
            self._terminal.abandon(128 + signal.SIGTERM)

    def _hang_up(self, *_: object) -> None:
        self._terminal.abandon(128 + signal.SIGHUP)

    def _terminate(self, number: int, _: FrameType | None) -> None:
        if self._hard_end is not None:
            self._terminal.abandon(128 + number)
        app = self.app
        is_ours = app is not None and self._is_ours(app)
        seconds = HARD_END_SECONDS if is_ours else HARD_LEAVE_SECONDS
        self._hard_end = time.monotonic() + seconds
        if app is not None and is_ours:
            app.link.send(Command(Order.SHUTDOWN))
        else:
            # A login that ends, or somebody who tidies up consoles: what others have started is
            # not theirs to stop.
            self._in_loop(ConsoleApp.action_detach)

    def _interrupt(self, *_: object) -> None:
        self._in_loop(ConsoleApp.ask_how_to_leave)

    def _is_ours(self, app: ConsoleApp) -> bool:
        """Whether what runs is what this console has started."""
        # Ours may have died, and others may have started the one that answers now.
        if self._own_pid is None or app.model.contact is Contact.GONE:
            return False
        return app.link.supervisor_pid in (None, self._own_pid)

    def _in_loop(self, call: Callable[[ConsoleApp], None]) -> None:
        # From a thread: the handler itself runs in the loop's thread, at any point of it.
        app = self.app
        if app is not None:
            threading.Thread(target=app.call_from_thread, args=(call, app), daemon=True).start()


def run(
    address: Address,
    *,
    readonly: bool,
    own_pid: int | None,
    refresh_seconds: float,
    theme: Theme | None = None,
) -> Ending:
    """Show the console until it is left.

    ``own_pid``: the supervisor that was started for this console, None if it attaches to another.
    ``theme``: rather than the one it had last.
    """
    terminal = Terminal()
    signals = Signals(terminal, own_pid=own_pid)
    symbols = choose(os.environ, sys.stderr.encoding or "")
    memory = remembered(address)
    model = Model(symbols=symbols, readonly=readonly, view=memory.load())
    if theme is not None:
        model.view.theme = theme
    link = Link(address, refresh_seconds=refresh_seconds, between=signals.between)
    app = ConsoleApp(link, model, remember=memory.save)
    signals.app = app
    # What was made up to here stays. Going through it again and again for garbage held a key up
    # by 30 ms now and then.
    gc.freeze()
    signals.install()
    try:
        # Without mouse reports a terminal's own marking and copying works, and a hand on the
        # mouse sends nothing over the line.
        outcome = app.run(mouse=False)
    finally:
        link.stop()
    name = model.snapshot.supervisor.id if model.snapshot else ""
    return Ending(outcome or Outcome.DETACHED, app.return_code or 0, name)


def export_svg(address: Address, file: Path, *, seconds: float, refresh_seconds: float) -> None:
    """Save a picture of the console after it has watched for a while, without a terminal."""
    # The picture does not depend on the terminal that it was asked for from.
    os.environ |= {"COLORTERM": "truecolor", "TERM": "xterm-256color"}
    os.environ.pop("NO_COLOR", None)

    async def take() -> str:
        app = ConsoleApp(Link(address, refresh_seconds=refresh_seconds), Model(symbols=UNICODE))
        async with app.run_test(size=(140, 40)) as pilot:
            await pilot.pause(seconds)
            picture = app.export_screenshot(title="ENRGDAQ")
        app.link.stop()
        return picture

    file.write_text(asyncio.run(take()), encoding="utf-8")
