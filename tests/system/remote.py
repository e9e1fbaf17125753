"""A node that is commanded by TCP, and those who come."""

import socket
from pathlib import Path

from enrgdaq.control.address import RemoteAddress
from enrgdaq.control.client import ControlClient
from enrgdaq.keys import KeyFolder, Role, SecretKey
from tests.system.node import Node

SOURCE = """\
daq_job_type = "DAQJobTest"
rand_min = 1
rand_max = 10
interval_seconds = 0.01
[store_config.csv]
file_path = "rows.csv"
"""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def listen(node: Node, *, host: str = "127.0.0.1", insecure: bool = False) -> int:
    """Let a node that is not started yet listen; returns the port."""
    port = free_port()
    file = node.configs / "supervisor.toml"
    lines = ["", "[cnc]", "is_server = true", f'server_host = "{host}"', f"server_port = {port}"]
    lines += ["insecure = true"] if insecure else []
    file.write_text(file.read_text() + "\n".join(lines) + "\n")
    return port


def add_jobs(node: Node) -> None:
    """A source and its store."""
    node.add("source", SOURCE)
    node.add("csv", 'daq_job_type = "DAQJobStoreCSV"')


def keys_of(node: Node) -> KeyFolder:
    """The node's keys."""
    return KeyFolder(node.configs / "keys")


def make_key(node: Node, name: str, role: Role) -> SecretKey:
    """A key that may come in, made elsewhere; a running node knows of it."""
    home = KeyFolder(node.folder / "home" / name)
    keys_of(node).allow(home.new(name), role)
    if node.process is not None:
        node.wait(lambda: f"the key '{name}' may come in as {role}" in node.log(), what=name)
    return home.secret(name)


def client(node: Node, port: int, own: SecretKey, *, seconds: float = 5.0) -> ControlClient:
    """A console or command with this key."""
    address = RemoteAddress(
        endpoint=f"tcp://127.0.0.1:{port}", own=own, server=keys_of(node).server(node.id)
    )
    return ControlClient(address, program="test", timeout_seconds=seconds)


def home_of(node: Node, own: SecretKey) -> Path:
    """A folder of configs as somebody has it at home: only keys in it."""
    folder = node.folder / "home-configs"
    keys = KeyFolder(folder / "keys")
    folder.mkdir()
    (node.folder / "home" / own.name).rename(keys.path)
    public = keys_of(node).public_file(node.id)
    (keys.path / public.name).write_bytes(public.read_bytes())
    return folder
