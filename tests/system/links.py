"""A hub and its spokes, as supervisors of their own on this host."""

import json
import tomllib

from tests.system import numbered, remote
from tests.system.node import Node

CSV = 'daq_job_type = "DAQJobStoreCSV"\nflush_interval_seconds = 0.1\n'


def federate(node: Node, *, section: str = "federation", **settings: object) -> None:
    """Write ``[federation]`` into the file of a node that is not started yet."""
    file = node.configs / "supervisor.toml"
    lines = ["", f"[{section}]"]
    for key, value in settings.items():
        lines.append(f"{key} = {json.dumps(value)}")  # TOML writes such values alike
    file.write_text(file.read_text() + "\n".join(lines) + "\n")


def make_hub(hub: Node, *, host: str = "127.0.0.1", **settings: object) -> int:
    """Let others link to a node; returns the port of the links."""
    port, nodes_port = remote.free_port(), remote.free_port()
    if not settings.get("insecure"):
        remote.keys_of(hub).new(hub.id)
    federate(
        hub,
        is_server=True,
        server_xsub_url=f"tcp://{host}:{port}",
        server_xpub_url=f"tcp://{host}:{nodes_port}",
        **settings,
    )
    return port


def nodes_port_of(hub: Node) -> int:
    """Where the nodes of a hub say how they are."""
    links = tomllib.loads((hub.configs / "supervisor.toml").read_text())["federation"]
    return int(links["server_xpub_url"].rpartition(":")[2])


def link(spoke: Node, hub: Node, port: int, *, host: str = "127.0.0.1", **settings: object) -> None:
    """Link a node to a hub, with the keys that this takes."""
    if not settings.get("insecure"):
        own, theirs = remote.keys_of(spoke), remote.keys_of(hub)
        theirs.allow(own.new(spoke.id), "node")
        public = theirs.public_file(hub.id)
        (own.path / public.name).write_bytes(public.read_bytes())
    federate(
        spoke,
        remote_server_xsub_url=f"tcp://{host}:{port}",
        remote_server_xpub_url=f"tcp://{host}:{nodes_port_of(hub)}",
        **settings,
    )


def add_numbers(
    node: Node, tables: int | None = None, *, rows: int = 100, **settings: object
) -> None:
    """A source of so many tables of numbered rows, or until :func:`numbered.end`."""
    node.add_code("numbered", numbered.PRODUCER)
    lines = ["daq_job_type = 'DAQJobNumbers'", f"rows = {rows}"]
    lines += [f"tables = {tables}"] if tables is not None else []
    lines += [f"progress = '{node.folder / 'progress'}'"]
    lines += [f"{key} = {value}" for key, value in settings.items()]
    lines += ["[store_config.csv]", f"file_path = '{node.id}.csv'"]
    node.add("numbered", "\n".join(lines))
