"""How the console looks. Pictures were looked at by a person before they were kept."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from console_driver import Console
from rich.style import Style
from scripted_supervisor import NOW, ScriptedSupervisor, job, jobs, lines, snapshot
from textual.pilot import Pilot

from enrgdaq.control.history import ALL_TOPICS
from tui.model import Model
from tui.symbols import ASCII
from tui.view import View
from tui.widgets.header import HeaderBand
from tui.widgets.keybar import KeyBar
from tui.widgets.line_view import LineView
from tui.widgets.logs import LogPane

GREY = Style(color="#7d8791")
SIZES = [(80, 24), (200, 50)]
Before = Callable[[Console, Pilot[Any]], Awaitable[None]]


def filled(model: Model) -> Model:
    """A model that has watched for a while."""
    for second in range(100):
        rate = 1500 + 40 * (second % 25)
        rates = [
            (ALL_TOPICS, rate, rate * 4000.0),
            ("store.DAQJobStoreCSV", rate - 900.0, rate * 2500.0),
            ("store.DAQJobStoreHDF5", 981.0, 3.9e6),
        ]
        model.history.add(NOW - 100 + second, rates)
    return model


def in_trouble() -> list[Any]:
    """Every state there is."""
    listed = jobs()
    listed[1] = job("hv", state="failed", exit_reason="exit code 1: no answer", restarts=5)
    listed[2].is_stale, listed[2].age_seconds = True, 400.0
    listed[3] = job("trigger", "processor", "stopping")
    listed[4].condition, listed[4].backpressure_seconds, listed[4].lost = (
        "waiting for disk",
        12.3,
        3,
    )
    listed[5] = job("hdf5", "store", "backoff", exit_reason="killed", next_start_seconds=4.0)
    listed[6] = job("health", "monitor", "starting", age_seconds=None)
    return [*listed, job("spare", "monitor", "stopped", exit_reason="by alice")]


def is_grey(view: LineView) -> bool:
    """Whether figures have lost their colours, where they do."""
    if isinstance(view, HeaderBand | LogPane | KeyBar) or not view._strips:
        return True
    meanings = ("plain", "bold", "good", "graph")
    return {view._looks.look(meaning).color for meaning in meanings} == {GREY.color}


class Picture:
    """Compares a console with the picture that is kept of it."""

    def __init__(self, snap_compare: Callable[..., bool]) -> None:
        self._compare = snap_compare

    def matches(
        self, console: Console, size: tuple[int, int], before: Before | None = None
    ) -> bool:
        async def settle(pilot: Pilot[Any]) -> None:
            await console.until(pilot, lambda: console.model.lines_seen >= 12)
            await console.until(pilot, lambda: console.app._main.jobs.chosen is not None)
            if before is not None:
                await before(console, pilot)
            await pilot.pause()

        try:
            return self._compare(console.app, terminal_size=size, run_before=settle)
        finally:
            console.link.stop()


@pytest.fixture
def picture(snap_compare: Callable[..., bool]) -> Picture:
    return Picture(snap_compare)


@pytest.mark.parametrize("size", SIZES, ids=("80x24", "200x50"))
def test_all_is_well(console: Console, picture: Picture, size: tuple[int, int]) -> None:
    filled(console.model)
    assert picture.matches(console, size)


@pytest.mark.parametrize("size", SIZES, ids=("80x24", "200x50"))
def test_trouble(supervisor: ScriptedSupervisor, picture: Picture, size: tuple[int, int]) -> None:
    supervisor.snapshot = snapshot(in_trouble(), problems=["hv has failed: no answer", "3 lost"])
    supervisor.lines = lines(40)
    console = Console(supervisor, filled(Model(readonly=True)))
    assert picture.matches(console, size)


@pytest.mark.parametrize("size", SIZES, ids=("80x24", "200x50"))
def test_a_question(console: Console, picture: Picture, size: tuple[int, int]) -> None:
    async def ask(console: Console, pilot: Pilot[Any]) -> None:
        await pilot.press("j", "r")

    filled(console.model)
    assert picture.matches(console, size, ask)


@pytest.mark.parametrize("size", SIZES, ids=("80x24", "200x50"))
def test_an_old_display(
    supervisor: ScriptedSupervisor, picture: Picture, size: tuple[int, int]
) -> None:
    console = Console(supervisor, answer_seconds=0.2)

    async def fall_silent(console: Console, pilot: Pilot[Any]) -> None:
        await console.fall_silent(pilot, 12)
        await console.until(pilot, lambda: "NO ANSWER FOR 12 s" in console.text())
        await console.until(pilot, lambda: all(map(is_grey, console.app.screen.query(LineView))))

    filled(console.model)
    assert picture.matches(console, size, fall_silent)


@pytest.mark.parametrize("size", SIZES, ids=("80x24", "200x50"))
def test_without_colours(
    supervisor: ScriptedSupervisor,
    picture: Picture,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    supervisor.snapshot = snapshot(in_trouble(), problems=["hv has failed: no answer"])
    console = Console(supervisor, filled(Model()))
    assert picture.matches(console, size)


@pytest.mark.parametrize("size", SIZES, ids=("80x24", "200x50"))
def test_the_linux_console(
    supervisor: ScriptedSupervisor,
    picture: Picture,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
) -> None:
    monkeypatch.setenv("TERM", "linux")
    monkeypatch.delenv("COLORTERM")
    supervisor.snapshot = snapshot(in_trouble(), problems=["hv has failed: no answer"])
    console = Console(supervisor, filled(Model(symbols=ASCII)))
    assert picture.matches(console, size)
    assert console.app.theme == "enrgdaq-sixteen"


@pytest.mark.parametrize("size", SIZES, ids=("80x24", "200x50"))
def test_a_light_terminal(
    supervisor: ScriptedSupervisor, picture: Picture, size: tuple[int, int]
) -> None:
    supervisor.snapshot = snapshot(in_trouble(), problems=["hv has failed: no answer"])
    console = Console(supervisor, filled(Model(view=View(theme="light"))))
    assert picture.matches(console, size)


def test_an_enlarged_log(console: Console, picture: Picture) -> None:
    async def search(console: Console, pilot: Pilot[Any]) -> None:
        await pilot.press("l", "slash", *"line", "space", "1", "enter", "N")
        await console.until(pilot, lambda: "/line 1" in console.text())

    filled(console.model)
    assert picture.matches(console, (80, 24), search)


def test_compared_topics(console: Console, picture: Picture) -> None:
    async def compare(console: Console, pilot: Pilot[Any]) -> None:
        await pilot.press("g", "m", "down", "down", "m")
        await console.until(pilot, lambda: len(console.model.view.compared) == 2)

    filled(console.model)
    assert picture.matches(console, (120, 36), compare)


def test_the_palette(console: Console, picture: Picture) -> None:
    async def ask(console: Console, pilot: Pilot[Any]) -> None:
        await pilot.press("colon", *"job")
        await console.until(pilot, lambda: "job csv" in console.text())

    filled(console.model)
    assert picture.matches(console, (80, 24), ask)


def test_how_to_leave(console: Console, picture: Picture) -> None:
    async def leave(console: Console, pilot: Pilot[Any]) -> None:
        await pilot.press("q")

    filled(console.model)
    assert picture.matches(console, (80, 24), leave)


def test_a_job_in_detail(console: Console, picture: Picture) -> None:
    async def open_details(console: Console, pilot: Pilot[Any]) -> None:
        await pilot.press("enter")
        await console.until(pilot, lambda: "configs/digitizer.toml" in console.text())

    assert picture.matches(console, (120, 36), open_details)
