"""Two keys make a command, and it goes to the job that was asked about: once, or not at all."""

import pytest
from console_driver import Console
from scripted_supervisor import ScriptedSupervisor, job, jobs, snapshot
from textual.pilot import Pilot

from tui.model import Model
from tui.outcome import Outcome
from tui.screens.confirm import ConfirmScreen
from tui.widgets.jobs import JobTable
from tui.widgets.keybar import KeyBar

Pilots = Pilot[Outcome]


def notice(console: Console) -> str:
    return console.app.screen.query_one(KeyBar)._notice[0]


async def settled(console: Console, pilot: Pilots) -> None:
    """The question is away, and a command would have arrived."""
    await console.until(pilot, lambda: not isinstance(console.app.screen, ConfirmScreen))
    await console.refreshed(pilot)


async def choose(console: Console, pilot: Pilots, name: str) -> None:
    await console.until(pilot, lambda: console.app.screen.query_one(JobTable).chosen is not None)
    for _ in range(2 * len(console.model.jobs)):
        if console.app.screen.query_one(JobTable).chosen == name:
            return
        await pilot.press("j")
    assert console.app.screen.query_one(JobTable).chosen == name


def test_r_y_restarts_exactly_that_job_once(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        await choose(console, pilot, "trigger")
        await pilot.press("r")
        assert "Restart trigger?" in console.text()
        assert console.supervisor.commands == []
        await pilot.press("y")
        await console.until(pilot, lambda: "accepted" in notice(console))
        await pilot.press("y")
        await settled(console, pilot)

    console.drive(scenario)
    assert console.supervisor.commands == [("restart", "trigger")]


@pytest.mark.parametrize(
    ("state", "command"),
    [("running", "stop"), ("backoff", "stop"), ("stopped", "start"), ("failed", "start")],
)
def test_s_y_stops_or_starts(supervisor: ScriptedSupervisor, state: str, command: str) -> None:
    supervisor.snapshot = snapshot([job("csv", "store", state)])
    console = Console(supervisor)

    async def scenario(pilot: Pilots) -> None:
        await choose(console, pilot, "csv")
        await pilot.press("s")
        assert f"{command.capitalize()} csv?" in console.text()
        await pilot.press("y")
        await settled(console, pilot)

    console.drive(scenario)
    assert supervisor.commands == [(command, "csv")]


OTHER_KEYS = ("r", "s", "escape", "n", "Y", "enter", "j", "q", "d", "ctrl+c", "ctrl+q", "tab")


def test_any_other_second_key_does_nothing_and_is_used_up(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        await choose(console, pilot, "hv")
        for second in OTHER_KEYS:
            await pilot.press("r")
            assert isinstance(console.app.screen, ConfirmScreen)
            await pilot.press(second)
            await console.until(pilot, lambda: console.app.screen is console.app._main)
            assert console.app.return_value is None
            assert console.app.screen.query_one(JobTable).chosen == "hv"
            # A late y finds nothing that it could confirm.
            await pilot.press("y")
        await settled(console, pilot)

    console.drive(scenario)
    assert console.supervisor.commands == []


def test_waiting_too_long_does_nothing(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        await pilot.press("r")
        console.clock.now += 1.9
        await pilot.pause(0.3)
        assert isinstance(console.app.screen, ConfirmScreen)
        console.clock.now += 1.2
        await settled(console, pilot)
        await pilot.press("y")
        await settled(console, pilot)

    console.drive(scenario)
    assert console.supervisor.commands == []


def test_a_late_y_does_nothing_even_before_the_timer_has_noticed(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        await pilot.press("r")
        screen = console.app.screen
        assert isinstance(screen, ConfirmScreen)
        screen.tick = lambda: None  # type: ignore[method-assign]
        console.clock.now += 3.0
        await pilot.press("y")
        await settled(console, pilot)

    console.drive(scenario)
    assert console.supervisor.commands == []


def test_a_list_that_changes_between_the_keys_changes_nothing(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        await choose(console, pilot, "hv")
        await pilot.press("r")
        others = [job("aaa"), job("bbb"), *reversed(jobs())]
        console.supervisor.snapshot = snapshot(others)
        await console.refreshed(pilot)
        assert console.model.jobs[1].id == "bbb"
        await pilot.press("y")
        await settled(console, pilot)
        assert console.app.screen.query_one(JobTable).chosen == "hv"

    console.drive(scenario)
    assert console.supervisor.commands == [("restart", "hv")]


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        (job("hv", state="stopping"), "is stopping by now"),
        (job("hv", pid=77), "another process"),
        (job("other"), "no longer there"),
    ],
)
def test_a_job_that_changes_between_the_keys_is_left_alone(
    console: Console, later: object, reason: str
) -> None:
    async def scenario(pilot: Pilots) -> None:
        await choose(console, pilot, "hv")
        await pilot.press("r")
        console.supervisor.snapshot = snapshot([job("csv", "store"), later])  # type: ignore[list-item]
        await console.refreshed(pilot)
        await pilot.press("y")
        await settled(console, pilot)
        assert reason in notice(console)

    console.drive(scenario)
    assert console.supervisor.commands == []


def test_a_stopping_job_is_refused_with_a_reason(supervisor: ScriptedSupervisor) -> None:
    supervisor.snapshot = snapshot([job("csv", "store", "stopping")])
    console = Console(supervisor)

    async def scenario(pilot: Pilots) -> None:
        await choose(console, pilot, "csv")
        for key in ("r", "s"):
            await pilot.press(key)
            assert not isinstance(console.app.screen, ConfirmScreen)
            assert "csv is stopping" in notice(console)
        await pilot.press("y")
        await settled(console, pilot)

    console.drive(scenario)
    assert supervisor.commands == []


def test_nothing_can_be_done_on_an_old_display(supervisor: ScriptedSupervisor) -> None:
    console = Console(supervisor, answer_seconds=0.2)

    async def scenario(pilot: Pilots) -> None:
        await console.fall_silent(pilot, 5)
        await console.until(pilot, lambda: console.model.is_old)
        await pilot.press("r", "y")
        assert "old" in notice(console)

    console.drive(scenario)
    assert console.supervisor.commands == []


def test_the_supervisors_refusal_is_shown(console: Console) -> None:
    console.supervisor.refusal = "hv holds a lock\x1b[2J"

    async def scenario(pilot: Pilots) -> None:
        await pilot.press("r", "y")
        await console.until(pilot, lambda: "holds a lock" in notice(console))
        assert notice(console) == "digitizer: hv holds a lock"

    console.drive(scenario)


def test_a_readonly_console_has_no_such_keys(supervisor: ScriptedSupervisor) -> None:
    console = Console(supervisor, Model(readonly=True))

    async def scenario(pilot: Pilots) -> None:
        await pilot.press("r", "y", "s", "y")
        await settled(console, pilot)
        assert "READ-ONLY" in console.text()
        assert "restart" not in console.text()
        await pilot.press("question_mark")
        assert "restart the selected job" not in console.text()
        await pilot.press("escape", "q")
        await console.until(pilot, lambda: "Leave it running" in console.text())
        assert "Stop acquisition" not in console.text()

    console.drive(scenario)
    assert supervisor.commands == []


def test_commands_go_to_the_real_name_of_a_row(supervisor: ScriptedSupervisor) -> None:
    supervisor.snapshot = snapshot([job("csv"), job("csv\x1b[0m")])
    console = Console(supervisor)

    async def scenario(pilot: Pilots) -> None:
        await choose(console, pilot, "csv~2")
        await pilot.press("r", "y")
        await console.until(pilot, lambda: bool(supervisor.commands))

    console.drive(scenario)
    assert supervisor.commands == [("restart", "csv\x1b[0m")]


def test_the_details_page_commands_its_own_job(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        await choose(console, pilot, "hv")
        await pilot.press("enter")
        await console.until(pilot, lambda: "no answer from 10.0.0.7" in console.text())
        await pilot.press("r")
        assert "Restart hv?" in console.text()
        await pilot.press("y")
        await settled(console, pilot)
        await pilot.press("escape")
        assert "digitizer" in console.text()

    console.drive(scenario)
    assert console.supervisor.commands == [("restart", "hv")]
