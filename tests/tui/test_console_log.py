"""The log: whose lines, which of them, and where they are."""

import time

import pytest
from console_driver import Console, type_text
from scripted_supervisor import ScriptedSupervisor, lines, snapshot
from textual.pilot import Pilot

from tui.outcome import Outcome

Pilots = Pilot[Outcome]


def test_the_log_of_a_job_is_fetched_from_the_supervisor(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        await console.until(pilot, lambda: console.model.lines_seen == 20)
        await pilot.press("a")
        await console.until(
            pilot, lambda: {line.job for line in console.model.lines} == {"digitizer"}
        )
        assert "log of digitizer" in console.text()
        await pilot.press("j")
        # Nothing has been said by that one.
        await console.until(pilot, lambda: not console.model.lines)
        await pilot.press("a")
        await console.until(pilot, lambda: len(console.model.lines) == 20)

    console.drive(scenario)


def test_a_level_leaves_out_what_is_less_grave(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        await console.until(pilot, lambda: console.model.lines_seen == 20)
        await pilot.press("w", "w", "w")
        await console.until(
            pilot, lambda: {line.level for line in console.model.lines} == {"ERROR"}
        )
        assert "ERROR and worse" in console.text()
        console.supervisor.lines += lines(10, 20)
        await console.until(pilot, lambda: "line 28 of" in console.text())
        assert "line 29 of" not in console.text()
        await pilot.press("w")
        await console.until(pilot, lambda: "line 29 of" in console.text())

    console.drive(scenario)


def test_the_log_of_a_job_that_goes_away_is_empty_and_no_error(
    supervisor: ScriptedSupervisor,
) -> None:
    console = Console(supervisor)

    async def scenario(pilot: Pilots) -> None:
        await pilot.press("a")
        supervisor.refusal_of_logs = "no job is called digitizer"
        await console.refreshed(pilot)
        assert "ALL WELL" in console.text()

    console.drive(scenario)


def test_search_marks_lines_and_n_goes_through_them(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        pane = console.app._main.log_pane
        await console.until(pilot, lambda: console.model.lines_seen == 20)
        await pilot.press("l", "slash")
        await type_text(pilot, "LINE 1")
        await pilot.press("enter")
        await console.until(pilot, lambda: not pane.is_following)

        def at() -> int:
            assert pane.chosen is not None
            return pane.chosen.number

        assert at() == 19
        await pilot.press("N")
        assert at() == 18
        await pilot.press(*["N"] * 9)
        assert at() == 1
        await pilot.press("n")
        assert at() == 10
        await pilot.press("N", "N")
        await pilot.pause()
        assert "none above" in console.text()
        found = pane._looks.look("found")
        assert any(segment.style == found for strip in pane._strips for segment in strip)
        await pilot.press("escape", "n")
        await pilot.pause()
        assert "nothing to search for" in console.text()

    console.drive(scenario)


def test_c_copies_the_line_under_the_cursor(console: Console) -> None:
    copied: list[str] = []

    async def scenario(pilot: Pilots) -> None:
        console.app.copy_to_clipboard = copied.append  # type: ignore[method-assign]
        await console.until(pilot, lambda: console.model.lines_seen == 20)
        await pilot.press("c")
        assert copied == []
        console.app._main.log_pane.focus()
        await pilot.press("k", "c")

    console.drive(scenario)
    assert len(copied) == 1
    assert copied[0].endswith("WARNING digitizer: line 18 of the log") or "line 18" in copied[0]


def test_the_path_of_the_whole_log_and_what_was_dropped_are_shown(console: Console) -> None:
    console.supervisor.snapshot = snapshot(log_dropped=1234)

    async def scenario(pilot: Pilots) -> None:
        assert "out/log/enrgdaq.log" in console.text()
        assert "1.23k dropped" in console.text()

    console.drive(scenario)


def test_times_are_local_on_a_key(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "XYZ-3")
    time.tzset()

    async def scenario(pilot: Pilots) -> None:
        assert "08:53:20 UTC" in console.text()
        await pilot.press("u")
        assert "11:53:20 XYZ" in console.text()
        assert "UTC" not in console.text()

    try:
        console.drive(scenario)
    finally:
        monkeypatch.undo()
        time.tzset()
