"""Two hosts on one machine: a hub and a spoke in network namespaces, with a cable in between."""

import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.system import links
from tests.system.node import Node
from tests.system.test_links import file_of, rows_in, stop, wait_rows

IP = shutil.which("ip") or "ip"


def ip(*arguments: str, must_work: bool = True) -> None:
    """Run ``ip``; skip where this account may not."""
    done = subprocess.run([IP, *arguments], capture_output=True, text=True, check=False)
    if done.returncode and must_work:
        pytest.skip(f"no network namespaces here: ip {' '.join(arguments)}: {done.stderr.strip()}")


@dataclass
class Cable:
    """From this host's namespace to another one; both ends have an address of their own."""

    namespace: str
    near: str
    near_address: str

    def unplug(self) -> None:
        ip("link", "set", self.near, "down")

    def plug(self) -> None:
        ip("link", "set", self.near, "up")


@pytest.fixture
def cable() -> Iterator[Cable]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    name = uuid.uuid4().hex[:8]
    namespace, near, far = f"dt-{name}", f"dn{name}", f"df{name}"
    net = f"10.{200 + int(name[:2], 16) % 50}.{int(name[2:4], 16)}.{4 * (int(name[4:6], 16) // 4)}"
    stem, last = net.rsplit(".", 1)
    here, there = f"{stem}.{int(last) + 1}", f"{stem}.{int(last) + 2}"
    ip("netns", "add", namespace)
    try:
        ip("link", "add", near, "type", "veth", "peer", "name", far)
        ip("link", "set", far, "netns", namespace)
        ip("addr", "add", f"{here}/30", "dev", near)
        ip("link", "set", near, "up")
        for command in (f"addr add {there}/30 dev {far}", f"link set {far} up", "link set lo up"):
            ip("-n", namespace, *command.split())
        yield Cable(namespace, near, here)
    finally:
        # The other end goes with this one.
        ip("link", "del", near, must_work=False)
        ip("netns", "del", namespace, must_work=False)


def test_a_cable_is_pulled_and_put_back(nodes: Callable[[str], Node], cable: Cable) -> None:
    hub, spoke = nodes("hub"), nodes("spoke")
    port = links.make_hub(hub, host=cable.near_address)
    hub.add("csv", links.CSV)
    links.link(spoke, hub, port, host=cable.near_address)
    links.add_numbers(spoke, 400, per_second=50)
    spoke.prefix = [IP, "netns", "exec", cable.namespace]
    hub.start()
    spoke.start()
    spoke.wait(lambda: len(rows_in(file_of(hub, spoke))) > 1_000, what="rows on the hub")
    cable.unplug()
    # No packet says that the line is dead: it is silence that tells.
    spoke.wait_job("uplink", lambda job: job.spool_bytes > 0)
    hub.wait(lambda: hub.snapshot().nodes[0].state == "away", what="the hub to miss the spoke")
    cable.plug()
    wait_rows(hub, spoke, 40_000)
    hub.wait(lambda: hub.snapshot().nodes[0].state == "up", what="the spoke to be back", seconds=60)
    stop(spoke, hub)
