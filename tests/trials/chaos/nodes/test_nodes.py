"""Nodes are killed and cut off from each other, and no row is lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from enrgdaq.trials.chaos.report import Report
from tests.files_below import files_below

LIMIT_SECONDS = 120.0
OUTPUTS = 12  # of six producers on two spokes, on the hub and on the last spoke


def launch(folder: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    """A trial that keeps its folders in one of ours."""
    command = [sys.executable, "-m", "enrgdaq", "chaos", "--nodes", "3", "--seed", "1", "--json"]
    return subprocess.Popen(
        [*command, "--stores", "csv", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(folder)},
    )


def check(folder: Path, trial: "subprocess.Popen[bytes]") -> Report:
    """All is right, and nothing is left."""
    said, errors = trial.communicate(timeout=LIMIT_SECONDS)
    report = msgspec.json.decode(said, type=Report)
    assert (report.is_right, trial.returncode) == (True, 0), said + errors
    assert [(o.lost, o.duplicated, o.out_of_order) for o in report.outputs] == [(0, 0, 0)] * OUTPUTS
    assert {output.store for output in report.outputs} == {"csv", "csv of spoke-2"}
    assert min(output.acknowledged for output in report.outputs) > 0
    assert list(folder.iterdir()) == []
    return report


@pytest.mark.timeout(180)
def test_short_trial(tmp_path: Path) -> None:
    arguments = ("--events", "6", "--longest-outage", "2")
    report = check(tmp_path, launch(tmp_path, *arguments))
    assert report.nodes == 3
    assert report.kills + sum(report.deeds.others.values()) >= 5


@pytest.mark.timeout(180)
def test_interrupted_trial_counts_and_leaves_nothing(tmp_path: Path) -> None:
    trial = launch(tmp_path)
    deadline = time.monotonic() + LIMIT_SECONDS
    while sum(p.stat().st_size > 0 for p in files_below(tmp_path, "out/csv/*.csv")) < OUTPUTS:
        assert trial.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    # Ctrl-C does the same, but is ignored by whatever a shell has started in the background.
    trial.send_signal(signal.SIGTERM)
    check(tmp_path, trial)
