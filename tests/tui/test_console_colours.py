"""Colours that a terminal has, and those that it would make of others."""

import pytest
from console_driver import Console
from rich.color import Color, ColorSystem, ColorTriplet
from scripted_supervisor import ScriptedSupervisor
from textual.pilot import Pilot

from tui.outcome import Outcome
from tui.theme import THEMES_256, theme_for
from tui.view import Theme


def shown(colour: str) -> ColorTriplet:
    """What a terminal with 256 colours shows."""
    return Color.parse(colour).downgrade(ColorSystem.EIGHT_BIT).get_truecolor()


@pytest.mark.parametrize("name", THEMES_256)
def test_the_256_colours_are_shown_as_they_are(name: str) -> None:
    theme = THEMES_256[name]
    own = {key: getattr(theme, key) for key in ("success", "warning", "error", "primary")}
    for key, colour in {**own, **theme.variables}.items():
        asked, got = Color.parse(colour).get_truecolor(), shown(colour)
        assert max(abs(a - b) for a, b in zip(asked, got, strict=True)) <= 10, key


@pytest.mark.parametrize("name", THEMES_256)
def test_the_band_has_a_colour_of_its_own_for_each_state(name: str) -> None:
    colours = THEMES_256[name].variables
    bands = {shown(colours[f"band-{state}"]) for state in ("good", "info", "warn", "bad")}
    assert len(bands | {shown(colours["cursor"]), shown(colours["hot"])}) >= 5
    good = shown(colours["band-good"])
    assert good.green > good.red + good.blue


@pytest.mark.parametrize(
    ("term", "choice", "wanted"),
    [
        ("xterm-256color", "dark", "enrgdaq-dark-256"),
        ("screen-256color", "light", "enrgdaq-light-256"),
        ("screen", "light", "enrgdaq-sixteen"),
    ],
)
def test_terminals_get_colours_that_they_have(
    supervisor: ScriptedSupervisor,
    monkeypatch: pytest.MonkeyPatch,
    term: str,
    choice: Theme,
    wanted: str,
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.delenv("COLORTERM")
    console = Console(supervisor)
    console.model.view.theme = choice

    async def scenario(pilot: Pilot[Outcome]) -> None:
        assert console.app.theme == wanted

    console.drive(scenario)
    assert theme_for(choice, "truecolor").name == f"enrgdaq-{choice}"
