"""Other nodes in one tree with this one: seen, restarted, and missed when they are silent."""

import pytest
from console_driver import Console
from scripted_supervisor import NOW, ScriptedSupervisor, job, jobs, snapshot
from test_console_commands import choose, notice
from textual.pilot import Pilot

from enrgdaq.control.status import LinkStatus, NodeStatus
from enrgdaq.display import status_text
from tui.outcome import Outcome

Pilots = Pilot[Outcome]


def node(name: str, state: str = "up") -> NodeStatus:
    there = snapshot([job("adc"), job("adc2"), job("uplink", "store")], id=name)
    return NodeStatus(
        id=name,
        state=state,
        age_seconds=0.4,
        dropped=0,
        supervisor=there.supervisor,
        jobs=there.jobs,
        topics=[],
        links=[],
    )


def link(peer: str, state: str = "up", **fields: object) -> LinkStatus:
    values: dict[str, object] = {
        "job": "mirror",
        "peer": peer,
        "is_sender": False,
        "state": state,
        "since": NOW - 90,
        "round_trip_ms": None,
        "messages": 1000,
        "bytes": 10**6,
        "rate_messages": 10.0,
        "rate_bytes": 1.5e6,
        "backlog_bytes": 0,
        "repeated": 0,
    }
    return LinkStatus(**{**values, **fields})  # type: ignore[arg-type]


@pytest.fixture
def hub(supervisor: ScriptedSupervisor) -> ScriptedSupervisor:
    shown = snapshot(jobs())
    shown.nodes = [node("hall-a"), node("hall-b", "away")]
    shown.links = [
        link("hall-a", repeated=3),
        link("hall-b", "away"),
        link("far", is_sender=True, round_trip_ms=12.5, backlog_bytes=3_000_000),
    ]
    supervisor.snapshot = shown
    return supervisor


def test_all_nodes_are_in_one_tree(hub: ScriptedSupervisor) -> None:
    console = Console(hub)

    async def scenario(pilot: Pilots) -> None:
        text = console.text()
        assert "▾ detector-1  7" in text
        assert "▾ hall-a  3" in text
        assert "▾ sources  2" in text
        assert "2 IN TROUBLE" not in text
        assert "3 IN TROUBLE" in text  # all of the node that is silent
        await choose(console, pilot, "hall-a/adc")
        assert console.app._main.jobs.chosen == "hall-a/adc"

    console.drive(scenario, (200, 50))


def test_a_job_of_another_node_is_restarted_by_its_full_name(hub: ScriptedSupervisor) -> None:
    console = Console(hub)

    async def scenario(pilot: Pilots) -> None:
        await choose(console, pilot, "hall-a/adc")
        await pilot.press("r")
        assert "Restart hall-a/adc?" in console.text()
        await pilot.press("y")
        await console.until(pilot, lambda: bool(hub.commands))
        await choose(console, pilot, "hall-a/adc")
        await pilot.press("R")
        assert "Restart all 2 sources of hall-a?" in console.text()
        await pilot.press("y")
        await console.until(pilot, lambda: len(hub.commands) == 2)

    console.drive(scenario, (200, 50))
    assert hub.commands == [
        ("restart", "hall-a/adc"),
        ("restart group", "hall-a/adc hall-a/adc2"),
    ]


def test_a_file_of_another_host_is_not_edited_here(hub: ScriptedSupervisor) -> None:
    console = Console(hub)

    async def scenario(pilot: Pilots) -> None:
        await choose(console, pilot, "hall-a/adc")
        await pilot.press("e")
        assert "is on hall-a" in notice(console)

    console.drive(scenario, (200, 50))


def test_links_stand_above_the_rings_the_broken_ones_first(hub: ScriptedSupervisor) -> None:
    console = Console(hub)

    async def scenario(pilot: Pilots) -> None:
        text = console.text()
        assert text.index("from hall-b") < text.index("to far") < text.index("from hall-a")
        assert "12.5 ms" in text
        assert "3.00 MB not there yet" in text
        assert "3 came again" in text

    console.drive(scenario, (200, 50))


def test_a_link_over_nats_shows_its_stream(hub: ScriptedSupervisor) -> None:
    over = {"stream": "daq-data-hall-c", "leader": "nats-2", "lag": 12, "redelivered": 4}
    hub.snapshot.links = [link("hall-c", **over)]
    console = Console(hub)

    async def scenario(pilot: Pilots) -> None:
        text = console.text()
        for word in ("lag 12", "4 redelivered", "led by nats-2"):
            assert word in text
        status = status_text(hub.snapshot)
        assert "daq-data-hall-c  takes  nats-2" in status

    console.drive(scenario, (240, 50))


def test_a_node_that_has_left_is_no_trouble(supervisor: ScriptedSupervisor) -> None:
    shown = snapshot([job("csv", "store")])
    shown.nodes = [node("hall-a", "left")]
    supervisor.snapshot = shown
    console = Console(supervisor)

    async def scenario(pilot: Pilots) -> None:
        assert "ALL WELL" in console.text()
        assert "O stopped   adc" in console.text()

    console.drive(scenario, (200, 50))
