"""The whole program with a real supervisor: what becomes of acquisition when a console ends."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from console_life import LONGEST_GAP_SECONDS, Life

from enrgdaq.control.client import ControlClient
from enrgdaq.control.history import ALL_TOPICS, History
from tests.system.node import wait_until

BREAK = """
from tui.app import ConsoleApp
def tick(self, was=ConsoleApp.tick, seen=[]):
    seen.append(self.model.health.headline)
    if seen.count("ALL WELL") > 1:
        raise RuntimeError("broken on purpose")
    was(self)
ConsoleApp.tick = tick
"""
STALL_SECONDS = float(os.environ.get("ENRGDAQ_STALL_SECONDS", "4"))
"""How long a line stalls: CI and hands take a minute."""


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


def test_a_killed_supervisor_is_noticed_by_the_console_that_started_it(life: Life) -> None:
    console = life.console()
    life.goes_on()
    os.kill(life.supervisors()[0], signal.SIGKILL)
    console.until(lambda: b"SUPERVISOR GONE" in console.output)
    console.until(lambda: b"Quit" in console.output)
    console.type(b"h\r")
    assert console.ended() == 0
    assert b"does not run any more" in console.output
    # Takes over and tidies up what the killed one has left.
    again = life.console()
    again.type(b"d")
    assert again.ended() == 0
    life.goes_on()


def test_a_console_says_who_has_stopped_acquisition_elsewhere(life: Life) -> None:
    console = life.console()
    life.goes_on()
    said = life.node.run("shutdown")
    assert said.returncode == 0, said.stderr
    console.until(lambda: b"has ended" in console.output)
    console.until(lambda: b"shutdown, asked for by" in console.output)
    console.type(b"h\r")
    assert console.ended() == 0


def test_term_ends_only_a_console_that_has_attached(life: Life) -> None:
    first = life.console()
    second = life.console()
    second.process.send_signal(signal.SIGTERM)
    assert second.ended() == 0
    assert second.is_as_before()
    assert b"goes on" in second.output
    life.goes_on()
    first.type(b"d")
    assert first.ended() == 0


def test_term_leaves_a_supervisor_alone_that_somebody_else_has_started_since(life: Life) -> None:
    console = life.console()
    life.goes_on()
    os.kill(life.supervisors()[0], signal.SIGKILL)
    console.until(lambda: b"SUPERVISOR GONE" in console.output)
    console.output = b""
    life.node.start()
    console.until(lambda: b"ALL WELL" in console.output)
    console.process.send_signal(signal.SIGTERM)
    assert console.ended() == 0
    assert b"goes on" in console.output
    life.goes_on()
    assert life.node.stop() == 0


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


def test_what_was_before_is_there_for_who_comes_later(life: Life) -> None:
    first = life.console()
    life.goes_on()
    wait_until(lambda: bool(client_of(life).snapshot().topics), what="a topic")
    topic = client_of(life).snapshot().topics[0].topic
    first.type(b"d")
    assert first.ended() == 0

    def highest(name: str) -> float:
        history, now = History(), time.time()
        history.add(now, [(name, 0.0, 0.0)])
        history.fill(client_of(life).history([name]))
        points = history.points(name, now, 3600, is_bytes=False)
        return max(rate for _, rate in points)

    wait_until(lambda: highest(ALL_TOPICS) > 10 and highest(topic) > 10, what="rates that are kept")
    before = client_of(life).history([topic])[0].series[0]
    client_of(life).restart("ticks")
    wait_until(
        lambda: client_of(life).history([topic])[0].series[0].newest > before.newest + 2,
        what="rates of the next process",
    )
    # The restart has not taken away what was before.
    after = client_of(life).history([topic])[0].series[0]
    assert len(after.values) > len(before.values)


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
    # A busy supervisor may hear the goodbye after the console has gone.
    wait_until(
        lambda: life.node.run("events").stdout.count("console left") == 2, what="two goodbyes"
    )
    said = life.node.run("events").stdout
    assert said.count("console attached") == 2
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
