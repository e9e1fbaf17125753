"""Lists, log and pages under the user's hands."""

import pytest
from console_driver import Console
from scripted_supervisor import NOW, job, lines, snapshot
from textual.pilot import Pilot

from tui.link import LINES_PER_PULL
from tui.model import KEPT_LINES
from tui.outcome import Outcome
from tui.screens.help import help_text
from tui.widgets.jobs import JobTable
from tui.widgets.line_view import LineView
from tui.widgets.logs import LogPane
from tui.widgets.topics import TopicList

Pilots = Pilot[Outcome]


def test_arrows_and_letters_move_and_stay_on_the_job(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        table = console.app.screen.query_one(JobTable)
        await console.until(pilot, lambda: table.chosen == "digitizer")
        await pilot.press("j", "down", "j", "k", "up")
        assert table.chosen == "hv"
        await pilot.press("G")
        assert table.chosen == "health"
        await pilot.press("home", "j", "j")
        assert table.chosen == "hv"
        await pilot.press("k")
        assert table.chosen == "digitizer"
        console.supervisor.snapshot = snapshot([job("aaa"), job("digitizer")])
        await console.until(pilot, lambda: len(console.model.jobs) == 2)
        assert table.chosen == "digitizer"

    console.drive(scenario)


def test_a_long_list_scrolls_with_the_cursor(console: Console) -> None:
    console.supervisor.snapshot = snapshot([job(f"job{number:02}") for number in range(40)])

    async def scenario(pilot: Pilots) -> None:
        await pilot.press("G")
        assert "job39" in console.text()
        assert "of 41" in console.text()
        await pilot.press(*["pageup"] * 7)
        assert "job00" in console.text()

    console.drive(scenario)


def test_the_graph_shows_the_chosen_topic_and_unit(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        assert "1.96k msg/s  max 1.96k" in console.text()
        await pilot.press("tab")
        assert isinstance(console.app.focused, TopicList)
        await pilot.press("down", "down")
        await console.until(pilot, lambda: "982 msg/s  max 982" in console.text())
        await pilot.press("b")
        assert "3.90 MB/s  max 3.90 MB/s" in console.text()

    console.drive(scenario)


def test_rings_take_the_topics_place_where_there_is_no_room(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        assert "rings:" not in console.text()
        await pilot.press("v")
        await pilot.pause()
        assert "41.0 MB" in console.text()
        assert "64%" in console.text()

    console.drive(scenario)


def test_new_lines_are_shown_while_following(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        await console.until(pilot, lambda: "line 19 of" in console.text())
        console.supervisor.lines += lines(3, 20)
        await console.until(pilot, lambda: "line 22 of" in console.text())

    console.drive(scenario)


def test_scrolling_up_holds_the_log_and_f_lets_it_go(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        pane = console.app.screen.query_one(LogPane)
        await console.until(pilot, lambda: "line 19 of" in console.text())
        pane.focus()
        await pilot.press("k", "k", "k", "k")
        assert "line 19 of" not in console.text()
        assert "line 15 of" in console.text()
        console.supervisor.lines += lines(5, 20)
        await console.until(pilot, lambda: "held, 7 below" in console.text())
        assert "line 15 of" in console.text()
        await pilot.press("f")
        await console.until(pilot, lambda: "line 24 of" in console.text())
        await pilot.press("k", "j")
        assert pane.is_following

    console.drive(scenario)


def test_held_lines_stay_in_place_when_old_ones_fall_off(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        pane = console.app.screen.query_one(LogPane)
        await console.until(pilot, lambda: "line 19 of" in console.text())
        for end in range(420, KEPT_LINES + 400, 400):
            console.supervisor.lines = lines(end)
            await console.until(pilot, lambda end=end: console.model.lines_seen == end)  # type: ignore[misc]
        pane.focus()
        await pilot.press("pageup", "k")
        held = console.model.lines[pane.top].number
        console.supervisor.lines = lines(100, console.model.lines[-1].number + 1)
        seen = console.model.lines_seen
        await console.until(pilot, lambda: console.model.lines_seen == seen + 100)
        await console.refreshed(pilot)
        assert console.model.lines[pane.top].number == held
        assert f"line {held} of" in console.text()

    console.drive(scenario)


def test_a_flood_costs_a_bounded_amount_and_says_what_it_left_out(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        await console.until(pilot, lambda: console.model.lines_seen == 20)
        console.supervisor.lines = lines(50_000)
        await console.until(pilot, lambda: "line 49999 of" in console.text())
        assert console.model.lines_seen == 20 + 1 + LINES_PER_PULL
        left_out = 50_000 - 20 - LINES_PER_PULL
        assert console.model.lines[20].text.startswith(f"{left_out} lines not shown")
        assert len(console.model.lines) <= KEPT_LINES

    console.drive(scenario)


def test_a_new_supervisor_starts_with_a_new_log(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        await console.until(pilot, lambda: console.model.lines_seen == 20)
        console.supervisor.lines = lines(2)
        console.supervisor.snapshot = snapshot(started=NOW - 1)
        await console.until(pilot, lambda: len(console.model.lines) == 2)

    console.drive(scenario)


def test_help_is_made_of_the_actions_and_goes_away(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        await pilot.press("question_mark")
        assert "restart the selected job" in console.text()
        await pilot.press("end")
        assert "backpressure: seconds" in console.text()
        assert "F FAILED" in console.text()
        await pilot.press("escape")
        assert "digitizer" in console.text()

    console.drive(scenario)


@pytest.mark.parametrize("readonly", [False, True])
def test_no_line_of_the_help_is_cut_on_a_small_screen(readonly: bool) -> None:
    for line in help_text(readonly=readonly):
        assert sum(len(span.text) for span in line.spans) <= 80, line


def test_details_follow_the_job(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        await pilot.press("enter")
        await console.until(pilot, lambda: "configs/digitizer.toml" in console.text())
        console.supervisor.snapshot = snapshot([job("csv", "store")])
        await console.until(pilot, lambda: "no job is called digitizer" in console.text())

    console.drive(scenario, (100, 40))


def test_details_say_that_the_file_has_changed_since(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        await pilot.press("enter")
        await console.until(pilot, lambda: "configs/digitizer.toml" in console.text())
        assert "has changed since" not in console.text()
        console.supervisor.has_changed_file = True
        await console.until(pilot, lambda: "'enrgdaq reload digitizer'" in console.text())

    console.drive(scenario, (100, 60))


def test_details_say_that_telemetry_was_dropped(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        await pilot.press("enter")
        await console.until(pilot, lambda: "no consumer" in console.text())
        assert "telemetry" not in console.text()
        console.supervisor.snapshot = snapshot([job("digitizer", telemetry_dropped=12)])
        await console.until(pilot, lambda: "telemetry     12 messages dropped" in console.text())

    console.drive(scenario, (100, 40))


def test_nothing_is_repainted_when_nothing_has_changed(console: Console) -> None:
    repainted: list[object] = []

    async def scenario(pilot: Pilots) -> None:
        await console.until(pilot, lambda: console.model.lines_seen == 20)
        await console.refreshed(pilot)
        for view in console.app.screen.query(LineView):
            refresh = view.refresh
            view.refresh = lambda *regions, refresh=refresh, **more: (  # type: ignore[method-assign]
                repainted.extend(regions or ["all"]),
                refresh(*regions, **more),
            )[1]
        await console.refreshed(pilot)
        assert repainted == []
        later = snapshot()
        later.jobs[0].rate_out = 982.0
        console.supervisor.snapshot = later
        await console.refreshed(pilot)
        # The job's figure and the sum of its kind.
        assert [(region.height, region.width) for region in repainted] == [(1, 1)] * 2  # type: ignore[attr-defined]

    console.drive(scenario)


def test_hostile_text_never_reaches_the_screen(console: Console) -> None:
    bad = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"
    console.supervisor.snapshot = snapshot(
        [job(f"csv{bad}", state="failed", exit_reason=bad, type=bad)],
        id=f"node{bad}",
        problems=[bad],
    )
    console.supervisor.lines = lines(1)
    console.supervisor.lines[0].text = console.supervisor.lines[0].job = bad
    console.supervisor.details_text = bad

    async def scenario(pilot: Pilots) -> None:
        await console.until(pilot, lambda: console.model.lines_seen == 1)
        seen = console.text()
        await pilot.press("enter")
        await console.until(pilot, lambda: "configs/csv" in console.text())
        seen += console.text()
        assert all(character.isprintable() for character in seen.replace("\n", ""))
        assert "owned" not in seen

    console.drive(scenario, (80, 40))
