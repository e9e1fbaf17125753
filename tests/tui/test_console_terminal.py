"""The program on a real terminal: signals, a lost line, and the state it leaves behind."""

import base64
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from scripted_supervisor import ScriptedSupervisor, snapshot
from terminal_driver import OnTerminal

PROGRAM = """
import fcntl, os, sys, termios
from pathlib import Path
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from tui import session
ending = session.run(
    Path(sys.argv[1]),
    readonly=False,
    own_pid=None if "--attached" in sys.argv else os.getppid(),
    refresh_seconds=0.2,
)
print("outcome:", ending.outcome.value, flush=True)
sys.exit(ending.code)
"""


CLIPBOARD = re.compile(rb"\x1b\]52;c;([A-Za-z0-9+/=]+)\x07")


@pytest.fixture
def on_terminal(supervisor: ScriptedSupervisor) -> Iterator[Callable[..., OnTerminal]]:
    opened: list[OnTerminal] = []

    def start(*options: str) -> OnTerminal:
        command = [sys.executable, "-c", PROGRAM, str(supervisor.path), *options]
        opened.append(OnTerminal(command))
        return opened[-1]

    yield start
    for program in opened:
        program.close()


def test_detaching_leaves_the_terminal_as_it_was(on_terminal: Callable[..., OnTerminal]) -> None:
    program = on_terminal()
    program.type(b"d")
    assert program.ended() == 0
    assert b"outcome: detached" in program.output
    assert program.is_as_before()


def test_one_changed_figure_costs_few_bytes(
    supervisor: ScriptedSupervisor, on_terminal: Callable[..., OnTerminal]
) -> None:
    program = on_terminal()
    program.until(lambda: b"line 19 of" in program.output)
    asked = supervisor.asked_snapshots
    program.until(lambda: supervisor.asked_snapshots > asked + 2)
    program.output = b""
    later = snapshot()
    later.jobs[1].rate_out = 777.0
    supervisor.snapshot = later
    program.until(lambda: b"777" in program.output)
    asked = supervisor.asked_snapshots
    program.until(lambda: supervisor.asked_snapshots > asked + 2)
    assert len(program.output) < 120, program.output


def test_a_copied_line_goes_to_the_terminals_clipboard(
    on_terminal: Callable[..., OnTerminal],
) -> None:
    program = on_terminal()
    program.until(lambda: b"line 19 of" in program.output)
    program.type(b"l")
    program.until(lambda: b"line 0 of" in program.output)
    program.type(b"c")
    program.until(lambda: CLIPBOARD.search(program.output) is not None)
    found = CLIPBOARD.search(program.output)
    assert found is not None
    assert base64.b64decode(found.group(1)).decode() == (
        "2025-10-09 08:52:39 UTC INFO csv: line 19 of the log"
    )


def test_term_stops_acquisition_in_order(
    supervisor: ScriptedSupervisor, on_terminal: Callable[..., OnTerminal]
) -> None:
    program = on_terminal()
    program.process.send_signal(signal.SIGTERM)
    assert program.ended() == 0
    assert b"outcome: stopped" in program.output
    assert supervisor.commands == [("shutdown", "")]
    assert program.is_as_before()


def test_term_ends_only_a_console_that_has_attached(
    supervisor: ScriptedSupervisor, on_terminal: Callable[..., OnTerminal]
) -> None:
    program = on_terminal("--attached")
    program.process.send_signal(signal.SIGTERM)
    assert program.ended() == 0
    assert b"outcome: detached" in program.output
    assert supervisor.commands == []
    assert program.is_as_before()


def test_term_leaves_a_supervisor_alone_that_came_after_the_own_one(
    supervisor: ScriptedSupervisor, on_terminal: Callable[..., OnTerminal]
) -> None:
    program = on_terminal()
    supervisor.snapshot = snapshot(pid=os.getppid())
    asked = supervisor.asked_snapshots
    program.until(lambda: supervisor.asked_snapshots > asked + 2)
    program.process.send_signal(signal.SIGTERM)
    assert program.ended() == 0
    assert b"outcome: detached" in program.output
    assert supervisor.commands == []


def test_interrupt_asks(on_terminal: Callable[..., OnTerminal]) -> None:
    program = on_terminal()
    program.process.send_signal(signal.SIGINT)
    program.until(lambda: b"Leave it running" in program.output)
    program.type(b"q")
    program.type(b"d")
    assert program.ended() == 0


def test_hang_up_ends_the_interface_only(
    supervisor: ScriptedSupervisor, on_terminal: Callable[..., OnTerminal]
) -> None:
    program = on_terminal()
    program.process.send_signal(signal.SIGHUP)
    assert program.ended() == 128 + signal.SIGHUP
    assert supervisor.commands == []
    assert program.is_as_before()


def test_a_lost_line_ends_the_interface_without_any_signal(
    supervisor: ScriptedSupervisor, on_terminal: Callable[..., OnTerminal]
) -> None:
    program = on_terminal()
    program.cut()
    assert program.process.wait(10) in {128 + signal.SIGHUP, -signal.SIGHUP}
    assert supervisor.commands == []


def test_hang_up_works_while_the_terminal_takes_no_more_output(
    supervisor: ScriptedSupervisor, on_terminal: Callable[..., OnTerminal]
) -> None:
    program = on_terminal()
    # Nobody reads the near end any more, and every key draws the whole screen anew. The event loop
    # comes to wait for it, and the link then finds its news not taken and asks for no more.
    asked, since, limit = -1, time.monotonic(), time.monotonic() + 60.0
    while time.monotonic() < since + 1.0:
        assert time.monotonic() < limit, "the terminal took all output"
        os.write(program.near, b"l")
        if asked != supervisor.asked_snapshots:
            asked, since = supervisor.asked_snapshots, time.monotonic()
        time.sleep(0.02)
    program.process.send_signal(signal.SIGHUP)
    assert program.process.wait(10) == 128 + signal.SIGHUP
    assert supervisor.commands == []
