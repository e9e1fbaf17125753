"""A hub and its spokes on this host, each a real supervisor, and the lines between them."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from enrgdaq.keys import KeyFolder
from enrgdaq.trials.chaos.backends import Producer
from enrgdaq.trials.chaos.line import HeldPort, Line
from enrgdaq.trials.chaos.nodes.plan import HUB, MIRROR, UPLINK, NodeCast
from enrgdaq.trials.chaos.plan import SUPERVISOR
from enrgdaq.trials.chaos.servers import PrivateServer
from enrgdaq.trials.chaos.system import PRODUCERS, System
from enrgdaq.trials.scratch import ScratchNode

MIRROR_MB: Final = 2  # small, so that it goes round all the time


class Link:
    """The lines of one spoke to its hub: that of its data, and that of how it is."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.lines = [Line(("127.0.0.1", port)) for port in ports]

    def cut(self) -> None:
        """End what there is, and every new connection at once."""
        for line in self.lines:
            line.cut()

    def refuse(self) -> None:
        """End what there is; nobody listens any more."""
        for line in self.lines:
            line.refuse()

    def stall(self) -> None:
        """Carry nothing, and say nothing."""
        for line in self.lines:
            line.stall()

    def forget(self) -> None:
        """Carry nothing, and never again what is under way now."""
        for line in self.lines:
            line.forget()

    def mend(self) -> None:
        """Carry everything again; idempotent."""
        for line in self.lines:
            line.mend()

    def close(self) -> None:
        """End everything; idempotent."""
        for line in self.lines:
            line.close()


class Members:
    """All nodes of a trial. Producers run on the spokes, stores on the hub.

    The last of several spokes has a CSV store of its own, which takes what the others send.
    """

    def __init__(self, folder: Path, nodes: int, stores: Sequence[str], *, seed: int) -> None:
        names = [f"spoke-{number}" for number in range(1, nodes)]
        self.is_kept = False
        self.sources = {
            name: [
                Producer(f"{p.name}-{n}", len(PRODUCERS) * n + p.number, p.lane, p.keeps_all)
                for p in PRODUCERS
            ]
            for n, name in enumerate(names, start=1)
        }
        self.receiver = names[-1] if len(names) > 1 else ""
        every = [producer for name in names for producer in self.sources[name]]
        self.systems = {
            name: System(
                ScratchNode(name, folder),
                stores if name == HUB else ["csv"] if name == self.receiver else [],
                may_mount=False,
                draw=seed,
                producers=every,
            )
            for name in (HUB, *names)
        }
        self.hub = self.systems[HUB]
        for system in self.systems.values():
            system.notes = self.hub.notes
        self.sources = {
            name: [p for p in producers if p in self.hub.producers]
            for name, producers in self.sources.items()
        }
        self.servers: dict[str, PrivateServer] = {}
        """What carries the links, where that is not the nodes themselves."""
        self._folder = folder
        self._ports: list[HeldPort] = []
        self.links = self._make_links(names)
        self._holds = names[seed % len(names)]

    @property
    def spokes(self) -> list[str]:
        """All nodes but the hub."""
        return list(self.sources)

    def _make_links(self, names: Sequence[str]) -> dict[str, Link]:
        self._ports = [HeldPort(), HeldPort()]
        return {name: Link([port.number for port in self._ports]) for name in names}

    def start_servers(self) -> None:
        """Let all servers run; idempotent."""

    def prepare(self) -> None:
        """Make keys, start servers, and write everybody's files."""
        for system in self.systems.values():
            for backend in system.backends.values():
                backend.prepare(system.node.folder / "servers", system.node.environment)
            system.add_stores()
        self._link_hub()
        for name in self.spokes:
            self._link_spoke(name)

    def cast(self, longest_seconds: float) -> NodeCast:
        """Who can be disturbed."""
        jobs: dict[str, tuple[str, ...]] = {HUB: (SUPERVISOR, MIRROR, *self.hub.backends)}
        for name, producers in self.sources.items():
            own = [UPLINK, *([MIRROR] if name == self.receiver else [])]
            stores = self.systems[name].backends
            jobs[name] = (SUPERVISOR, *own, *stores, *(p.name for p in producers))
        return NodeCast(jobs, longest_seconds, tuple(self.servers))

    def keep(self) -> None:
        """Keep all folders, for inspection."""
        self.is_kept = True
        for system in self.systems.values():
            system.node.is_kept = True

    def close(self) -> None:
        """Kill what still runs, end the lines; folders go, unless they are kept."""
        with contextlib.ExitStack() as stack:
            # Last comes first, and all of it comes, whatever fails.
            for port in self._ports:
                stack.callback(port.close)
            for link in self.links.values():
                stack.callback(link.close)
            for system in self.systems.values():
                stack.push(system.node)
                stack.callback(system.close)

    def _link_hub(self) -> None:
        node = self.hub.node
        _keys(node).new(node.id)
        data, states = (f"tcp://127.0.0.1:{port.number}" for port in self._ports)
        links: dict[str, Any] = {
            "is_server": True,
            "server_xsub_url": data,
            "server_xpub_url": states,
            "mirror_size_mb": MIRROR_MB,
        }
        if self.receiver:
            links["send_to"] = [self.systems[self.receiver].node.id]
        self.hub.configure(federation=links)

    def _link_spoke(self, name: str) -> None:
        system, hub = self.systems[name], self.hub.node
        own, theirs = _keys(system.node), _keys(hub)
        theirs.allow(own.new(system.node.id), "node")
        public = theirs.public_file(hub.id)
        (own.path / public.name).write_bytes(public.read_bytes())
        data, states = (f"tcp://127.0.0.1:{line.port}" for line in self.links[name].lines)
        links: dict[str, Any] = {
            "remote_server_xsub_url": data,
            "remote_server_xpub_url": states,
            "when_behind": self.when_behind(name),
        }
        if name == self.receiver:
            links |= {"receive": True, "mirror_size_mb": MIRROR_MB}
        system.configure(federation=links)
        system.add_producers(self.sources[name], self.hub.backends.values())

    def when_behind(self, name: str) -> str:
        """One spoke holds, the others spool."""
        return "hold" if name == self._holds else "spool"


def _keys(node: ScratchNode) -> KeyFolder:
    return KeyFolder(node.configs / "keys")
