"""Little room, or little to show."""

import pytest
from console_driver import Console
from scripted_supervisor import topic
from textual.pilot import Pilot

from tui.outcome import Outcome

Pilots = Pilot[Outcome]


@pytest.mark.parametrize("size", [(80, 24), (200, 50)], ids=("80x24", "200x50"))
def test_a_filter_that_finds_nothing_says_so_and_keeps_the_choice(
    console: Console, size: tuple[int, int]
) -> None:
    async def scenario(pilot: Pilots) -> None:
        await pilot.press("j")
        chosen = console.app._main.jobs.chosen
        await pilot.press("slash", *"%%", "enter")
        await console.until(pilot, lambda: "none of 7 jobs has this" in console.text())
        assert console.app._main.jobs.chosen is None
        await pilot.press("escape")
        assert console.app._main.jobs.chosen == chosen

    console.drive(scenario, size)


@pytest.mark.parametrize(
    ("size", "there", "absent"),
    [
        ((60, 15), ["hv", "line 19"], ["all topics"]),
        ((40, 10), ["hv"], ["all topics", "line 19"]),
        ((50, 24), ["hv", "line 19", "all topics"], ["msg/s     B/s"]),
    ],
    ids=("60x15", "40x10", "50x24"),
)
def test_what_runs_comes_first_on_the_smallest_screens(
    console: Console, size: tuple[int, int], there: list[str], absent: list[str]
) -> None:
    async def scenario(pilot: Pilots) -> None:
        for text in there:
            await console.until(pilot, lambda text=text: text in console.text())  # type: ignore[misc]
        assert not [text for text in absent if text in console.text()]
        await pilot.press("g")
        await console.until(pilot, lambda: "DAQJobStore" in console.text())
        await pilot.press("g", "l")
        await console.until(pilot, lambda: "line 19" in console.text())

    console.drive(scenario, size)


def test_topics_keep_their_headings_where_not_all_can_be_seen(console: Console) -> None:
    console.supervisor.snapshot.topics = [topic(f"t{n}", 1.0, 1.0) for n in range(30)]

    async def scenario(pilot: Pilots) -> None:
        await console.until(pilot, lambda: "of 31  " in console.text())
        assert "msg/s     B/s" in console.text()

    console.drive(scenario)
