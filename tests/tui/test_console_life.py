"""The whole program with a real supervisor: what becomes of acquisition when a console ends."""

import csv
import datetime as dt
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from terminal_driver import OnTerminal

from enrgdaq.control.client import ControlClient
from tests.system.node import Node, wait_until

STORE = 'daq_job_type = "DAQJobStoreCSV"\nflush_interval_seconds = 0.1\n'
TICKS = (
    'daq_job_type = "DAQJobTest"\nrand_min = 1\nrand_max = 9\ninterval_seconds = 0.02\n'
    '[store_config.csv]\nfile_path = "ticks.csv"\n'
)
# With a controlling terminal, as a shell gives it.
START = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
{patch}
from tui.cli import main
sys.exit(main(sys.argv[1:]))
"""
BREAK = """
from tui.app import ConsoleApp
def tick(self, was=ConsoleApp.tick):
    if self.model.snapshot is not None and self.model.lines_seen:
        raise RuntimeError("broken on purpose")
    was(self)
ConsoleApp.tick = tick
"""
STALL_SECONDS = 4.0
LONGEST_GAP_SECONDS = 1.5  # between two ticks of 20 ms, on a machine that is busy


class Life:
    """A node whose supervisor is started by its consoles."""

    def __init__(self, node: Node) -> None:
        self.node = node
        node.add("csv", STORE)
        node.add("ticks", TICKS)
        self.consoles: list[OnTerminal] = []

    def console(self, *options: str, patch: str = "") -> OnTerminal:
        """One more console; it has drawn its first picture."""
        command = [sys.executable, "-c", START.format(patch=patch), *options]
        opened = OnTerminal(command, cwd=self.node.folder, environment=self.node.environment)
        self.consoles.append(opened)
        return opened

    def ticks(self) -> list[float]:
        """Times of all rows that are stored."""
        path = self.node.out / "ticks.csv"
        if not path.exists():
            return []
        with path.open(newline="") as file:
            return [_seconds(row["timestamp"]) for row in csv.DictReader(file) if row["timestamp"]]

    def goes_on(self) -> None:
        """Rows are stored that were taken after this moment."""
        began = time.time()
        wait_until(
            lambda: (ticks := self.ticks()) and ticks[-1] > began + 0.2, what="rows of later"
        )

    def longest_gap(self) -> float:
        """The longest time without a row."""
        ticks = self.ticks()
        return max(b - a for a, b in itertools.pairwise(ticks))

    def supervisors(self) -> list[int]:
        """Processes of `enrgdaq run` of this node."""
        found = []
        for process in psutil.process_iter(["cmdline", "environ"]):
            runtime = (process.info["environ"] or {}).get("XDG_RUNTIME_DIR")
            if runtime == str(self.node.runtime) and "run" in (process.info["cmdline"] or []):
                found.append(process.pid)
        return found

    def close(self) -> None:
        """End what still runs."""
        for console in self.consoles:
            console.close()
        if self.supervisors():
            said = self.node.run("shutdown")
            assert said.returncode == 0, said.stderr
        wait_until(lambda: not self.node.leftovers(), what="everything to be gone")


def _seconds(text: str) -> float:
    try:
        value = float(text)
        return value / 1000 if value > 1e11 else value
    except ValueError:
        return dt.datetime.fromisoformat(text).timestamp()


@pytest.fixture
def life(node: Node) -> Iterator[Life]:
    made = Life(node)
    try:
        yield made
    finally:
        made.close()


def test_a_cut_line_ends_the_console_alone(life: Life) -> None:
    console = life.console()
    life.goes_on()
    console.cut()
    assert console.process.wait(10) in {128 + signal.SIGHUP, -signal.SIGHUP}
    life.goes_on()
    assert len(life.supervisors()) == 1
    again = life.console("--attach")
    again.type(b"d")
    assert again.ended() == 0
    assert life.longest_gap() < LONGEST_GAP_SECONDS


def test_a_killed_console_leaves_acquisition_alone(life: Life) -> None:
    console = life.console()
    console.process.kill()
    console.process.wait()
    life.goes_on()
    assert len(life.supervisors()) == 1
    again = life.console()
    again.type(b"d")
    assert again.ended() == 0
    assert b"goes on" in again.output
    assert len(life.supervisors()) == 1


def test_an_exception_in_the_interface_ends_the_interface_alone(life: Life) -> None:
    console = life.console(patch=BREAK)
    assert console.ended() == 1
    assert b"broken on purpose" in console.output
    assert console.is_as_before()
    life.goes_on()
    again = life.console("--attach")
    again.type(b"d")
    assert again.ended() == 0


def test_a_line_that_stops_reading_costs_nothing(life: Life) -> None:
    console = life.console()
    life.goes_on()
    process = psutil.Process(console.process.pid)
    # Nothing is drawn from now on, and nothing asked.
    console.clog()
    used = [cpu_seconds(process)]

    def is_blocked() -> bool:
        time.sleep(0.5)
        used.append(cpu_seconds(process))
        return used[-1] - used[-2] < 0.02

    wait_until(is_blocked, what="the console to wait for its line", seconds=30)
    before, began = cpu_seconds(process), time.monotonic()
    time.sleep(STALL_SECONDS)
    share = (cpu_seconds(process) - before) / (time.monotonic() - began)
    assert share < 0.05, f"{share:.2f} of a core while the line is stalled"
    life.goes_on()
    assert life.longest_gap() < LONGEST_GAP_SECONDS
    # Read again, it is a console as before.
    console.type(b"d")
    assert console.ended() == 0
    assert console.is_as_before()


def test_term_stops_acquisition_in_order(life: Life) -> None:
    console = life.console()
    life.goes_on()
    began = time.monotonic()
    console.process.send_signal(signal.SIGTERM)
    assert console.ended() == 0
    assert time.monotonic() - began < 15
    assert console.is_as_before()
    assert b"has stopped" in console.output
    wait_until(lambda: not life.supervisors(), what="the supervisor's end")


def test_two_consoles_see_what_the_other_does(life: Life) -> None:
    first, second = life.console(), life.console()
    wait_until(
        lambda: len(client_of(life).snapshot().supervisor.consoles) == 2, what="two consoles"
    )
    first.output = second.output = b""
    first.type(b"r")
    first.until(lambda: b"Restart" in first.output)
    first.type(b"y")
    first.until(lambda: b"restarting" in first.output)
    second.until(lambda: b"restarting" in second.output)
    for console in (first, second):
        console.type(b"d")
        assert console.ended() == 0
    said = life.node.run("events").stdout
    assert said.count("console attached") == 2
    assert said.count("console left") == 2
    assert said.count("  restart  ") == 1


def cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def client_of(life: Life) -> ControlClient:
    return life.node.client


@pytest.mark.parametrize("options", [["--no-ui"], []], ids=["asked for", "no terminal"])
def test_without_an_interface_textual_is_never_loaded(life: Life, options: list[str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "tui.cli", *options],
        cwd=life.node.folder,
        env=life.node.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    life.node.process = process  # type: ignore[assignment]
    life.node.wait_all("running")
    life.node.process = None
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "enrgdaq.supervisor.supervisor" in said
    assert "textual" not in said
    lines = [line for line in said.splitlines() if line.startswith("enrgdaq-console:")]
    assert len(lines) == (0 if options else 1)


class Tmux:
    """A tmux server of its own with one shell."""

    def __init__(self, socket: Path, life: Life) -> None:
        self._base = ["tmux", "-S", str(socket), "-f", "/dev/null"]
        environment = {**life.node.environment, "TERM": "xterm-256color"}
        self._run(
            "new-session", "-d", "-x", "80", "-y", "24", "sh", cwd=life.node.folder, env=environment
        )

    def keys(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        self._run("send-keys", *keys)

    def screen(self) -> str:
        """What the terminal shows."""
        return self._run("capture-pane", "-p")

    def modes(self) -> str:
        """Alternate screen, cursor, mouse."""
        return self._run(
            "display-message", "-p", "#{alternate_on} #{cursor_flag} #{mouse_any_flag}"
        )

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
