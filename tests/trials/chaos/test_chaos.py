"""The real system is broken in every way that is known, and no row is lost."""

import subprocess
import sys
from collections.abc import Iterator

import msgspec
import pytest

from enrgdaq.transport.faults import POINTS
from enrgdaq.trials.chaos.disturber import Disturber
from enrgdaq.trials.chaos.plan import SUPERVISOR, Action, Step
from enrgdaq.trials.chaos.report import Deeds, Report
from enrgdaq.trials.chaos.room import PlayedRoom
from enrgdaq.trials.chaos.system import System
from enrgdaq.trials.scratch import ScratchNode


# A process of its own: the trial gives itself mounts of its own.
@pytest.mark.timeout(240)
def test_short_trial_catches_the_system_at_every_fault_point() -> None:
    arguments = ["--kills", "20", "--seed", "1", "--stores", "csv,raw", "--json"]
    command = [sys.executable, "-m", "enrgdaq", "chaos", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    report = msgspec.json.decode(done.stdout, type=Report)
    found = (report.lost, report.duplicated, report.out_of_order, report.torn)
    assert found == (0, 0, 0, 0), done.stdout
    assert (report.orphans, report.leftovers, report.deeds.complaints) == ([], [], [])
    assert done.returncode == 0
    assert report.kills >= 20
    assert sorted(report.deeds.points) == sorted(POINTS), report.deeds.missed_points
    assert min(output.acknowledged for output in report.outputs) > 0
    assert not report.kept_in


@pytest.fixture
def system() -> Iterator[System]:
    with ScratchNode("chaos") as node:
        made = System(node, ["csv", "raw"], may_mount=False)
        yield made
        node.stop()
        made.close()


def test_played_full_disk_is_waited_for(system: System) -> None:
    deeds = Deeds()
    disturber = Disturber(system, deeds)
    disturber.ensure_running()
    disturber.carry_out(Step(0.0, Action.FULL_DISK, SUPERVISOR, seconds=0.1))
    disturber.carry_out(Step(0.2, Action.FULL_MEMORY, SUPERVISOR))
    disturber.ensure_running()
    disturber.relieve()
    assert deeds.complaints == []
    assert deeds.others == {"full disk": 1, "full memory": 1}
    system.ask_to_finish()
    assert disturber.wait_for(lambda: is_over(system), 30.0)
    assert system.node.stop() == 0
    counted = system.count()
    assert len(counted) == 4
    assert all(output.is_right and output.acknowledged for output in counted)


def test_store_that_does_not_say_that_it_waits_is_complained_of(system: System) -> None:
    system.disk = PlayedRoom(system.faults, "store.rows", processes=())
    deeds = Deeds()
    disturber = Disturber(system, deeds, patience_seconds=0.5)
    disturber.ensure_running()
    disturber.carry_out(Step(0.0, Action.FULL_DISK, SUPERVISOR, seconds=0.1))
    for store in ("csv", "raw"):
        assert f"{store} did not say in its state that it waits for the disk" in deeds.complaints


def is_over(system: System) -> bool:
    snapshot = system.node.snapshot()
    return snapshot is not None and all(
        job.state == "stopped" for job in snapshot.jobs if job.kind == "source"
    )
