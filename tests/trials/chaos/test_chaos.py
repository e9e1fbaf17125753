"""The real system is broken in every way that is known, and no row is lost."""

import subprocess
import sys
from collections.abc import Iterator

import msgspec
import pytest

from enrgdaq.transport.faults import POINTS
from enrgdaq.trials.chaos.disturber import Disturber
from enrgdaq.trials.chaos.plan import SERVER_ACTIONS, SUPERVISOR, Action, Step
from enrgdaq.trials.chaos.report import Deeds, Report
from enrgdaq.trials.chaos.room import PlayedRoom
from enrgdaq.trials.chaos.server_backends import MySQLBackend, RedisBackend
from enrgdaq.trials.chaos.servers import PrivateMariaDB, PrivateRedis
from enrgdaq.trials.chaos.system import System
from enrgdaq.trials.scratch import ScratchNode
from tests.private_servers import needs_server


# A process of its own: the trial gives itself mounts of its own.
def short_trial(*arguments: str) -> Report:
    """A trial by command, in which all must be right."""
    command = [sys.executable, "-m", "enrgdaq", "chaos", "--seed", "1", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    report = msgspec.json.decode(done.stdout, type=Report)
    found = (report.lost, report.duplicated, report.out_of_order, report.torn)
    assert found == (0, 0, 0, 0), done.stdout
    assert (report.orphans, report.leftovers, report.deeds.complaints) == ([], [], [])
    assert done.returncode == 0
    assert min(output.acknowledged for output in report.outputs) > 0
    assert not report.kept_in
    return report


@pytest.mark.timeout(240)
def test_short_trial_catches_the_system_at_every_fault_point() -> None:
    report = short_trial("--kills", "20", "--stores", "csv,raw")
    assert report.kills >= 20
    of_servers = {p for backend in (MySQLBackend, RedisBackend) for p in backend.points}
    expected = set(POINTS) - of_servers | {"ring.cursor"}
    assert set(report.deeds.points) == expected, report.deeds.missed_points


@pytest.mark.timeout(240)
def test_short_trial_of_stores_with_servers() -> None:
    for kind in (PrivateMariaDB, PrivateRedis):
        needs_server(kind)
    report = short_trial("--kills", "20", "--stores", "mysql,redis")
    expected = {p for backend in (MySQLBackend, RedisBackend) for p in backend.points}
    assert expected <= set(report.deeds.points), report.deeds.missed_points
    done = {action.value for action in SERVER_ACTIONS if action is not Action.SERVER_KILL}
    assert done <= set(report.deeds.others)
    assert {"mysql server", "redis server"} & set(report.deeds.kills)


@pytest.fixture
def system() -> Iterator[System]:
    with ScratchNode("chaos") as node:
        made = System(node, ["csv", "raw"], may_mount=False)
        made.prepare()
        yield made
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
    counted = system.count(deeds.complaints)
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
