"""Fixtures of the console's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_textual_snapshot
from console_driver import Console
from console_life import Life
from scripted_supervisor import ScriptedSupervisor

from tests.system.node import Node

# The plugin names this attribute as older versions of syrupy did; pictures would be called .raw.
pytest_textual_snapshot.SVGImageExtension.file_extension = "svg"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever runs the tests may have no colours, and a view that is remembered."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")


@pytest.fixture
def supervisor() -> Iterator[ScriptedSupervisor]:
    """A supervisor that runs for one test."""
    scripted = ScriptedSupervisor()
    yield scripted
    scripted.close()


@pytest.fixture
def console(supervisor: ScriptedSupervisor) -> Console:
    """A console of that supervisor."""
    return Console(supervisor)


@pytest.fixture
def life(node: Node) -> Iterator[Life]:
    made = Life(node)
    try:
        yield made
    finally:
        made.close()
