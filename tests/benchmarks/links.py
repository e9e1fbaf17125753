"""Links between nodes against plain TCP: python -m tests.benchmarks.links --help.

Real supervisors on this host. The spoke's producer sends as fast as the link lets it; the hub's
reader looks at every word. The plain copy sends the same number of bytes a call over the same path,
in the same run; libzmq alone, one socket to another, shows what keys cost without the rest of this
system. Paths: loopback; a relay with a rate and a delay; and, for root, a host in a network
namespace behind a line that also loses packets. With --spokes, what many slow spokes cost their
hub.
"""

import argparse
import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import zmq

from tests.conftest import own_node
from tests.system import links, networks
from tests.system.node import Node, wait_until

_SETTLE_SECONDS = 2.0
READER = """\
daq_job_type = "DAQJobBenchmarkReader"
result_file = "{result}"
flush_interval_seconds = 0.05
"""
PRODUCER = """\
daq_job_type = "DAQJobBenchmark"
payload_size = {payload}
lane = "raw"
hand_in = "many"
seconds = 100000
rate = {rate}
[store_config.memory]
"""


@dataclass(frozen=True)
class Ends:
    """Where the hub listens, what runs the spoke, and the relay in between, if there is one."""

    address: str = "127.0.0.1"
    prefix: list[str] = field(default_factory=list)
    line: tuple[float, float] | None = None

    @contextlib.contextmanager
    def entry(self, port: int) -> Iterator[int]:
        """The port that the spoke connects to."""
        if self.line is None:
            yield port
            return
        with _thin_line(port, *self.line) as entry:
            yield entry


Way = Callable[[], contextlib.AbstractContextManager[Ends]]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--payload-bytes", type=int, nargs="+", default=[1_600, 160_000, 1_000_000])
    parser.add_argument("--delay-ms", type=float, default=10.0, help="of the lines, one way")
    parser.add_argument("--mbit", type=float, default=100.0, help="of the lines, Mbit/s")
    parser.add_argument("--loss", type=float, default=0.01, help="share of packets that are lost")
    parser.add_argument("--spokes", type=int, default=0, help="measure so many slow spokes instead")
    options = parser.parse_args()
    if options.spokes:
        measure_spokes(options.spokes, options.seconds)
        return
    print(
        f"{'PATH':<10} {'PAYLOAD':>9} {'KEYS':>5} {'LINK MB/S':>10} {'ZMQ MB/S':>9}"
        f" {'TCP MB/S':>9} {'RATIO':>6}"
    )
    for name, path in _paths(options).items():
        try:
            measure_path(name, path, options.payload_bytes, options.seconds)
        except networks.NoNetworksError as error:
            print(f"{name:<10} not measured: {error}")


def measure_path(name: str, path: Way, payloads: list[int], seconds: float) -> None:
    """Plain TCP, and a link with keys and without, for each size of messages."""
    for payload in payloads:
        plain = plain_rate(payload, seconds, path)
        for has_keys in (True, False):
            rate = link_rate(payload, seconds, path, has_keys=has_keys)
            alone = zmq_rate(payload, seconds, path, has_keys=has_keys)
            print(
                f"{name:<10} {payload:>9} {'CURVE' if has_keys else 'none':>5}"
                f" {rate / 1e6:>10.1f} {alone / 1e6:>9.1f} {plain / 1e6:>9.1f}"
                f" {rate / plain:>6.2f}",
                flush=True,
            )


def link_rate(payload: int, seconds: float, path: Way, *, has_keys: bool) -> float:
    """Bytes of payload a second through a link."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        hub, spoke = (stack.enter_context(own_node_in(folder, name)) for name in ("hub", "spoke"))
        ends = stack.enter_context(path())
        port = links.make_hub(hub, host=ends.address, insecure=not has_keys)
        entry = stack.enter_context(ends.entry(port))
        spoke.prefix = ends.prefix
        hub.add("reader", READER.format(result=folder / "result.json"))
        links.link(spoke, hub, entry, host=ends.address, insecure=not has_keys, when_behind="hold")
        spoke.add("producer", PRODUCER.format(payload=payload, rate=0))
        hub.start()
        spoke.start()
        hub.wait(lambda: hub.snapshot().links, what="the link")
        time.sleep(_SETTLE_SECONDS)
        began, first = time.monotonic(), _counted(hub)
        time.sleep(seconds)
        rate = (_counted(hub) - first) / (time.monotonic() - began)
        hub.stop(seconds=60)
        spoke.stop(seconds=60)
        result = json.loads((folder / "result.json").read_text())
        assert result["out_of_order"] == result["corrupted"] == result["duplicated"] == 0, result
        return rate


def measure_spokes(count: int, seconds: float) -> None:
    """What a hub takes with so many spokes that send a row a second each."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        hub = stack.enter_context(own_node_in(folder, "hub"))
        port = links.make_hub(hub)
        hub.add("csv", links.CSV)
        spokes = [stack.enter_context(own_node_in(folder, f"spoke{n}")) for n in range(count)]
        hub.start()
        for spoke in spokes:
            links.link(spoke, hub, port)
            links.add_numbers(spoke, rows=1, per_second=1)
            file = spoke.configs / "supervisor.toml"
            file.write_text("ring_buffer_size_mb = 4\n" + file.read_text())
            spoke.start()
        wait_until(
            lambda: sum(link.state == "up" for link in hub.snapshot().links) == count,
            seconds=60,
            what="all spokes",
        )
        family = hub.family()
        before, began = cpu_seconds(family), time.monotonic()
        time.sleep(seconds)
        share = (cpu_seconds(family) - before) / (time.monotonic() - began)
        shared = sum(process.memory_full_info().pss for process in family)
        rows = sum(job.rate_in for job in hub.snapshot().jobs)
        print(
            f"{count} spokes, {rows:.0f} msg/s: the hub's {len(family)} processes take"
            f" {100 * share:.1f} % of a core and {shared / 1e6:.0f} MB"
        )
        for spoke in spokes:
            spoke.stop()
        hub.stop()


def plain_rate(payload: int, seconds: float, path: Way) -> float:
    """Bytes a second that one TCP connection carries, sender and receiver in two processes."""
    with contextlib.ExitStack() as stack:
        ends = stack.enter_context(path())
        listening = stack.enter_context(socket.create_server((ends.address, 0)))
        entry = stack.enter_context(ends.entry(listening.getsockname()[1]))
        sender = subprocess.Popen(
            [*ends.prefix, sys.executable, "-c", _SENDER, ends.address, str(entry), str(payload)],
            stderr=subprocess.DEVNULL,
        )
        stack.callback(sender.wait)
        stack.callback(sender.kill)
        near, _ = listening.accept()
        stack.callback(near.close)
        space = bytearray(1 << 20)
        until = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < until:
            near.recv_into(space)
        total, began = 0, time.monotonic()
        while time.monotonic() < began + seconds:
            total += near.recv_into(space)
        return total / (time.monotonic() - began)


_SENDER = """
import socket, sys
line = socket.create_connection((sys.argv[1], int(sys.argv[2])))
data = bytes(int(sys.argv[3]))
while True:
    line.sendall(data)
"""


def zmq_rate(payload: int, seconds: float, path: Way, *, has_keys: bool) -> float:
    """Bytes a second that libzmq carries, sender and receiver in two processes."""
    with contextlib.ExitStack() as stack:
        ends = stack.enter_context(path())
        receiver = stack.enter_context(stack.enter_context(zmq.Context()).socket(zmq.PULL))
        keys = []
        if has_keys:
            public, receiver.curve_secretkey = zmq.curve_keypair()
            receiver.curve_server = True
            keys = [key.decode() for key in (public, *zmq.curve_keypair())]
        port = receiver.bind_to_random_port(f"tcp://{ends.address}")
        entry = stack.enter_context(ends.entry(port))
        command = [*ends.prefix, sys.executable, "-c", _ZMQ_SENDER, ends.address, str(entry)]
        sender = subprocess.Popen([*command, str(payload), *keys])
        stack.callback(sender.wait)
        stack.callback(sender.kill)
        until = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < until:
            receiver.recv(copy=False)
        total, began = 0, time.monotonic()
        while time.monotonic() < began + seconds:
            total += len(receiver.recv(copy=False))
        return total / (time.monotonic() - began)


_ZMQ_SENDER = """
import sys, zmq
address, port, size, *keys = sys.argv[1:]
socket = zmq.Context().socket(zmq.PUSH)
if keys:
    socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = map(str.encode, keys)
socket.connect(f"tcp://{address}:{port}")
data = bytes(int(size))
while True:
    socket.send(data, copy=False)
"""


@contextlib.contextmanager
def own_node_in(folder: Path, name: str) -> Iterator[Node]:
    """A node in a folder of its own."""
    (folder / name).mkdir()
    with own_node(folder / name) as made:
        yield made


def _paths(options: argparse.Namespace) -> dict[str, Way]:
    @contextlib.contextmanager
    def loopback() -> Iterator[Ends]:
        yield Ends()

    @contextlib.contextmanager
    def thin_line() -> Iterator[Ends]:
        yield Ends(line=(options.delay_ms, options.mbit))

    @contextlib.contextmanager
    def lossy_line() -> Iterator[Ends]:
        with networks.host_behind_lossy_line(options.delay_ms, options.mbit, options.loss) as far:
            yield Ends(far.near_address, far.prefix)

    return {"loopback": loopback, "thin line": thin_line, "lossy line": lossy_line}


@contextlib.contextmanager
def _thin_line(port: int, delay_ms: float, mbit: float) -> Iterator[int]:
    command = [sys.executable, str(Path(__file__).with_name("thin_line.py"))]
    figures = [str(port), str(delay_ms), str(mbit)]
    with subprocess.Popen([*command, *figures], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


def _counted(hub: Node) -> int:
    """Bytes that came through, as of a report that has just come."""
    seen = _bytes(hub)
    wait_until(lambda: _bytes(hub) != seen, what="data", seconds=60)
    return _bytes(hub)


def _bytes(hub: Node) -> int:
    return sum(link.bytes for link in hub.snapshot().links)


def cpu_seconds(family: list[psutil.Process]) -> float:
    """Processor time of these processes, s."""
    return sum(sum(process.cpu_times()[:2]) for process in family)


if __name__ == "__main__":
    main()
