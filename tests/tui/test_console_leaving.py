"""Ways out, and what becomes of acquisition."""

import subprocess
import sys
from pathlib import Path

import pytest
from console_driver import Console
from scripted_supervisor import ScriptedSupervisor, event, snapshot
from textual.pilot import Pilot

from enrgdaq.supervisor.audit import AuditTrail
from tui.contact import Contact
from tui.ending import why
from tui.model import Model
from tui.outcome import Outcome
from tui.screens.leave import PATIENCE_SECONDS, LeaveScreen, about_the_end
from tui.screens.stopping import StoppingScreen

Pilots = Pilot[Outcome]


def test_d_leaves_acquisition_alone(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        await pilot.press("d")

    console.drive(scenario)
    assert console.app.return_value is Outcome.DETACHED
    assert console.supervisor.commands == []


def test_quitting_asks_and_cancel_has_the_focus(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        for key, answer in (("q", "enter"), ("ctrl+q", "escape"), ("ctrl+c", "q")):
            await pilot.press(key)
            assert isinstance(console.app.screen, LeaveScreen)
            await pilot.press(answer)
            assert not isinstance(console.app.screen, LeaveScreen)
        await console.refreshed(pilot)
        assert console.app.return_value is None

    console.drive(scenario)
    assert console.supervisor.commands == []


def test_quit_and_leave_running(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        await pilot.press("q", "left", "left", "enter")

    console.drive(scenario)
    assert console.app.return_value is Outcome.DETACHED
    assert console.supervisor.commands == []


def test_a_menu_that_nobody_answers_goes_away(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        await pilot.press("q", "left")
        console.clock.now += PATIENCE_SECONDS - 1
        # A key says that somebody is there.
        await pilot.press("left")
        console.clock.now += PATIENCE_SECONDS - 1
        await pilot.pause(0.6)
        assert isinstance(console.app.screen, LeaveScreen)
        console.clock.now += 2
        await console.until(pilot, lambda: console.app.screen is console.app._main)
        await pilot.press("enter")
        await console.refreshed(pilot)

    console.drive(scenario)
    assert console.app.return_value is None
    assert console.supervisor.commands == []


@pytest.mark.parametrize("second", ["enter", "q", "escape", "wait"])
def test_stopping_acquisition_takes_another_key_in_time(console: Console, second: str) -> None:
    async def scenario(pilot: Pilots) -> None:
        await pilot.press("q", "left", "enter")
        assert "Stop acquisition of detector-1?" in console.text()
        assert "7 jobs run   1.96k msg/s are taken" in console.text()
        if second == "wait":
            console.clock.now += 4
            await pilot.press("y")
        else:
            await pilot.press(second)
        await console.until(pilot, lambda: "left as it is" in console.text())
        await console.refreshed(pilot)

    console.drive(scenario)
    assert console.supervisor.commands == []


def test_quit_and_stop_waits_for_the_end(console: Console) -> None:
    console.supervisor.after_shutdown = lambda: None

    async def scenario(pilot: Pilots) -> None:
        await pilot.press("q", "left", "enter", "y")
        await console.until(pilot, lambda: isinstance(console.app.screen, StoppingScreen))
        await console.refreshed(pilot)
        assert "7 of 7 jobs still end" in console.text()
        console.supervisor.close_soon()
        await console.until(pilot, lambda: console.app.return_value is not None)

    console.drive(scenario)
    assert console.app.return_value is Outcome.STOPPED
    assert console.supervisor.commands == [("shutdown", "")]


def test_stopping_is_not_waited_for_for_ever(console: Console) -> None:
    console.supervisor.after_shutdown = lambda: None

    async def scenario(pilot: Pilots) -> None:
        await pilot.press("q", "left", "enter", "y")
        await console.until(pilot, lambda: bool(console.supervisor.commands))
        console.clock.now += 16
        await console.until(pilot, lambda: console.app.return_value is not None)

    console.drive(scenario)
    assert console.app.return_value is Outcome.STILL_STOPPING


def test_a_refused_shutdown_is_shown(console: Console) -> None:
    console.supervisor.refusal = "not yours"
    console.supervisor.after_shutdown = lambda: None

    async def scenario(pilot: Pilots) -> None:
        await pilot.press("q", "left", "enter", "y")
        await console.until(pilot, lambda: "not yours" in console.text())

    console.drive(scenario)
    assert console.app.return_value is None


def test_silence_is_said_and_marked_and_ends(supervisor: ScriptedSupervisor) -> None:
    console = Console(supervisor, answer_seconds=0.2)

    async def scenario(pilot: Pilots) -> None:
        await console.fall_silent(pilot, 7)
        await console.until(pilot, lambda: "NO ANSWER FOR 7 s" in console.text())
        looks = console.app._main.jobs._looks
        assert looks.look("good") == looks.look("dim")
        console.supervisor.is_mute = False
        await console.until(pilot, lambda: "ALL WELL" in console.text())
        looks = console.app._main.jobs._looks
        assert looks.look("good") != looks.look("dim")

    console.drive(scenario)


def test_a_supervisor_that_is_gone_is_said_once_and_can_be_left(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        console.supervisor.close()
        await console.until(pilot, lambda: "SUPERVISOR GONE" in console.text())
        await console.until(pilot, lambda: isinstance(console.app.screen, LeaveScreen))
        await pilot.press("escape")
        await pilot.pause(0.2)
        assert not isinstance(console.app.screen, LeaveScreen)
        await pilot.press("q", "left", "enter")

    console.drive(scenario)
    assert console.app.return_value is Outcome.GONE


def test_who_has_stopped_the_supervisor_is_said(console: Console) -> None:
    supervisor = console.supervisor

    async def scenario(pilot: Pilots) -> None:
        supervisor.events.append(event(5, "supervisor stops", "", "shutdown, asked for by alice"))
        await console.until(pilot, lambda: console.model.events[-1].number == 5)
        supervisor.close()
        await console.until(pilot, lambda: isinstance(console.app.screen, LeaveScreen))
        await console.until(
            pilot, lambda: "SUPERVISOR GONE   shutdown, asked for by alice" in console.text()
        )
        assert "The supervisor detector-1 has ended" in console.text()
        assert "its log: out/log/enrgdaq.log" in console.text()

    console.drive(scenario)


def test_an_end_between_two_questions_is_read_from_the_audit_file(
    supervisor: ScriptedSupervisor, tmp_path: Path
) -> None:
    trail = AuditTrail(tmp_path / "detector-1.audit.jsonl")
    for _ in range(4):
        trail.note("console attached")
    supervisor.snapshot = snapshot(log_path=str(tmp_path / "detector-1.log"))
    console = Console(supervisor)

    async def scenario(pilot: Pilots) -> None:
        await console.until(pilot, lambda: len(console.model.events) == 4)
        trail.note("supervisor stops", text="SIGTERM")
        supervisor.close()
        await console.until(pilot, lambda: "SUPERVISOR GONE   SIGTERM" in console.text())

    console.drive(scenario)
    trail.close()
    assert [one.number for one in console.model.events] == [1, 2, 3, 4, 5]


def test_what_an_earlier_run_said_of_its_end_does_not_count() -> None:
    before = [event(1, "supervisor stops", "", "SIGTERM"), event(2, "supervisor started", "", "x")]
    assert why(before, "its process has ended") == "its process has ended"
    assert why([*before, event(3, "supervisor stops", "", "SIGINT")], "") == "SIGINT"


def test_another_host_that_does_not_answer_may_not_have_ended() -> None:
    model = Model(latest=snapshot(), contact=Contact.GONE, reason="nobody listens at tcp://x:1")
    assert about_the_end(model, is_here=False) == ("No supervisor answers", [model.reason])
    model.events.append(event(5, "supervisor stops", "", "SIGTERM"))
    heading, facts = about_the_end(model, is_here=False)
    assert heading == "The supervisor detector-1 has ended"
    assert facts == ["SIGTERM", "its log: out/log/enrgdaq.log"]


def test_a_killed_supervisor_is_noticed_by_its_process(supervisor: ScriptedSupervisor) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    console = Console(supervisor, answer_seconds=0.2)

    async def scenario(pilot: Pilots) -> None:
        # Only now: a late answer during the start would say already that it is gone.
        supervisor.snapshot.supervisor.pid = ended.pid
        await console.until(pilot, lambda: console.model.snapshot.supervisor.pid == ended.pid)
        supervisor.is_mute = True
        await console.until(pilot, lambda: "SUPERVISOR GONE" in console.text())

    console.drive(scenario)


def test_ctrl_z_is_not_bound(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        await pilot.press("ctrl+z")
        assert console.app.is_running
        keys = {key for key, _ in console.app._bindings}
        assert "ctrl+z" not in keys

    console.drive(scenario)
