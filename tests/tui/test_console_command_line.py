"""The command line: what is imported, what is started, what is said."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from enrgdaq.errors import ConfigurationError
from tui import cli


@dataclass(frozen=True)
class Attachment:
    socket_path: Path
    started: bool
    log_path: Path
    pid: int = 77


class Engine:
    """Stands where the engine's two modules are imported from."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.running: Attachment | None = None
        self.mistake = ""
        background = ModuleType("enrgdaq.supervisor.background")
        background.ensure_running = self.ensure_running  # type: ignore[attr-defined]
        background.find_running = self.find_running  # type: ignore[attr-defined]
        command = ModuleType("enrgdaq.cli")
        command.run_foreground = self.run_foreground  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "enrgdaq.supervisor", ModuleType("enrgdaq.supervisor"))
        monkeypatch.setitem(sys.modules, "enrgdaq.supervisor.background", background)
        monkeypatch.setitem(sys.modules, "enrgdaq.cli", command)

    def ensure_running(self, config: Path, *, meanwhile: Callable[[], None]) -> Attachment:
        self.calls.append(f"ensure {config}")
        if self.mistake:
            raise ConfigurationError(self.mistake)
        return Attachment(Path("control"), True, Path("enrgdaq.log"))

    def find_running(self, config: Path) -> Attachment | None:
        self.calls.append(f"find {config}")
        return self.running

    def run_foreground(self, config: Path) -> int:
        self.calls.append(f"foreground {config}")
        return 7


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    return Engine(monkeypatch)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_has_terminal", lambda: True)


def test_no_ui_runs_in_the_foreground(engine: Engine) -> None:
    assert cli.main(["--no-ui", "--daq-job-config-path", "here"]) == 7
    assert engine.calls == ["foreground here"]


def test_without_a_terminal_it_says_so_and_runs_headless(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([]) == 7
    assert engine.calls == ["foreground configs"]
    assert capsys.readouterr().err == (
        "enrgdaq-console: no terminal: acquisition runs without the interface\n"
    )


def test_attaching_without_a_terminal_starts_nothing(engine: Engine) -> None:
    assert cli.main(["--attach"]) == 2
    assert engine.calls == []


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("option", ["--attach", "--readonly"])
def test_nothing_to_attach_to(
    engine: Engine, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    assert cli.main([option]) == 3
    assert engine.calls == ["find configs"]
    assert "no supervisor runs for configs" in capsys.readouterr().err


@pytest.mark.usefixtures("terminal")
def test_mistakes_in_the_configuration(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.mistake = "configs/csv.toml: file_pth: unknown key (did you mean file_path?)"
    assert cli.main([]) == 2
    assert engine.mistake in capsys.readouterr().err


@pytest.mark.parametrize("value", ["0", "0.01", "61", "often", "nan"])
def test_refresh_seconds_are_checked(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--refresh-seconds", value])
    assert ended.value.code == 2
    assert "between 0.1 and 60" in capsys.readouterr().err


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--help", "--version"):
        with pytest.raises(SystemExit) as ended:
            cli.main([option])
        assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "--daq-job-config-path" in said
    assert "--export-svg" not in said
    assert "ENRGDAQ 0" in said


def loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(ran.stdout.split())


def test_importing_the_command_does_not_import_textual() -> None:
    loaded = loaded_after("import tui.cli")
    assert "tui" in loaded
    assert not loaded & {"textual", "rich", "zmq"}


@pytest.mark.skipif(
    importlib.util.find_spec("enrgdaq.cli") is None, reason="the engine's command is not there"
)
def test_the_engine_knows_nothing_of_the_interface() -> None:
    assert not loaded_after("import enrgdaq.cli") & {"tui", "textual"}
