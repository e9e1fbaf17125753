"""The last hour of rates: how it is kept, and given to a console that comes later."""

import pytest
from console_driver import Console
from scripted_supervisor import NOW, ScriptedSupervisor, snapshot, topic
from textual.pilot import Pilot

from enrgdaq.control.history import ALL_TOPICS, MOST_TOPICS, History
from tui.link import HISTORIES_PER_PULL
from tui.outcome import Outcome
from tui.widgets.graph import RateGraphs

Pilots = Pilot[Outcome]


def test_history_keeps_an_hour_and_forgets_topics() -> None:
    history = History()
    for second in range(0, 8000, 2):
        history.add(NOW + second, [("a", second, 0.0), ("b", 1.0, 2.0)])
    now = NOW + 7998
    fine = history.points("a", now, 60, is_bytes=False)
    assert [value for _, value in fine] == [float(second) for second in range(7938, 8000, 2)]
    hour = history.points("a", now, 3600, is_bytes=False)
    assert len(hour) == 361
    assert [hour[0][1], hour[-1][1]] == [4398.0, 7998.0]
    assert {value for _, value in history.points("b", now, 60, is_bytes=True)} == {2.0}
    history.add(now + 1, [("a", 1.0, 0.0)])
    assert history.points("b", now, 60, is_bytes=True) == []


def test_history_holds_the_highest_rate_of_a_second() -> None:
    history = History()
    for part, rate in ((0.0, 1.0), (0.4, 3.0), (0.8, 2.0)):
        history.add(NOW + part, [("a", rate, 0.0)])
    assert history.points("a", NOW, 60, is_bytes=False) == [(NOW, 3.0)]


@pytest.mark.parametrize("back", [5, 500, 100_000])
def test_a_clock_that_is_set_back_leaves_no_future(back: int) -> None:
    history = History()
    for second in range(100):
        history.add(NOW + second, [("a", 5.0, 0.0)])
    history.add(NOW + 100 - back, [("a", 1.0, 0.0)])
    points = history.points("a", NOW + 1000, 200_000, is_bytes=False)
    assert max(time for time, _ in points) <= NOW + 100 - back
    assert history.points("a", NOW + 100 - back, 1, is_bytes=False)[-1][1] in {1.0, 5.0}


def test_another_history_fills_what_is_not_known_here() -> None:
    kept, mine = History(), History()
    for second in range(3000):
        kept.add(NOW + second, [("a", 5.0, 7.0), ("b", 1.0, 1.0)])
    mine.add(NOW + 3000, [("a", 100.0, 200.0)])
    mine.fill(kept.packed(["a", "b", "c"]))
    now = NOW + 3000
    minute = [value for _, value in mine.points("a", now, 60, is_bytes=False)]
    assert minute == [5.0] * 60 + [100.0]
    hour = [value for _, value in mine.points("a", now, 3600, is_bytes=True)]
    assert hour == [7.0] * 300 + [200.0]
    # What is not reported any more is not brought back.
    assert mine.points("b", now, 60, is_bytes=False) == []


def test_a_history_on_the_wire_is_no_larger_than_what_is_known() -> None:
    history = History()
    for second in range(8000):
        history.add(NOW + second, [("old", 1.0, 1.0)] + [("new", 1.0, 1.0)] * (second > 7990))
    old, new = (
        sum(len(series.values) for series in one.series) for one in history.packed(["old", "new"])
    )
    assert old == 4 * 361 * 4
    assert new < 100


def test_what_is_kept_is_bounded() -> None:
    history = History()
    history.add(NOW, [(f"topic {number}", 1.0, 1.0) for number in range(MOST_TOPICS + 5)])
    assert history.points(f"topic {MOST_TOPICS - 1}", NOW, 60, is_bytes=False)
    assert not history.points(f"topic {MOST_TOPICS}", NOW, 60, is_bytes=False)


@pytest.mark.parametrize("packed", [b"", b"abc", b"\x00" * 40_000])
def test_an_odd_answer_does_no_harm(packed: bytes) -> None:
    kept, mine = History(), History()
    kept.add(NOW, [("a", 5.0, 7.0)])
    answer = kept.packed(["a"])
    answer[0].series[0].values = packed
    mine.add(NOW, [("a", 1.0, 1.0)])
    mine.fill(answer)
    assert mine.points("a", NOW, 1, is_bytes=False)[-1] == (NOW, 1.0)


def test_graphs_show_what_was_before_this_console_came(supervisor: ScriptedSupervisor) -> None:
    for second in range(3600):
        supervisor.history.add(NOW - 3600 + second, [(ALL_TOPICS, 4321.0, 1e6)])
    console = Console(supervisor)

    async def scenario(pilot: Pilots) -> None:
        assert "max 4.32k" in console.text()
        await pilot.press(*[">"] * 4)
        console.app.screen.query_one(RateGraphs)
        rows = [line for line in console.text().splitlines() if "\u2588" * 20 in line]
        assert rows, console.text()

    console.drive(scenario, size=(200, 50))


def test_histories_are_asked_for_a_few_at_a_time_and_again_after_a_silence(
    supervisor: ScriptedSupervisor,
) -> None:
    topics = [topic(f"topic{number:03d}", float(number), 1.0) for number in range(100)]
    supervisor.snapshot = snapshot()
    supervisor.snapshot.topics = topics
    console = Console(supervisor)
    asked = supervisor.asked_histories

    def all_are_asked_for() -> bool:
        return len({name for names in asked for name in names}) == 101

    async def scenario(pilot: Pilots) -> None:
        await console.until(pilot, all_are_asked_for)
        assert asked[0][:2] == [ALL_TOPICS, "topic099"]
        assert {len(names) for names in asked} == {HISTORIES_PER_PULL, 101 % HISTORIES_PER_PULL}
        await console.refreshed(pilot)
        asked.clear()
        await console.refreshed(pilot)
        assert asked == []
        await console.fall_silent(pilot, 20)
        supervisor.is_mute = False
        await console.until(pilot, all_are_asked_for)

    console.drive(scenario)
