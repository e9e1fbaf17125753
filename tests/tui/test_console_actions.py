"""Groups and events: what the keys R and E lead to, and what they do not."""

from collections.abc import Callable
from pathlib import Path

import pytest
from console_driver import Console
from scripted_supervisor import ScriptedSupervisor, event, job, ring, snapshot
from test_console_commands import choose, notice, settled
from textual.pilot import Pilot

from enrgdaq.control import protocol
from enrgdaq.control.status import JobStatus
from tui.commands import ACTIONS, audited_words
from tui.model import Model
from tui.outcome import Outcome
from tui.remembered import RememberedView
from tui.screens.confirm import ConfirmScreen
from tui.screens.events import EventsScreen
from tui.view import View

Pilots = Pilot[Outcome]

SOURCES = "digitizer hv weather"


def test_R_y_restarts_all_of_the_kind_once(console: Console) -> None:  # noqa: N802 - the key
    async def scenario(pilot: Pilots) -> None:
        await choose(console, pilot, "hv")
        await pilot.press("R")
        assert "Restart all 3 sources?" in console.text()
        assert console.supervisor.commands == []
        await pilot.press("y")
        await console.until(pilot, lambda: "accepted" in notice(console))
        await pilot.press("y")
        await settled(console, pilot)

    console.drive(scenario)
    assert console.supervisor.commands == [("restart group", SOURCES)]


def test_R_and_another_key_does_nothing(console: Console) -> None:  # noqa: N802 - the key
    async def scenario(pilot: Pilots) -> None:
        await choose(console, pilot, "hv")
        for second in ("R", "r", "escape", "enter", "n"):
            await pilot.press("R")
            assert isinstance(console.app.screen, ConfirmScreen)
            await pilot.press(second)
            await console.until(pilot, lambda: console.app.screen is console.app._main)
            await pilot.press("y")
        await pilot.press("R")
        console.clock.now += 3.1
        await settled(console, pilot)
        await pilot.press("y")
        await settled(console, pilot)

    console.drive(scenario)
    assert console.supervisor.commands == []


def test_R_leaves_alone_what_somebody_has_stopped(  # noqa: N802 - the key
    supervisor: ScriptedSupervisor,
) -> None:
    supervisor.snapshot = snapshot([job("a"), job("b", state="stopped"), job("c", state="failed")])
    console = Console(supervisor)

    async def scenario(pilot: Pilots) -> None:
        await choose(console, pilot, "a")
        await pilot.press("R", "y")
        await console.until(pilot, lambda: bool(supervisor.commands))

    console.drive(scenario)
    assert supervisor.commands == [("restart group", "a c")]


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        ([job("a"), job("b", pid=9)], "another process"),
        ([job("a"), job("b", state="stopping")], "stopping"),
        ([job("a")], "no longer there"),
    ],
)
def test_a_group_that_changes_between_the_keys_is_left_alone(
    supervisor: ScriptedSupervisor, later: list[JobStatus], reason: str
) -> None:
    supervisor.snapshot = snapshot([job("a"), job("b")])
    console = Console(supervisor)

    async def scenario(pilot: Pilots) -> None:
        await choose(console, pilot, "a")
        await pilot.press("R")
        supervisor.snapshot = snapshot(later)
        await console.refreshed(pilot)
        await pilot.press("y")
        await settled(console, pilot)
        assert reason in notice(console)

    console.drive(scenario)
    assert supervisor.commands == []


def test_a_group_with_a_stopping_job_is_refused(supervisor: ScriptedSupervisor) -> None:
    supervisor.snapshot = snapshot([job("a"), job("b", state="stopping")])
    console = Console(supervisor)

    async def scenario(pilot: Pilots) -> None:
        await choose(console, pilot, "a")
        await pilot.press("R")
        assert "b is stopping" in notice(console)
        await pilot.press("y")
        await settled(console, pilot)

    console.drive(scenario)
    assert supervisor.commands == []


def test_the_question_says_what_waits(supervisor: ScriptedSupervisor) -> None:
    supervisor.snapshot = snapshot([job("digitizer"), job("csv", "store"), job("raw", "store")])
    supervisor.snapshot.rings = [
        ring("digitizer", csv=41_000_000, raw=1_000_000),
        ring("hv", csv=2_000_000),
        ring("lens", raw=3_000_000),
    ]
    digitizer, hv, _ = supervisor.snapshot.rings
    digitizer.row_bytes, digitizer.message_bytes, hv.row_bytes = 100.0, 1000.0, 200.0
    console = Console(supervisor)

    async def scenario(pilot: Pilots) -> None:
        await choose(console, pilot, "digitizer")
        await pilot.press("r")
        assert "its ring holds about 410k rows, 41.0 MB" in console.text()
        await pilot.press("escape")
        await choose(console, pilot, "csv")
        await pilot.press("s")
        assert "about 420k rows, 43.0 MB wait for it" in console.text()
        await pilot.press("escape")
        # Of one ring nobody knows how much a row is.
        await choose(console, pilot, "raw")
        await pilot.press("s")
        assert " 4.00 MB wait for it" in console.text()

    console.drive(scenario, size=(120, 30))


def test_the_events_say_who_did_what_when(console: Console) -> None:
    console.supervisor.snapshot.supervisor.consoles = ["alice on /dev/pts/7"]

    async def scenario(pilot: Pilots) -> None:
        await pilot.press("E")
        assert isinstance(console.app.screen, EventsScreen)
        await console.until(pilot, lambda: "restarting hv (process 77)" in console.text())
        assert "alice pts/7" in console.text()
        assert "watching now: alice on /dev/pts/7" in console.text()
        console.supervisor.events.append(event(5, "failed", "hv", "ended too often"))
        await console.until(pilot, lambda: "ended too often" in console.text())
        await pilot.press("q")
        assert console.app.screen is console.app._main

    console.drive(scenario, size=(120, 30))


def test_what_others_do_is_said_at_once(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        await console.refreshed(pilot)
        assert notice(console) == ""
        mine = event(5, "restart", "csv", "restarting csv")
        mine.user, mine.terminal = console.link.me
        console.supervisor.events.append(mine)
        await console.refreshed(pilot)
        assert notice(console) == ""
        console.supervisor.events.append(event(6, "stop", "csv", "stopping csv", "bob"))
        await console.until(pilot, lambda: notice(console) == "bob on pts/7: stopping csv")

    console.drive(scenario)


def test_the_next_console_is_back_in_the_same_view(
    supervisor: ScriptedSupervisor, tmp_path: Path
) -> None:
    memory = RememberedView(tmp_path / "deep" / "console.json")
    first = Console(supervisor)
    first.app._remember = memory.save

    async def look_around(pilot: Pilots) -> None:
        await choose(first, pilot, "csv")
        await pilot.press("b", "enter")
        await first.until(pilot, lambda: "no answer from 10.0.0.7" in first.text())
        await pilot.press("d")

    first.drive(look_around, size=(100, 60))
    second = Console(supervisor, Model(view=RememberedView(memory._path).load()))

    async def look_again(pilot: Pilots) -> None:
        await second.until(pilot, lambda: "no answer from 10.0.0.7" in second.text())
        assert "configs/csv.toml" in second.text()
        await pilot.press("escape")
        assert second.app._main.jobs.chosen == "csv"
        assert second.model.view.show_bytes
        assert second.model.view.page == ""

    asyncio_drive(second, look_again)


def asyncio_drive(console: Console, scenario: Callable[[Pilots], object]) -> None:
    """Like :meth:`Console.drive`, for a console that does not begin with its panels."""
    import asyncio

    async def play() -> None:
        async with console.app.run_test(size=(100, 60)) as pilot:
            await scenario(pilot)  # type: ignore[misc]

    try:
        asyncio.run(play())
    finally:
        console.link.stop()


@pytest.mark.parametrize("content", [b"", b"{", b'{"theme": 3}', b'{"later": 1, "page": "events"}'])
def test_an_unusable_memory_is_no_reason_to_fail(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "console.json"
    path.write_bytes(content)
    assert isinstance(RememberedView(path).load(), View)
    RememberedView(Path("/proc/nowhere/x.json")).save(View())


def test_one_table_feeds_keys_and_audit() -> None:
    assert audited_words() == frozenset(protocol.COMMANDS.values())
    assert all(action.audited for action in ACTIONS if action.changes)


def test_the_details_show_rings_and_environment(supervisor: ScriptedSupervisor) -> None:
    console = Console(supervisor)

    async def scenario(pilot: Pilots) -> None:
        await choose(console, pilot, "digitizer")
        await pilot.press("enter")
        await console.until(pilot, lambda: "no answer from 10.0.0.7" in console.text())
        assert "writes 64.0 MB, head 1000000000" in console.text()
        assert "41.0 MB behind" in console.text()
        assert "Environment of the process" in console.text()

    console.drive(scenario, size=(100, 60))
