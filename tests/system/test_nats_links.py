"""Data that travel from node to node over NATS: each row once, in order, whatever fails."""

from collections.abc import Callable
from pathlib import Path

from tests.private_servers import private_nats
from tests.system import links, nats_links
from tests.system.node import Node
from tests.system.test_links import stop, wait_rows

Make = Callable[[str], Node]


def test_rows_reach_a_node_that_takes_them(nodes: Make, tmp_path: Path) -> None:
    hub, spoke = nodes("hub"), nodes("spoke")
    with private_nats(tmp_path) as servers:
        prefix = nats_links.new_prefix()
        nats_links.link(hub, servers.urls, prefix, send=False, receive=True)
        nats_links.link(spoke, servers.urls, prefix)
        hub.add("csv", links.CSV)
        links.add_numbers(spoke, 50)
        spoke.start(wait_running=False)
        spoke.wait_job("uplink", lambda job: "no node takes anything yet" in job.condition)
        hub.start()
        wait_rows(hub, spoke, 5_000)
        hub.wait(lambda: hub.snapshot().links[0].state == "up", what="the link to be shown")
        (link,) = hub.snapshot().links
        assert (link.peer, link.repeated, link.redelivered) == (spoke.id, 0, 0)
        assert link.stream == f"{prefix}-data-{spoke.id}"
        hub.wait(lambda: hub.snapshot().links[0].lag == 0, what="nothing to be left")
        stop(spoke, hub)
