"""Data that travel from node to node over NATS: each row once, in order, whatever fails."""

import asyncio
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nats
import nkeys
import pytest
from nats.js.api import StreamConfig
from nats.js.errors import NotFoundError

from enrgdaq.trials.chaos.line import Line
from tests.files_below import files_below
from tests.private_servers import private_nats
from tests.servers import NatsNames
from tests.system import links, nats_links, numbered
from tests.system.node import Node
from tests.system.test_links import THREE, file_of, rows_in, stop, wait_rows

Make = Callable[[str], Node]


def test_rows_reach_a_node_that_takes_them(nodes: Make, nats_names: NatsNames) -> None:
    hub, spoke = nodes("hub"), nodes("spoke")
    urls, prefix = [nats_names.url], nats_names.prefix
    nats_links.link(hub, urls, prefix, send=False, receive=True)
    nats_links.link(spoke, urls, prefix)
    hub.add("csv", links.CSV)
    links.add_numbers(spoke, 50)
    spoke.start(wait_running=False)
    spoke.wait_job("uplink", lambda job: "no node takes anything yet" in job.condition)
    hub.start()
    wait_rows(hub, spoke, 5_000)
    hub.wait(
        lambda: [link.state for link in hub.snapshot().links] == ["up"], what="the link to be shown"
    )
    (link,) = hub.snapshot().links
    assert (link.peer, link.repeated, link.redelivered) == (spoke.id, 0, 0)
    assert link.stream == f"{prefix}-data-{spoke.id}"
    hub.wait(lambda: hub.snapshot().links[0].lag == 0, what="nothing to be left")
    assert link.stream in hub.run("status", "--daq-job-config-path", "configs").stdout
    # Rows may be there before the spoke's link has said how it is, once a second.
    spoke.wait(lambda: spoke.snapshot().links[0].state == "up", what="the spoke's end to be shown")
    (link,) = spoke.snapshot().links
    assert link.peer == link.stream
    stop(spoke, hub)


def test_rows_go_both_ways_and_never_back(nodes: Make, tmp_path: Path) -> None:
    one, two = nodes("one"), nodes("two")
    with private_nats(tmp_path) as servers:
        prefix = nats_links.new_prefix()
        for node in (one, two):
            nats_links.link(node, servers.urls, prefix, receive=True)
            node.add("csv", links.CSV)
            links.add_numbers(node, 60, per_second=100)
        one.add_code("three", THREE)
        one.add("three", "daq_job_type = 'DAQJobThree'")
        for node in (one, two):
            node.start(wait_running=False)
        for taker in (one, two):
            for sender in (one, two):
                wait_rows(taker, sender, 6_000)
        two.wait(lambda: len(rows_in(two.out / "both.csv")) > 10, what="rows for both")
        assert not (two.out / "home.csv").exists()
        assert one.client.job_details("uplink").topics_in == ["store.DAQJobStoreCSV"]
        stop(one, two)


def test_servers_remove_what_all_have_read_from_a_stream_of_interest(
    nodes: Make, nats_names: NatsNames
) -> None:
    hub, spoke = nodes("hub"), nodes("spoke")
    urls, prefix, stream = [nats_names.url], nats_names.prefix, {"retention": "interest"}
    nats_links.link(hub, urls, prefix, send=False, receive=True, nats=stream)
    nats_links.link(spoke, urls, prefix, nats=stream)
    hub.add("csv", links.CSV)
    links.add_numbers(spoke, 60, per_second=20)
    hub.start(wait_running=False)
    spoke.start()
    for rows, node, job in ((0, hub, "mirror"), (1_500, spoke, "uplink"), (3_000, hub, "mirror")):
        spoke.wait(lambda: len(rows_in(file_of(hub, spoke))) > rows, what="rows to go on")  # noqa: B023
        node.kill_job(job)
    wait_rows(hub, spoke, 6_000)

    def messages() -> int:
        name = f"{prefix}-data-{spoke.id}"
        info = asyncio.run(_on(nats_names.url, lambda js: js.stream_info(name)))
        assert info.config.retention == "interest"
        return int(info.state.messages)

    hub.wait(lambda: not messages(), what="the stream to be empty")
    stop(spoke, hub)


def test_nothing_is_lost_or_doubled_when_ends_servers_and_lines_fail(
    nodes: Make, tmp_path: Path
) -> None:
    hub, spoke = nodes("hub"), nodes("spoke")
    with private_nats(tmp_path, 3) as cluster:
        lines = [Line(("127.0.0.1", server.port)) for server in cluster.servers]
        prefix = nats_links.new_prefix()
        through = [f"nats://127.0.0.1:{line.port}" for line in lines]
        stream = {"replicas": 3}
        nats_links.link(hub, cluster.urls, prefix, send=False, receive=True, nats=stream)
        nats_links.link(spoke, through, prefix, nats=stream)
        hub.add("csv", links.CSV)
        # Tables that no message of the server is large enough for.
        links.add_numbers(spoke, rows=100_000, per_second=6)
        hub.start()
        spoke.start()

        def goes_on() -> None:
            path = file_of(hub, spoke)
            before = path.stat().st_size if path.exists() else 0
            spoke.wait(
                lambda: path.exists() and path.stat().st_size > before,
                what="rows to go on",
                seconds=40,
            )

        goes_on()
        for node, job in ((hub, "mirror"), (spoke, "uplink")):
            node.kill_job(job)
            goes_on()
        name = hub.wait(lambda: hub.snapshot().links[0].leader, what="the leader to be known")
        leader = next(server for server in cluster.servers if server.name == name)
        leader.kill()
        goes_on()
        for line in lines:
            line.cut()
        leader.launch_again()
        spoke.wait(lambda: spoke.snapshot().links[0].state == "away", what="the cut to be seen")
        for line in lines:
            line.mend()
        wait_rows(hub, spoke, numbered.end(spoke, rows=100_000))
        stop(spoke, hub)
        for line in lines:
            line.close()


def test_a_full_stream_takes_no_more_and_loses_nothing(nodes: Make, tmp_path: Path) -> None:
    hub, spoke = nodes("hub"), nodes("spoke")
    with private_nats(tmp_path) as servers:
        prefix = nats_links.new_prefix()
        stream = {"max_size_mb": 16}
        nats_links.link(hub, servers.urls, prefix, send=False, receive=True, nats=stream)
        nats_links.link(spoke, servers.urls, prefix, nats=stream)
        hub.add("csv", links.CSV)
        links.add_numbers(spoke, 20, rows=100_000)
        hub.start()
        hub.wait(lambda: hub.job("mirror").condition == "", what="the servers")
        asyncio.run(_until_said(servers.urls[0], prefix))
        assert hub.stop() == 0
        spoke.start(wait_running=False)
        spoke.wait_job("uplink", lambda job: "is full" in job.condition and job.spool_bytes > 0)
        hub.start()
        wait_rows(hub, spoke, 2_000_000)
        spoke.wait_job("uplink", lambda job: not job.spool_bytes and not job.condition)
        stop(spoke, hub)


def test_what_servers_lose_before_it_is_read_is_sent_again(
    nodes: Make, nats_names: NatsNames
) -> None:
    hub, spoke = nodes("hub"), nodes("spoke")
    urls, prefix = [nats_names.url], nats_names.prefix
    nats_links.link(hub, urls, prefix, send=False, receive=True)
    nats_links.link(spoke, urls, prefix)
    hub.add("csv", links.CSV)
    links.add_numbers(spoke, 60, per_second=20)
    hub.start()
    spoke.start()
    hub.wait(lambda: len(rows_in(file_of(hub, spoke))) > 1_000, what="rows to go on")
    assert hub.stop() == 0
    stream = f"{prefix}-data-{spoke.id}"
    for rows in (3_000, 6_000):
        spoke.wait(
            lambda: spoke.job("numbered").messages_out >= rows // 100,  # noqa: B023
            what="rows to be sent",
        )
        # It is made anew while rows go on, as soon as the sender has noticed.
        spoke.wait(lambda: _has_deleted(urls[0], stream), what="the stream to be there")
    hub.start()
    wait_rows(hub, spoke, 6_000)
    spoke.wait(lambda: not files_below(spoke.out, "*.unread"), what="nothing to be kept")
    stop(spoke, hub)


def test_a_stream_that_is_another_is_named_and_left_alone(
    nodes: Make, nats_names: NatsNames
) -> None:
    spoke = nodes("spoke")
    name = f"{nats_names.prefix}-data-{spoke.id}"
    config = StreamConfig(
        name=name, subjects=[f"{nats_names.prefix}.data.{spoke.id}.*"], max_bytes=99 << 20
    )
    asyncio.run(_on(nats_names.url, lambda js: js.add_stream(config)))
    nats_links.link(spoke, [nats_names.url], nats_names.prefix)
    links.add_numbers(spoke, 5)
    spoke.start(wait_running=False)
    said = f"stream {name} is not as [federation.nats] says: max_size_mb: max_bytes is"
    spoke.wait(lambda: said in spoke.log(), what="the difference to be named")
    found = asyncio.run(_on(nats_names.url, lambda js: js.stream_info(name)))
    assert found.config.max_bytes == 99 << 20
    stop(spoke)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_both_sides_prove_who_they_are(nodes: Make, tmp_path: Path) -> None:
    hub, spoke, stranger = nodes("hub"), nodes("spoke"), nodes("stranger")
    certificate, key = _certificate(tmp_path)
    seeds = {
        node.id: nkeys.encode_seed(bytes([n]) * 32, nkeys.PREFIX_BYTE_USER)
        for n, node in enumerate((hub, spoke, stranger))
    }
    users = [nkeys.from_seed(bytearray(seeds[n.id])).public_key.decode() for n in (hub, spoke)]
    settings = [
        f'tls: {{ cert_file: "{certificate}", key_file: "{key}" }}',
        "authorization: { users: [" + ", ".join(f'{{ nkey: "{user}" }}' for user in users) + "] }",
    ]
    with private_nats(tmp_path, 1, settings) as servers:
        prefix = nats_links.new_prefix()
        login = {"nkey_seed_file": "seed", "tls_ca": str(certificate)}
        for node, receives in ((hub, True), (spoke, False), (stranger, False)):
            file = node.configs / "seed"
            file.touch(mode=0o600)
            file.write_bytes(bytes(seeds[node.id]))
            nats_links.link(
                node, servers.urls, prefix, send=not receives, receive=receives, nats=login
            )
        hub.add("csv", links.CSV)
        for node in (spoke, stranger):
            links.add_numbers(node, 10)
        for node in (hub, spoke, stranger):
            node.start(wait_running=False)
        wait_rows(hub, spoke, 1_000)
        stranger.wait(lambda: "Authorization Violation" in stranger.log(), what="to be refused")
        assert not file_of(hub, stranger).exists()
        for node in (hub, spoke, stranger):
            assert seeds[node.id].decode() not in node.log()
        stop(spoke, stranger, hub)


def _has_deleted(url: str, stream: str) -> bool:
    try:
        return asyncio.run(_on(url, lambda js: js.delete_stream(stream)))
    except NotFoundError:
        return False


async def _on(url: str, work: Callable[[Any], Any]) -> Any:
    client = await nats.connect(url)
    try:
        return await work(client.jetstream())
    finally:
        await client.close()


async def _until_said(url: str, prefix: str) -> None:
    """Wait until a node has said what it takes."""

    async def look(js: Any) -> None:
        for _ in range(100):
            names = [info.config.name for info in await js.streams_info()]
            if f"{prefix}-wanted" in names:
                info = await js.stream_info(f"{prefix}-wanted")
                if info.state.messages:
                    return
            await asyncio.sleep(0.1)
        raise AssertionError("nobody has said what it takes")

    await _on(url, look)


def _certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key
