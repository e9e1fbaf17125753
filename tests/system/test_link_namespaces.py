"""Two hosts on one machine: a hub and a spoke in network namespaces, with a line in between."""

from collections.abc import Callable, Iterator

import pytest

from tests.system import links, networks, numbered
from tests.system.node import Node
from tests.system.test_links import file_of, rows_in, stop, wait_rows

Make = Callable[[str], Node]


@pytest.fixture
def cabled() -> Iterator[networks.FarHost]:
    try:
        with networks.cabled_host() as far:
            yield far
    except networks.NoNetworksError as error:
        pytest.skip(f"network namespaces need root and iproute2: {error}")


@pytest.fixture
def behind_lossy_line() -> Iterator[networks.FarHost]:
    try:
        with networks.host_behind_lossy_line(10, 100, 0.01) as far:
            yield far
    except networks.NoNetworksError as error:
        pytest.skip(f"lines that lose packets need root, iproute2 and /dev/net/tun: {error}")


def linked(nodes: Make, far: networks.FarHost) -> tuple[Node, Node]:
    """A hub here, and a spoke there that sends numbered rows."""
    hub, spoke = nodes("hub"), nodes("spoke")
    port = links.make_hub(hub, host=far.near_address)
    hub.add("csv", links.CSV)
    links.link(spoke, hub, port, host=far.near_address)
    links.add_numbers(spoke, per_second=50)
    spoke.prefix = far.prefix
    hub.start()
    spoke.start()
    spoke.wait(lambda: len(rows_in(file_of(hub, spoke))) > 1_000, what="rows on the hub")
    # Rows may be there before the spoke's supervisor has said how it is, once a second.
    hub.wait(lambda: hub.snapshot().nodes[0].state == "up", what="news of the spoke")
    return hub, spoke


def test_a_cable_is_pulled_and_put_back(nodes: Make, cabled: networks.FarHost) -> None:
    hub, spoke = linked(nodes, cabled)
    cabled.unplug()
    # No packet says that the line is dead: it is silence that tells.
    spoke.wait_job("uplink", lambda job: job.spool_bytes > 0)
    hub.wait(lambda: hub.snapshot().nodes[0].state == "away", what="the hub to miss the spoke")
    cabled.plug()
    wait_rows(hub, spoke, numbered.end(spoke))
    hub.wait(lambda: hub.snapshot().nodes[0].state == "up", what="the spoke to be back", seconds=60)
    stop(spoke, hub)


def test_lost_packets_are_not_lost_rows(nodes: Make, behind_lossy_line: networks.FarHost) -> None:
    hub, spoke = linked(nodes, behind_lossy_line)
    spoke.wait(lambda: len(rows_in(file_of(hub, spoke))) > 15_000, what="more rows")
    wait_rows(hub, spoke, numbered.end(spoke))
    spoke.wait(lambda: (spoke.snapshot().links[0].round_trip_ms or 0) > 20, what="the round trip")
    stop(spoke, hub)
