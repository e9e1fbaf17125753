"""Runs the console against a scripted supervisor, without a terminal."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext

from scripted_supervisor import ScriptedSupervisor
from textual.pilot import Pilot

from tui.app import ConsoleApp
from tui.contact import Contact
from tui.editing import Editor
from tui.link import Link
from tui.model import Model
from tui.outcome import Outcome

Scenario = Callable[[Pilot[Outcome]], Awaitable[None]]


class Clock:
    """Monotonic seconds that stand still until somebody moves them."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Console:
    """A console whose time is in the test's hands."""

    def __init__(
        self,
        supervisor: ScriptedSupervisor,
        model: Model | None = None,
        answer_seconds: float = 1.0,
        edit: Editor = lambda file: 1,
    ) -> None:
        self.supervisor = supervisor
        self.clock = Clock()
        self.model = model or Model()
        self.link = Link(
            supervisor.path,
            refresh_seconds=0.1,
            answer_seconds=answer_seconds,
            clock=self.clock,
        )
        self.app = ConsoleApp(self.link, self.model, self.clock, edit)
        # There is no terminal that could be lent to an editor.
        self.app.suspend = nullcontext  # type: ignore[assignment]

    def drive(self, scenario: Scenario, size: tuple[int, int] = (80, 24)) -> None:
        """Start the app, wait for the first jobs, play the scenario, end the app."""

        async def play() -> None:
            async with self.app.run_test(size=size) as pilot:
                # Laid out, and the first job has the cursor: keys mean something from now on.
                await self.until(pilot, lambda: self.app._main.jobs.chosen is not None)
                await scenario(pilot)

        try:
            asyncio.run(play())
        finally:
            self.link.stop()

    async def until(
        self, pilot: Pilot[Outcome], condition: Callable[[], bool], limit_seconds: float = 10.0
    ) -> None:
        """Wait for something to become true."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limit_seconds
        while not condition():
            assert loop.time() < deadline, "the condition never came true"
            await pilot.pause(0.01)

    async def refreshed(self, pilot: Pilot[Outcome]) -> None:
        """Wait until the console shows what the supervisor says from now on."""
        asked = self.supervisor.asked_snapshots
        # The next answer is new; the one after it is asked for when that one has been shown.
        while self.supervisor.asked_snapshots < asked + 2:
            self.link._commands.put(None)
            await self.until(pilot, self.link._commands.empty)

    async def fall_silent(self, pilot: Pilot[Outcome], seconds: float) -> None:
        """Have the supervisor say nothing for so long."""
        self.supervisor.is_mute = True
        # An answer that was on its way must not count as one of later.
        await self.until(pilot, lambda: self.model.contact is Contact.SILENT)
        assert self.model.answered_at is not None
        self.clock.now = self.model.answered_at + seconds

    def text(self) -> str:
        """What is on the screen, as lines of text."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in strips)


async def type_text(pilot: Pilot[Outcome], text: str) -> None:
    """Press a key for every letter."""
    await pilot.press(*("space" if letter == " " else letter for letter in text))
