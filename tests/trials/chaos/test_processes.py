"""Signals reach the trial's own processes and nobody else."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from enrgdaq.trials.chaos.plan import FORKSERVER, SUPERVISOR
from enrgdaq.trials.chaos.processes import marked_with, open_all, open_process
from tests.system.node import wait_until

VARIABLE = "CHAOS_TEST_MARK"


@pytest.fixture
def child() -> Iterator["subprocess.Popen[bytes]"]:
    environment = {**os.environ, VARIABLE: str(os.getpid())}
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as process:
        yield process
        process.kill()


def test_only_a_process_that_has_the_right_parent_is_opened(
    child: "subprocess.Popen[bytes]",
) -> None:
    assert open_process(os.getppid(), SUPERVISOR) is None
    assert open_process(child.pid, FORKSERVER) is None
    assert open_process(child.pid, "csv") is None
    opened = open_process(child.pid, SUPERVISOR)
    assert opened is not None
    assert opened.pid == child.pid
    assert opened.signal(signal.SIGKILL)
    child.wait()
    # The number may be somebody else's by now; what was opened is not.
    assert not opened.signal(signal.SIGKILL)
    opened.close()
    opened.close()
    assert open_process(child.pid, SUPERVISOR) is None


def test_all_below_one_that_has_started_nothing(child: "subprocess.Popen[bytes]") -> None:
    everything = open_all(child.pid)
    assert [opened.pid for opened in everything] == [child.pid]
    for opened in everything:
        opened.close()


def test_processes_are_found_by_their_environment(child: "subprocess.Popen[bytes]") -> None:
    # A program that has just begun has no environment for a moment.
    found = wait_until(lambda: marked_with(VARIABLE, str(os.getpid())), what="the environment")
    assert [p.pid for p in found] == [child.pid]
    assert marked_with(VARIABLE, str(os.getpid()) + "0") == []
