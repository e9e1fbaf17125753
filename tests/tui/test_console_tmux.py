"""The whole program in a real tmux session."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from console_life import LONGEST_GAP_SECONDS, TICKS, Life

from tests.system.node import wait_until


class Tmux:
    """A tmux server of its own with one shell."""

    def __init__(self, socket: Path, life: Life) -> None:
        self._base = ["tmux", "-S", str(socket), "-f", "/dev/null"]
        environment = {**life.node.environment, "TERM": "xterm-256color"}
        # The user's own shell starts it: without exec it may stay as the process of the pane.
        self._run(
            *("new-session", "-d", "-x", "80", "-y", "24", "exec sh"),
            cwd=life.node.folder,
            env=environment,
        )

    def keys(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        self._run("send-keys", *keys)

    def screen(self) -> str:
        """What the terminal shows."""
        return self._run("capture-pane", "-p")

    def modes(self) -> str:
        """Alternate screen, cursor, mouse."""
        return self.pane("#{alternate_on} #{cursor_flag} #{mouse_any_flag}")

    def pane(self, form: str) -> str:
        """What tmux knows of the pane."""
        return self._run("display-message", "-p", form)

    def until(self, text: str) -> None:
        """Wait until a text can be seen."""
        try:
            wait_until(lambda: text in self.screen(), what=text)
        except AssertionError:
            raise AssertionError(self.screen()) from None

    def close(self) -> None:
        """End the server."""
        subprocess.run([*self._base, "kill-server"], check=False, capture_output=True)

    def _run(self, *arguments: str, **options: object) -> str:
        done = subprocess.run(
            [*self._base, *arguments],
            check=True,
            capture_output=True,
            text=True,
            **options,  # type: ignore[call-overload]
        )
        return str(done.stdout)


@pytest.fixture
def tmux(life: Life) -> Iterator[Tmux]:
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    folder = Path("/tmp") / f"tm{os.getpid()}-{life.node.id}"
    folder.mkdir(mode=0o700)
    made = Tmux(folder / "s", life)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder)


def test_a_night_in_tmux(life: Life, tmux: Tmux) -> None:
    start = f"{sys.executable} -m tui.cli"
    tmux.keys(start, "Enter")
    tmux.until("ALL WELL")
    tmux.until("ticks")
    assert tmux.modes().split()[0] == "1"
    # Detach: the shell is back at once, the terminal as it was, and data taking goes on.
    tmux.keys("b", "E")
    tmux.until("supervisor started")
    tmux.keys("d")
    tmux.until("goes on. Come back with: enrgdaq-console")
    assert tmux.modes().split() == ["0", "1", "0"]
    life.goes_on()
    # The next one attaches, and is back in the same view.
    tmux.keys("clear", "Enter")
    tmux.keys(start, "Enter")
    tmux.until("supervisor started")
    assert len(life.supervisors()) == 1
    tmux.keys("Escape")
    tmux.until("ticks")
    tmux.keys("q")
    tmux.until("Leave it running")
    # Cancel has the focus.
    tmux.keys("Enter")
    wait_until(lambda: "Leave it running" not in tmux.screen(), what="the panels")
    tmux.keys("q")
    tmux.until("Stop acquisition")
    tmux.keys("Left", "Enter")
    tmux.until("y shutdown")
    tmux.keys("y")
    tmux.until("has stopped")
    assert tmux.modes().split() == ["0", "1", "0"]
    wait_until(lambda: not life.supervisors(), what="the supervisor's end")


def test_the_editor_has_the_terminal_and_gives_it_back(
    life: Life, tmux: Tmux, tmp_path: Path
) -> None:
    editor = tmp_path / "editor"
    editor.write_text(
        '#!/bin/sh\necho "now edit $1"\nread answer\n'
        'sed -i "s/interval_seconds = .*/interval_seconds = $answer/" "$1"\n'
    )
    editor.chmod(0o755)
    tmux.keys(f"EDITOR={editor} {sys.executable} -m tui.cli", "Enter")
    tmux.until("ALL WELL")
    for answer, seen in (("often", "is not TOML"), ("0.05", "+interval_seconds = 0.05")):
        tmux.keys("e")
        tmux.until("now edit")
        tmux.keys(answer, "Enter")
        tmux.until(seen)
        if answer == "often":
            tmux.until("nothing was changed")
            tmux.keys("Escape")
            tmux.until("left as it is")
            assert (life.node.configs / "ticks.toml").read_text() == TICKS
    tmux.keys("y")
    tmux.until("restarting ticks")
    wait_until(
        lambda: life.node.client.snapshot().jobs[-1].restarts == 1, what="the job's new process"
    )
    assert "interval_seconds = 0.05" in (life.node.configs / "ticks.toml").read_text()
    tmux.keys("d")
    tmux.until("goes on")


def test_a_killed_shell_takes_the_console_along_and_nothing_else(life: Life, tmux: Tmux) -> None:
    tmux.keys(f"{sys.executable} -m tui.cli", "Enter")
    tmux.until("ALL WELL")
    life.goes_on()
    shell = psutil.Process(int(tmux.pane("#{pane_pid}")))
    (console,) = [one for one in shell.children() if "tui.cli" in one.cmdline()]
    shell.kill()
    psutil.wait_procs([console], timeout=20)
    assert not console.is_running()
    life.goes_on()
    assert len(life.supervisors()) == 1
    again = life.console("--attach")
    again.type(b"d")
    assert again.ended() == 0
    assert life.longest_gap() < LONGEST_GAP_SECONDS
