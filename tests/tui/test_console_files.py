"""What the keys e and + do with a job's file, and what they leave alone."""

from collections.abc import Callable
from pathlib import Path

import pytest
from console_driver import Console, type_text
from scripted_supervisor import ScriptedSupervisor, job, jobs, snapshot
from test_console_commands import choose, notice, settled
from textual.pilot import Pilot

from tui.outcome import Outcome
from tui.screens.prompt import PromptScreen
from tui.screens.review import ReviewScreen

Pilots = Pilot[Outcome]


class Editing:
    """An editor that leaves one text after the other behind."""

    def __init__(self, *texts: str | None) -> None:
        self.texts = list(texts)
        self.seen: list[str] = []
        self.names: list[str] = []

    def __call__(self, file: Path) -> int:
        self.names.append(file.name)
        self.seen.append(file.read_text())
        assert file.parent.stat().st_mode & 0o077 == 0
        text = self.texts.pop(0)
        if text is None:
            file.write_text("given up")
            return 1
        file.write_text(text)
        return 0


OLD = "rate = 1\npassword = 'hunter2'\n"


@pytest.fixture
def edited(supervisor: ScriptedSupervisor, tmp_path: Path) -> Callable[[Editing], Console]:
    def make(editing: Editing) -> Console:
        listed = jobs()
        for one in listed:
            file = tmp_path / f"{one.id}.toml"
            file.write_text(OLD)
            one.file = str(file)
        supervisor.snapshot = snapshot(listed, config_path=str(tmp_path))
        return Console(supervisor, edit=editing)

    return make


def test_e_checks_compares_and_restarts(edited: Callable[[Editing], Console]) -> None:
    new = OLD.replace("1", "5")
    editing = Editing(new)
    console = edited(editing)

    async def scenario(pilot: Pilots) -> None:
        await choose(console, pilot, "hv")
        await pilot.press("e")
        await console.until(pilot, lambda: isinstance(console.app.screen, ReviewScreen))
        await pilot.pause()
        assert "-rate = 1" in console.text()
        assert "+rate = 5" in console.text()
        assert "hunter2" not in console.text()
        assert console.supervisor.commands == [("check", "hv")]
        await pilot.press("r", "s", "d")
        assert isinstance(console.app.screen, ReviewScreen)
        await pilot.press("y")
        await console.until(pilot, lambda: "reload accepted" in notice(console))

    console.drive(scenario)
    assert console.supervisor.reloads == [("hv", new, OLD)]
    assert editing.names == ["hv.toml"]
    assert editing.seen == [OLD]


def test_a_mistake_is_shown_and_can_be_mended(edited: Callable[[Editing], Console]) -> None:
    editing = Editing("wrong = 1\n", "rate = 2\n")
    console = edited(editing)

    async def scenario(pilot: Pilots) -> None:
        await choose(console, pilot, "hv")
        await pilot.press("e")
        await console.until(pilot, lambda: "also wrong" in console.text())
        await pilot.press("y")
        assert isinstance(console.app.screen, ReviewScreen)
        await pilot.press("e")
        await console.until(pilot, lambda: "+rate = 2" in console.text())
        await pilot.press("escape")
        assert "left as it is" in notice(console)

    console.drive(scenario)
    # What was typed is what the editor shows again.
    assert editing.seen == [OLD, "wrong = 1\n"]
    assert console.supervisor.reloads == []


def test_an_editor_that_is_given_up_changes_nothing(edited: Callable[[Editing], Console]) -> None:
    console = edited(Editing(None, OLD))

    async def scenario(pilot: Pilots) -> None:
        await choose(console, pilot, "hv")
        for _ in range(2):
            await pilot.press("e")
            await console.until(pilot, lambda: "left as it is" in notice(console))
        await settled(console, pilot)

    console.drive(scenario)
    assert console.supervisor.commands == []


def test_only_a_secret_that_differs_is_not_shown(edited: Callable[[Editing], Console]) -> None:
    console = edited(Editing(OLD.replace("hunter2", "hunter3")))

    async def scenario(pilot: Pilots) -> None:
        await pilot.press("e")
        await console.until(pilot, lambda: "differs is secret" in console.text())
        assert "hunter" not in console.text()

    console.drive(scenario)


def test_a_file_that_cannot_be_read_is_said(supervisor: ScriptedSupervisor) -> None:
    supervisor.snapshot = snapshot([job("hv", file="/nowhere/hv.toml")])
    console = Console(supervisor)

    async def scenario(pilot: Pilots) -> None:
        await pilot.press("e")
        assert "cannot be read by your account" in notice(console)

    console.drive(scenario)


def test_plus_starts_a_job_from_a_waiting_file(edited: Callable[[Editing], Console]) -> None:
    console = edited(Editing())
    folder = Path(console.supervisor.snapshot.supervisor.config_path)
    (folder / "late.toml").write_text("rate = 1\n")
    (folder / "supervisor.toml").write_text("")

    async def scenario(pilot: Pilots) -> None:
        await pilot.press("plus")
        assert isinstance(console.app.screen, PromptScreen)
        assert "late.toml" in console.text()
        await pilot.press("enter")
        await console.until(pilot, lambda: "add accepted" in notice(console))
        await pilot.press("plus", "escape")
        await settled(console, pilot)

    console.drive(scenario)
    assert console.supervisor.commands == [("add", "late.toml")]


def test_plus_shows_what_is_wrong_with_a_file(
    edited: Callable[[Editing], Console], tmp_path: Path
) -> None:
    console = edited(Editing())
    elsewhere = tmp_path / "x" / "new.toml"
    elsewhere.parent.mkdir()
    elsewhere.write_text("wrong = 1\n")

    async def scenario(pilot: Pilots) -> None:
        await pilot.press("plus", *("slash" if c == "/" else c for c in str(elsewhere)), "enter")
        await console.until(pilot, lambda: "also wrong" in console.text())
        assert [add.origin for add in console.supervisor.adds] == [str(elsewhere)]
        await pilot.press("escape")
        await console.until(pilot, lambda: console.app.screen is console.app._main)
        await pilot.press("plus", *"nowhere", "slash", *"x.toml", "enter")
        assert "nowhere/x.toml: no such file" in notice(console)

    console.drive(scenario)


def test_plus_counts_from_where_the_console_was_started_then_from_the_configs(
    edited: Callable[[Editing], Console], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = edited(Editing())
    home = tmp_path / "home"
    for file in (home / "own.toml", home / "late.toml", tmp_path / "sub" / "low.toml"):
        file.parent.mkdir(exist_ok=True)
        file.write_text("rate = 1\n")
    (tmp_path / "late.toml").write_text("rate = 1\n")
    monkeypatch.chdir(home)

    async def scenario(pilot: Pilots) -> None:
        for name in ("own.toml", "sub/low.toml", "late.toml", "../late.toml", "unseen.toml"):
            await pilot.press("plus", *["backspace"] * 9)
            await type_text(pilot, name)
            await pilot.press("enter")
            await console.until(pilot, lambda: not console.app._pending)

    console.drive(scenario)
    sent = [(add.file, add.text is not None, Path(add.origin)) for add in console.supervisor.adds]
    # What lies in the folder of configs is not sent along; the last one the supervisor may see.
    assert sent == [
        ("own.toml", True, home / "own.toml"),
        ("low.toml", True, tmp_path / "sub" / "low.toml"),
        ("late.toml", False, tmp_path / "late.toml"),
        ("late.toml", False, home / ".." / "late.toml"),
        ("unseen.toml", False, tmp_path / "unseen.toml"),
    ]


def test_a_readonly_console_has_none_of_these_keys(edited: Callable[[Editing], Console]) -> None:
    editing = Editing()
    console = edited(editing)
    console.model.readonly = True

    async def scenario(pilot: Pilots) -> None:
        await choose(console, pilot, "hv")
        await pilot.press("R", "y", "e", "plus")
        await settled(console, pilot)
        assert console.app.screen is console.app._main

    console.drive(scenario)
    assert console.supervisor.commands == []
    assert not editing.seen
