"""Fixtures of the console's tests."""

from collections.abc import Iterator

import pytest
import pytest_textual_snapshot
from console_driver import Console
from scripted_supervisor import ScriptedSupervisor

# The plugin names this attribute as older versions of syrupy did; pictures would be called .raw.
pytest_textual_snapshot.SVGImageExtension.file_extension = "svg"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have no colours."""
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
