"""Data that travel from node to node: each row once, in order, whatever is killed or cut."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from tests.keys.relay import Relay
from tests.system import links, numbered, remote
from tests.system.node import Node

Make = Callable[[str], Node]


def rows_in(path: Path) -> "np.ndarray":
    """The numbers of the rows in a file that may be growing; none while it is not there."""
    whole = b"".join(path.read_bytes().rpartition(b"\n")[:2]) if path.exists() else b""
    return pacsv.read_csv(pa.BufferReader(whole))["n"].to_numpy() if whole else np.arange(0)


def file_of(hub: Node, spoke: Node) -> Path:
    return hub.out / f"{spoke.id}.csv"


def wait_rows(hub: Node, spoke: Node, rows: int, *, seconds: float = 60.0) -> None:
    path = file_of(hub, spoke)

    def is_there() -> bool:
        return path.exists() and path.read_bytes().count(b"\n") > rows

    spoke.wait(is_there, what=f"{rows} rows of {spoke.id}", seconds=seconds)
    assert np.array_equal(rows_in(path), np.arange(rows))


def wait_more(hub: Node, spoke: Node) -> None:
    """Wait until rows of a spoke, which has more of them, go on."""
    path = file_of(hub, spoke)
    before = len(rows_in(path))
    spoke.wait(lambda: len(rows_in(path)) > before, what="rows to go on")


def stop(*nodes: Node) -> None:
    for node in nodes:
        assert node.stop() == 0, node.log()


def test_rows_of_a_spoke_are_stored_on_the_hub(nodes: Make) -> None:
    hub, spoke = nodes("hub"), nodes("spoke")
    port = links.make_hub(hub)
    hub.add("csv", links.CSV)
    links.link(spoke, hub, port)
    links.add_numbers(spoke, 50)
    hub.start()
    spoke.start(wait_running=False)
    wait_rows(hub, spoke, 5_000)
    stop(spoke, hub)


def test_nothing_is_lost_or_doubled_when_either_end_is_killed(nodes: Make) -> None:
    hub, spoke = nodes("hub"), nodes("spoke")
    port = links.make_hub(hub)
    hub.add("csv", links.CSV)
    links.link(spoke, hub, port)
    links.add_numbers(spoke, per_second=100)
    hub.start()
    spoke.start()
    for node, job in ((hub, "mirror"), (spoke, "uplink"), (hub, "csv"), (hub, "mirror")):
        wait_more(hub, spoke)
        node.kill_job(job)
    wait_more(hub, spoke)
    hub.kill_supervisor()
    hub.start()
    wait_rows(hub, spoke, numbered.end(spoke))
    stop(spoke, hub)


def test_a_spoke_spools_while_the_hub_is_away_and_ends_in_order(nodes: Make) -> None:
    hub, spoke = nodes("hub"), nodes("spoke")
    port = links.make_hub(hub)
    hub.add("csv", links.CSV)
    links.link(spoke, hub, port)
    links.add_numbers(spoke, 100)
    spoke.start(wait_running=False)
    spoke.wait_job("uplink", lambda job: job.spool_bytes > 0)
    spoke.wait_job("numbered", lambda job: job.state == "stopped")
    condition = spoke.job("uplink").condition
    assert "nobody listens there" in condition
    assert spoke.stop() == 0
    spoke.start(wait_running=False)
    hub.start()
    wait_rows(hub, spoke, 10_000)
    spoke.wait_job("uplink", lambda job: not job.spool_bytes and not job.condition)
    stop(spoke, hub)


def test_a_cut_line_goes_on_where_it_stopped(nodes: Make) -> None:
    hub, spoke = nodes("hub"), nodes("spoke")
    port = links.make_hub(hub)
    hub.add("csv", links.CSV)
    links.add_numbers(spoke, per_second=100)
    with Relay(port) as relay:
        links.link(spoke, hub, relay.port)
        hub.start()
        spoke.start()
        for _ in range(3):
            wait_more(hub, spoke)
            relay.cut()
        rows = numbered.end(spoke)
        wait_rows(hub, spoke, rows)
        assert b"square" not in relay.sent
        hub.wait(lambda: hub.snapshot().links[0].messages == rows // 100, what="all in the figures")
        stop(spoke, hub)


def test_only_what_is_wanted_travels_and_what_is_to_stay_stays(nodes: Make) -> None:
    hub, spoke = nodes("hub"), nodes("spoke")
    port = links.make_hub(hub)
    hub.add("csv", links.CSV)
    links.link(spoke, hub, port)
    spoke.add("csv", links.CSV)
    spoke.add("raw", "daq_job_type = 'DAQJobStoreRaw'")
    spoke.add_code("three", THREE)
    spoke.add("three", "daq_job_type = 'DAQJobThree'")
    hub.start()
    spoke.start()
    hub.wait(lambda: len(rows_in(hub.out / "both.csv")) > 10, what="rows on the hub")
    spoke.wait(lambda: len(rows_in(spoke.out / "both.csv")) > 10, what="rows on the spoke")
    spoke.wait(lambda: len(rows_in(spoke.out / "home.csv")) > 10, what="rows that stay")
    spoke.wait((spoke.out / "raw.bin").exists, what="bytes")
    assert not (hub.out / "home.csv").exists()
    assert "store.DAQJobStoreRaw" not in {topic.topic for topic in hub.snapshot().topics}
    assert spoke.client.job_details("uplink").topics_in == ["store.DAQJobStoreCSV"]
    stop(spoke, hub)


def test_a_hub_shows_its_nodes_and_commands_them(nodes: Make) -> None:
    hub, spoke = nodes("hub"), nodes("spoke")
    port = links.make_hub(hub)
    hub.add("csv", links.CSV)
    links.link(spoke, hub, port)
    links.add_numbers(spoke, per_second=20)
    hub.start()
    spoke.start()
    hub.wait(lambda: hub.snapshot().nodes[0].state == "up", what="the node")
    hub.wait(lambda: hub.snapshot().links, what="the link")
    (there,) = hub.snapshot().nodes
    assert there.id == spoke.id
    assert {job.id for job in there.jobs} == {"numbered", "uplink"}
    name = f"{spoke.id}/numbered"
    shown = hub.run("status", "--daq-job-config-path", "configs").stdout
    assert name in shown
    assert f"from {spoke.id}" in shown
    done = hub.run("restart", name, "--daq-job-config-path", "configs")
    assert f"{spoke.id}: restarting numbered" in done.stdout
    spoke.wait_job("numbered", lambda job: job.restarts == 1)
    events = [event for event in spoke.client.events().events if event.what == "restart"]
    assert events[-1].user.endswith("on the hub")
    wrong = hub.run("restart", f"{spoke.id}/nobody", "--daq-job-config-path", "configs")
    assert "no job is called 'nobody'" in wrong.stderr
    assert (
        "no node is called"
        in hub.run("stop", "nowhere/x", "--daq-job-config-path", "configs").stderr
    )
    assert hub.client.job_details(name).job.id == "numbered"
    changed = hub.run("reload", f"{spoke.id}/uplink", "--daq-job-config-path", "configs")
    assert "is made from [federation] of supervisor.toml" in changed.stderr
    hub.wait(
        lambda: (
            any(line.job == name for line in hub.client.logs(job=name).lines)
            or any(line.job.startswith(spoke.id) for line in hub.client.logs().lines)
        ),
        what="log lines of the spoke",
    )
    remote_table = (hub.out / "stats_remote.csv").read_text()
    assert f"{spoke.id},True" in remote_table
    assert ",up," in remote_table
    assert spoke.stop() == 0
    hub.wait(lambda: hub.snapshot().nodes[0].state == "left", what="the goodbye")
    hub.wait(lambda: not hub.snapshot().supervisor.problems, what="no problem")
    stop(hub)


def test_a_revoked_node_is_out_and_what_it_takes_waits(nodes: Make) -> None:
    hub, spoke = nodes("hub"), nodes("spoke")
    port = links.make_hub(hub)
    hub.add("csv", links.CSV)
    links.link(spoke, hub, port)
    links.add_numbers(spoke, 200, per_second=100)
    hub.start()
    spoke.start()
    spoke.wait(lambda: len(rows_in(file_of(hub, spoke))) > 100, what="rows on the hub")
    # Rows may be there before the spoke's supervisor has said how it is, once a second.
    hub.wait(lambda: hub.snapshot().nodes[0].state == "up", what="news of the spoke")
    public = remote.keys_of(spoke).public_file(spoke.id)
    remote.keys_of(hub).revoke(spoke.id)
    spoke.wait_job("uplink", lambda job: "does not let this node's key in" in job.condition)
    hub.wait(lambda: hub.snapshot().nodes[0].state == "left", what="the node to be out")
    hub.wait(lambda: not hub.snapshot().links, what="the hub to expect no link")
    assert not hub.snapshot().supervisor.problems
    remote.keys_of(hub).allow(public, "node")
    wait_rows(hub, spoke, 20_000)
    hub.wait(lambda: hub.snapshot().nodes[0].state == "up", what="the node to be back")
    stop(spoke, hub)


def test_a_hub_without_room_says_that_it_is_there(nodes: Make) -> None:
    hub, spoke = nodes("hub"), nodes("spoke")
    port = links.make_hub(hub, mirror_size_mb=1)
    hub.add("csv", links.CSV)
    links.link(spoke, hub, port, when_behind="hold")
    links.add_numbers(spoke, rows=1_000)
    hub.start()
    spoke.start()
    with hub.frozen_job("csv"):
        hub.wait(lambda: hub.job("mirror").backpressure_seconds > 7, what="a full mirror ring")
        # Longer than a node that says nothing is waited for.
        assert spoke.snapshot().links[0].state == "up"
        assert hub.snapshot().links[0].state == "up"
        assert "no answer" not in spoke.log()
    spoke.wait(lambda: len(rows_in(file_of(hub, spoke))) > 100_000, what="rows to go on")
    wait_rows(hub, spoke, numbered.end(spoke, rows=1_000))
    assert hub.snapshot().links[0].repeated == 0
    stop(spoke, hub)


def test_a_spoke_spools_and_stops_while_its_hub_has_no_room(nodes: Make) -> None:
    hub, spoke = nodes("hub"), nodes("spoke")
    hub.configure(hung_after_seconds=60)
    port = links.make_hub(hub, mirror_size_mb=1)
    hub.add("csv", links.CSV)
    links.link(spoke, hub, port)
    links.add_numbers(spoke, 1_500, rows=1_000, per_second=200)
    hub.start()
    spoke.start()
    with hub.frozen_job("csv"):
        # It is drained in vain meanwhile, and goes on growing.
        spoke.wait_job("uplink", lambda job: job.spool_bytes > 8_000_000, seconds=40)
        assert "no room" in spoke.job("uplink").condition
        assert spoke.stop() == 0
    spoke.start(wait_running=False)
    wait_rows(hub, spoke, 1_500_000)
    stop(spoke, hub)


def test_a_full_hub_hears_what_its_downlink_waits_for(nodes: Make) -> None:
    hub, one, two = nodes("hub"), nodes("one"), nodes("two")
    port = links.make_hub(hub, send_to=[two.id], mirror_size_mb=1, when_behind="hold")
    two.add("csv", links.CSV)
    links.link(one, hub, port, when_behind="hold")
    links.link(two, hub, port, receive=True, mirror_size_mb=1)
    links.add_numbers(one, rows=1_000, per_second=50)
    for node in (hub, two, one):
        node.start()
    one.wait(lambda: len(rows_in(file_of(two, one))) > 10_000, what="rows on the other spoke")
    with hub.frozen_job(f"downlink.{two.id}"):
        hub.wait(lambda: hub.job("mirror").backpressure_seconds > 0.5, what="a full mirror ring")
    before = len(rows_in(file_of(two, one)))
    one.wait(lambda: len(rows_in(file_of(two, one))) > before + 100_000, what="rows to go on")
    wait_rows(two, one, numbered.end(one, rows=1_000))
    stop(one, two, hub)


def test_rows_go_from_spoke_to_spoke_once_and_never_back(nodes: Make) -> None:
    hub, one, two = nodes("hub"), nodes("one"), nodes("two")
    port = links.make_hub(hub, send_to=[two.id])
    hub.add("csv", links.CSV)
    two.add("csv", links.CSV)
    links.link(one, hub, port)
    links.link(two, hub, port, receive=True)
    for node in (one, two, hub):
        links.add_numbers(node, per_second=100)
    for node in (hub, two, one):
        node.start()
    for node, job in ((hub, "mirror"), (two, "mirror"), (hub, f"downlink.{two.id}")):
        wait_more(two, one)
        node.kill_job(job)
    wait_more(two, one)
    for sender in (one, two, hub):
        rows = numbered.end(sender)
        wait_rows(two, sender, rows)
        wait_rows(hub, sender, rows)
    assert {file.name for file in one.out.glob("*.csv")} == {"stats.csv", "stats_remote.csv"}
    stop(one, two, hub)


THREE = """
from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.store.models import (
    DAQJobMessageStoreRaw, DAQJobMessageStoreTabular, DAQJobStoreConfig, DAQJobStoreConfigCSV,
    DAQJobStoreConfigRaw,
)

class DAQJobThree(DAQJob):
    def start(self):
        both = DAQJobStoreConfig(csv=DAQJobStoreConfigCSV(file_path="both.csv"))
        home = DAQJobStoreConfig(
            csv=DAQJobStoreConfigCSV(file_path="home.csv"), target_local_supervisor=True
        )
        raw = DAQJobStoreConfig(raw=DAQJobStoreConfigRaw(file_path="raw.bin"))
        n = 0
        while self.sleep(0.01):
            for config in (both, home):
                self.publish(
                    DAQJobMessageStoreTabular(store_config=config, keys=["n"], data=[[n]])
                )
            self.publish(DAQJobMessageStoreRaw(store_config=raw, data=b"bytes"))
            n += 1
"""
