"""Links over NATS against its plain client: python -m tests.benchmarks.nats_links --help.

Real supervisors and servers of its own on this host. PLAIN is a program of a few lines that makes
the same messages, hands them to the client of NATS and keeps 256 of them, or 8 MB, on their way.
SENT is what the link's stream has stored, nobody reading; TRUSTING is that with
keep_unread = false, so that the disk takes it once, as for PLAIN; THROUGH is what a second node's
reader has looked at, every word, with everything on the same cores. Then the cost of links that
have nothing to do.

A virtual machine may get its memory from the host page by page, ten times as slowly as it writes
into what it has, and give back what is free for some seconds. So a file is written and removed
right before each measurement, and each ends with so many bytes at the latest: all write into
memory that is there.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from enrgdaq.daq.numbered_words import make_words, number_words
from tests.benchmarks.links import PRODUCER, READER, own_node_in
from tests.private_servers import private_nats
from tests.system import links, nats_links
from tests.system.node import Node

_SETTLE_SECONDS = 2.0
_START_SECONDS = 0.5
_PLAIN_WINDOW = 256
_PLAIN_BYTES = 8_000_000
_STREAM_MB = 12_000
_WARM_BYTES = 4 << 30
"""What 1 GB takes in the server, its files, the ring and the copies, with some to spare."""


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement, at most")
    parser.add_argument("--megabytes", type=float, default=1_000.0, help="of each, at most")
    parser.add_argument("--payload-bytes", type=int, nargs="+", default=[1_600, 160_000, 1_000_000])
    parser.add_argument("--servers", type=int, choices=(1, 3), default=1)
    parser.add_argument("--idle-seconds", type=float, default=20.0)
    parser.add_argument("--plain", nargs=2, metavar=("URL", "BYTES"), help="internal")
    options = parser.parse_args()
    length = Length(options.seconds, options.megabytes)
    if options.plain:
        url, size = options.plain
        print(asyncio.run(_publish_plainly(url, int(size), length, options.servers)))
        return
    print(
        f"{'PAYLOAD':>9} {'PLAIN MB/S':>11} {'SENT MB/S':>10} {'RATIO':>6} {'TRUSTING MB/S':>14}"
        f" {'RATIO':>6} {'THROUGH MB/S':>13}"
    )
    for payload in options.payload_bytes:
        of_payload = payload, length, options.servers
        plain = plain_rate(*of_payload)
        sent = link_rate(*of_payload, has_reader=False)
        trusting = link_rate(*of_payload, has_reader=False, keep_unread=False)
        through = link_rate(*of_payload, has_reader=True)
        print(
            f"{payload:>9} {plain / 1e6:>11.1f} {sent / 1e6:>10.1f} {sent / plain:>6.2f}"
            f" {trusting / 1e6:>14.1f} {trusting / plain:>6.2f} {through / 1e6:>13.1f}",
            flush=True,
        )
    if options.idle_seconds:
        measure_idle(options.idle_seconds, options.servers)


class Length(NamedTuple):
    """A measurement ends with so many seconds or megabytes, whichever come first."""

    seconds: float
    megabytes: float

    def is_reached(self, seconds: float, size: int) -> bool:
        """Whether a measurement is long enough."""
        return seconds >= self.seconds or size >= self.megabytes * 1e6


def plain_rate(payload: int, length: Length, servers: int) -> float:
    """Bytes a second that the client of NATS publishes, in a process of its own."""
    with _servers(servers) as (cluster, folder):
        command = [sys.executable, "-m", "tests.benchmarks.nats_links", "--servers", str(servers)]
        command += ["--seconds", str(length.seconds), "--megabytes", str(length.megabytes)]
        command += ["--plain", cluster[0], str(payload)]
        _warm_memory(folder)
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return float(done.stdout)


def link_rate(
    payload: int, length: Length, servers: int, *, has_reader: bool, keep_unread: bool = True
) -> float:
    """Bytes of payload a second that a link's stream stores, or that come out at its other end."""
    with _servers(servers) as (urls, folder), contextlib.ExitStack() as stack:
        hub, spoke = (stack.enter_context(own_node_in(folder, name)) for name in ("hub", "spoke"))
        _link(hub, spoke, urls, servers, keep_unread=keep_unread)
        hub.add("reader", READER.format(result=folder / "result.json"))
        spoke.add("producer", PRODUCER.format(payload=payload, rate=0))
        hub.start()
        if not has_reader:
            # It has said what it takes, and its consumer is there.
            time.sleep(_SETTLE_SECONDS)
            hub.stop()
        _warm_memory(folder)
        spoke.start()
        counting = hub if has_reader else spoke
        counting.wait(lambda: _bytes(counting) > 0, what="the link", seconds=60)
        rate = _rate(counting, length)
        spoke.stop(seconds=60)
        if has_reader:
            hub.stop(seconds=60)
            result = json.loads((folder / "result.json").read_text())
            assert result["out_of_order"] == result["corrupted"] == result["duplicated"] == 0
        return rate


def _warm_memory(folder: Path) -> None:
    # A file on the same disk: the page cache takes its memory from elsewhere than programs do.
    path, block = folder / "warm", bytes(1 << 20)
    with path.open("wb", buffering=0) as file:
        for _ in range(_WARM_BYTES >> 20):
            file.write(block)
    path.unlink()


def _rate(node: Node, length: Length) -> float:
    time.sleep(_START_SECONDS)
    first, began = _counted(node), time.monotonic()
    while True:
        size, seconds = _counted(node) - first, time.monotonic() - began
        if length.is_reached(seconds, size):
            return size / seconds


def measure_idle(seconds: float, servers: int) -> None:
    """What a sender and a receiver take while nothing is sent."""
    with _servers(servers) as (urls, folder), contextlib.ExitStack() as stack:
        hub, spoke = (stack.enter_context(own_node_in(folder, name)) for name in ("hub", "spoke"))
        _link(hub, spoke, urls, servers)
        hub.add("csv", links.CSV)
        links.add_numbers(spoke, 1)
        hub.start()
        spoke.start(wait_running=False)
        hub.wait(lambda: _bytes(hub) > 0, what="the link")
        time.sleep(2 * _SETTLE_SECONDS)
        jobs = {
            f"{name} of the {place}": psutil.Process(node.job(name).pid)
            for place, node, name in (("sender", spoke, "uplink"), ("receiver", hub, "mirror"))
        }
        before = {name: sum(process.cpu_times()[:2]) for name, process in jobs.items()}
        time.sleep(seconds)
        for name, process in jobs.items():
            share = (sum(process.cpu_times()[:2]) - before[name]) / seconds
            print(f"idle: {name} takes {100 * share:.2f} % of a core")
        spoke.stop()
        hub.stop()


async def _publish_plainly(url: str, size: int, length: Length, replicas: int) -> float:
    import nats
    from nats.js.api import StreamConfig

    client = await nats.connect(url)
    js = client.jetstream(publish_async_max_pending=_PLAIN_WINDOW)
    await js.add_stream(
        StreamConfig(
            name="plain",
            subjects=["plain.*"],
            num_replicas=replicas,
            max_bytes=_STREAM_MB << 20,
        )
    )
    words = make_words(size)
    window = max(1, min(_PLAIN_WINDOW, _PLAIN_BYTES // size))
    pending: list[asyncio.Future[object]] = []
    numbers = itertools.count()
    sent, began = 0, time.monotonic()
    started = began + _START_SECONDS
    while not length.is_reached((now := time.monotonic()) - began, sent):
        if now < started:
            sent, began = 0, now
        number_words(words, next(numbers))
        pending.append(await js.publish_async("plain.all", words.tobytes(), wait_stall=10.0))
        if len(pending) >= window:
            half = len(pending) // 2
            await asyncio.gather(*pending[: half + 1])
            del pending[: half + 1]
        sent += size
    await asyncio.gather(*pending)
    rate = sent / (time.monotonic() - began)
    await client.close()
    return rate


@contextlib.contextmanager
def _servers(count: int) -> Iterator[tuple[list[str], Path]]:
    with tempfile.TemporaryDirectory() as name, private_nats(Path(name), count) as cluster:
        yield cluster.urls, Path(name)


def _link(
    hub: Node, spoke: Node, urls: list[str], servers: int, *, keep_unread: bool = True
) -> None:
    prefix = nats_links.new_prefix()
    stream = {"replicas": servers, "max_size_mb": _STREAM_MB}
    nats_links.link(hub, urls, prefix, send=False, receive=True, nats=stream)
    sender = {**stream, "keep_unread": keep_unread}
    nats_links.link(spoke, urls, prefix, nats=sender, when_behind="hold")


def _counted(node: Node) -> int:
    """Bytes that crossed, as of a report that has just come."""
    seen = _bytes(node)
    node.wait(lambda: _bytes(node) != seen, what="data", seconds=60)
    return _bytes(node)


def _bytes(node: Node) -> int:
    return sum(link.bytes for link in node.snapshot().links)


if __name__ == "__main__":
    main()
