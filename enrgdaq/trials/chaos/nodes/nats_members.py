"""The same nodes, linked over a cluster of NATS servers of the trial's own."""

import shutil
from collections.abc import Sequence
from typing import Any, Final

from enrgdaq.trials.chaos.nats_servers import NatsCluster
from enrgdaq.trials.chaos.nodes.members import MIRROR_MB, Link, Members
from enrgdaq.trials.chaos.nodes.plan import HUB

_SERVERS: Final = 3
_SERVERS_FOLDER: Final = "nats"
_STREAM_MB: Final = 16  # the smallest that a sender accepts: what was read is removed all the time


class NatsMembers(Members):
    """Each node reaches each server over a line of its own; those of one node fail together."""

    _cluster: NatsCluster

    def start_servers(self) -> None:
        """Let all servers run; idempotent."""
        for server in self._cluster.servers:
            server.thaw()
            server.launch_again()
        for server in self._cluster.servers:
            server.wait_for_answer()

    def prepare(self) -> None:
        """Start servers, and write everybody's files."""
        self._cluster.start()
        super().prepare()

    def close(self) -> None:
        """Kill what still runs, end lines and servers; folders go, unless they are kept."""
        super().close()
        self._cluster.close()
        if not self.is_kept:
            shutil.rmtree(self._folder / _SERVERS_FOLDER, ignore_errors=True)

    def _make_links(self, names: Sequence[str]) -> dict[str, Link]:
        self._cluster = NatsCluster(self._folder / _SERVERS_FOLDER, _SERVERS)
        self.servers = {server.name: server for server in self._cluster.servers}
        ports = [server.port for server in self._cluster.servers]
        return {name: Link(ports) for name in (*names, HUB)}

    def _link_hub(self) -> None:
        links = self._federation(HUB, send=False)
        self.hub.configure(federation={**links, "receive": True, "mirror_size_mb": MIRROR_MB})

    def _link_spoke(self, name: str) -> None:
        links = self._federation(name, send=True)
        links["when_behind"] = self.when_behind(name)
        if name == self.receiver:
            links |= {"receive": True, "mirror_size_mb": MIRROR_MB}
        self.systems[name].configure(federation=links)
        self.systems[name].add_producers(self.sources[name], self.hub.backends.values())

    def _federation(self, name: str, *, send: bool) -> dict[str, Any]:
        urls = [f"nats://127.0.0.1:{line.port}" for line in self.links[name].lines]
        takers = [taker for taker in (HUB, self.receiver) if taker and taker != name]
        settings = {
            "servers": urls,
            "replicas": _SERVERS,
            "send": send,
            "wait_for": [self.systems[taker].node.id for taker in takers],
            "max_size_mb": _STREAM_MB,
        }
        return {"engine": "nats", "nats": settings}
