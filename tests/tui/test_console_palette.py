"""The palette finds actions, jobs and topics."""

from console_driver import Console, type_text
from scripted_supervisor import ScriptedSupervisor
from textual.pilot import Pilot

from tui.model import Model
from tui.outcome import Outcome
from tui.screens.palette import ChoiceList, PaletteScreen

Pilots = Pilot[Outcome]


def test_the_palette_runs_actions_of_the_table(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        await pilot.press("colon")
        assert isinstance(console.app.screen, PaletteScreen)
        await type_text(pilot, "light dark")
        assert "light or dark" in console.text()
        await pilot.press("enter")
        await console.until(pilot, lambda: console.app.theme == "enrgdaq-light")
        await pilot.press("colon")
        await type_text(pilot, "restart the")
        await pilot.press("enter")
        await console.until(pilot, lambda: "Restart digitizer?" in console.text())
        await pilot.press("escape", "colon", "escape")
        assert console.app.screen is console.app._main

    console.drive(scenario)
    assert console.supervisor.commands == []


def test_the_palette_goes_to_jobs_and_topics(console: Console) -> None:
    async def scenario(pilot: Pilots) -> None:
        await pilot.press("colon")
        await type_text(pilot, "job hd")
        assert console.app.screen.query_one(ChoiceList).key == "job hdf5"
        await pilot.press("enter")
        await console.until(pilot, lambda: console.app._main.jobs.chosen == "hdf5")
        await pilot.press("colon")
        await type_text(pilot, "topic store")
        await pilot.press("down", "enter")
        await console.until(pilot, lambda: console.model.view.topic == "store.DAQJobStoreHDF5")

    console.drive(scenario)


def test_a_readonly_palette_changes_nothing(supervisor: ScriptedSupervisor) -> None:
    console = Console(supervisor, Model(readonly=True))

    async def scenario(pilot: Pilots) -> None:
        await pilot.press("colon")
        await type_text(pilot, "restart the")
        assert "nothing found" in console.text()

    console.drive(scenario)
