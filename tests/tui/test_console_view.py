"""What is shown is in the user's hands: tree, graphs, log, freezing, palette."""

import time

import pytest
from console_driver import Console, type_text
from scripted_supervisor import NOW, ScriptedSupervisor, job, jobs, lines, snapshot, topic
from textual.pilot import Pilot

from tui.model import Model
from tui.outcome import Outcome
from tui.screens.prompt import PromptScreen
from tui.view import ORDERS, View
from tui.widgets.jobs import JobTable
from tui.widgets.keybar import KeyBar
from tui.widgets.logs import LogPane
from tui.widgets.topics import TopicList

Pilots = Pilot[Outcome]


def table(console: Console) -> JobTable:
    return console.app._main.jobs


def order_of(console: Console, *names: str) -> list[str]:
    """Of these jobs, those that are shown, from above to below."""
    above = console.text().split("all topics")[0].split()
    return [word for word in above if word in names]


def in_trouble() -> list[object]:
    listed = jobs()
    listed[2].is_stale = True
    listed[5] = job("hdf5", "store", "failed", exit_reason="exit code 1")
    return list(listed)


def test_groups_fold_and_say_what_they_hold(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        assert "▾ sources  3" in console.text()
        await pilot.press("h")
        assert "▸ sources  3" in console.text()
        assert "digitizer  " not in console.text().split("topics")[0]
        assert table(console).chosen is None
        await pilot.press("r")
        assert console.app.screen is console.app._main
        await pilot.press("right")
        assert "▾ sources  3" in console.text()
        await pilot.press("enter")
        assert "▸ sources  3" in console.text()
        await pilot.press("enter", "j")
        assert table(console).chosen == "digitizer"

    console.drive(scenario)
    assert console.supervisor.commands == []


def test_a_wide_tree_has_the_supervisor_at_its_root(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        assert "▾ detector-1  7" in console.text()
        assert "R running   digitizer" in console.text()

    console.drive(scenario, (200, 50))


def test_o_orders_jobs_by_one_column_after_the_other(console: Console) -> None:
    listed = [job("a", cpu_percent=1.0), job("b", cpu_percent=90.0), job("c", rate_out=9e6)]
    console.supervisor.snapshot = snapshot(listed)

    async def scenario(pilot: Pilots) -> None:
        assert order_of(console, "a", "b", "c") == ["a", "b", "c"]
        for _ in range(ORDERS.index("out")):
            await pilot.press("o")
        assert "out/s↓" in console.text()
        assert order_of(console, "a", "b", "c") == ["c", "a", "b"]
        for _ in range(ORDERS.index("cpu") - ORDERS.index("out")):
            await pilot.press("o")
        await console.until(pilot, lambda: "cpu%↓" in console.text())
        assert order_of(console, "a", "b", "c")[0] == "b"
        for _ in range(len(ORDERS) - ORDERS.index("cpu")):
            await pilot.press("o")
        assert order_of(console, "a", "b", "c") == ["a", "b", "c"]

    console.drive(scenario)


def test_slash_filters_jobs_while_it_is_typed_and_esc_takes_it_back(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        await pilot.press("slash")
        assert isinstance(console.app.screen, PromptScreen)
        await type_text(pilot, "store h")
        await console.until(pilot, lambda: "jobs /store h" in console.text())
        assert order_of(console, "digitizer", "csv", "hdf5") == ["hdf5"]
        assert console.model.view.job_filter == "store h"
        await pilot.press("enter")
        assert table(console).chosen == "hdf5"
        await pilot.press("slash", "x", "escape")
        assert console.model.view.job_filter == "store h"
        await pilot.press("escape")
        assert console.model.view.job_filter == ""
        assert table(console).chosen == "hdf5"

    console.drive(scenario)


def test_a_filter_finds_jobs_of_folded_groups(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        await pilot.press("h", "slash", "h", "v", "enter")
        assert table(console).chosen == "hv"

    console.drive(scenario)


def test_exclamation_mark_floats_problems_up_and_goes_round_them(console: Console) -> None:
    console.supervisor.snapshot = snapshot(in_trouble())  # type: ignore[arg-type]

    async def scenario(pilot: Pilots) -> None:
        await pilot.press("exclamation_mark")
        assert table(console).chosen == "hdf5"
        assert "▾ need attention  2" in console.text()
        assert order_of(console, "hdf5", "weather", "digitizer") == ["hdf5", "weather", "digitizer"]
        await pilot.press("exclamation_mark")
        assert table(console).chosen == "weather"
        await pilot.press("exclamation_mark")
        assert table(console).chosen == "hdf5"
        await pilot.press("escape")
        assert "need attention" not in console.text()
        assert table(console).chosen == "hdf5"

    console.drive(scenario)


def test_without_problems_there_is_no_next_one(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        await pilot.press("exclamation_mark")
        await pilot.pause()
        assert "no job has a problem" in console.text()
        assert table(console).chosen == "digitizer"

    console.drive(scenario)


def test_space_freezes_the_display_and_not_the_band(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        await console.until(pilot, lambda: "line 19 of" in console.text())
        await pilot.press("space")
        later = snapshot(
            [job("digitizer", rate_out=555.0), job("hv", state="failed")], now=NOW + 65
        )
        console.supervisor.snapshot = later
        console.supervisor.lines += lines(3, 20)
        await console.until(pilot, lambda: "FROZEN 1 m 5 s" in console.text())
        assert "1 FAILED" in console.text()
        assert "555" not in console.text()
        assert "line 22 of" not in console.text()
        await pilot.press("r")
        assert "display is frozen" in console.app.screen.query_one(KeyBar)._notice[0]
        await pilot.press("space")
        assert "555" in console.text()
        assert "line 22 of" in console.text()
        assert "FROZEN" not in console.text()

    console.drive(scenario)
    assert console.supervisor.commands == []


def test_what_a_frozen_display_could_not_keep_is_said() -> None:
    from tui.link import News
    from tui.model import KEPT_LINES

    model = Model()
    model.apply(News(snapshot=snapshot(), lines=lines(5)), 1.0)
    model.freeze(True)
    for start in range(5, KEPT_LINES + 105, 100):
        model.apply(News(lines=lines(100, start)), 1.0)
    assert len(model.lines) == 5
    model.freeze(False)
    assert len(model.lines) == KEPT_LINES
    assert model.lines[-1].number == KEPT_LINES + 104
    model = Model()
    model.freeze(True)
    model.apply(News(lines=lines(KEPT_LINES + 7)), 1.0)
    model.freeze(False)
    assert model.lines_seen == KEPT_LINES + 1


def test_topics_are_compared_side_by_side(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        console.app._main.query_one(TopicList).focus()
        await pilot.press("down", "down", "m", "down", "enter", "escape")
        assert console.model.view.compared == []
        await pilot.press("g", "up", "m", "down", "m")
        await pilot.pause()
        assert console.model.view.compared == ["store.DAQJobStoreCSV", "store.DAQJobStoreHDF5"]
        assert console.text().count("• store.DAQ") + console.text().count("•store.DAQ") == 2
        assert console.text().count("msg/s│") == 2
        await pilot.press("m")
        await pilot.pause()
        assert console.text().count("msg/s│") == 1

    console.drive(scenario, (120, 36))


def test_a_large_screen_has_a_grid_of_graphs(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        assert console.text().count("msg/s│") == 3
        await pilot.press("b")
        assert console.text().count("B/s│") == 3
        assert "in B/s" in console.text()

    console.drive(scenario, (200, 50))


def test_graphs_cover_a_minute_to_an_hour(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        assert "│2 min" in console.text()
        await pilot.press("less_than_sign", "less_than_sign")
        assert "│1 min" in console.text()
        await pilot.press(*["greater_than_sign"] * 6)
        assert "│1 h" in console.text()
        assert "30 min" in console.text()

    console.drive(scenario)


def test_topics_are_filtered_too(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        await pilot.press("tab", "slash")
        await type_text(pilot, "hdf")
        await pilot.press("enter")
        shown = console.app._main.topics
        assert shown._keys == ["store.DAQJobStoreHDF5"]
        await console.until(pilot, lambda: console.model.view.topic == "store.DAQJobStoreHDF5")

    console.drive(scenario)


@pytest.mark.parametrize(("key", "gone"), [("g", "cpu%"), ("l", "cpu%")])
def test_g_and_l_give_a_panel_the_screen_and_take_it_back(
    console: Console, key: str, gone: str
) -> None:
    async def scenario(pilot: Pilots) -> None:
        await console.until(pilot, lambda: "line 19 of" in console.text())
        await pilot.press(key)
        await pilot.pause()
        assert gone not in console.text()
        assert isinstance(console.app.focused, TopicList if key == "g" else LogPane)
        assert ("line 19 of" in console.text()) == (key == "l")
        await pilot.press(key)
        await pilot.pause()
        assert gone in console.text()
        assert isinstance(console.app.focused, JobTable)

    console.drive(scenario)


def test_a_view_comes_back_as_it_was(supervisor: ScriptedSupervisor) -> None:
    view = View(job="hv", topic="store.DAQJobStoreCSV", large="log", theme="light", order="cpu")
    console = Console(supervisor, Model(view=view))

    async def scenario(pilot: Pilots) -> None:
        await console.until(pilot, lambda: console.model.lines_seen == 20)
        assert console.app.theme == "enrgdaq-light"
        assert isinstance(console.app.focused, LogPane)
        await pilot.press("l")
        await pilot.pause()
        assert table(console).chosen == "hv"
        assert console.app._main.topics.key == "store.DAQJobStoreCSV"
        await console.until(pilot, lambda: "cpu%↓" in console.text())

    console.drive(scenario)


def test_many_jobs_and_topics_scroll_without_a_stutter(console: Console) -> None:
    """A step in a list of 200 jobs and 500 topics takes less than a frame of 15 a second."""
    console.supervisor.snapshot = snapshot([job(f"job{number:03}") for number in range(200)])
    console.supervisor.snapshot.topics = [topic(f"topic{n:03}", n, n * 10.0) for n in range(500)]

    async def scenario(pilot: Pilots) -> None:
        main = console.app._main
        await console.until(pilot, lambda: len(console.model.topics) == 500)
        for panel in (main.jobs, main.topics):
            costs = []
            for _ in range(150):
                begin = time.process_time()
                panel.action_move(1)
                costs.append(time.process_time() - begin)
            assert sorted(costs)[len(costs) // 2] < 1 / 15
            assert panel.key is not None
        assert main.topics.key == "topic149"

    console.drive(scenario, (200, 50))
