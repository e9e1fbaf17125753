"""The console on another host's supervisor."""

import sys
from collections.abc import Iterator

import pytest
from terminal_driver import OnTerminal

from tests.system import remote
from tests.system.node import Node


@pytest.fixture
def opened() -> Iterator[list[OnTerminal]]:
    consoles: list[OnTerminal] = []
    yield consoles
    for console in consoles:
        console.close()


def test_attach_by_tcp(node: Node, opened: list[OnTerminal]) -> None:
    port = remote.listen(node)
    remote.keys_of(node).new(node.id)
    alice = remote.make_key(node, "alice", "operator")
    home = remote.home_of(node, alice)
    remote.add_jobs(node)
    node.start()
    where = ["--attach", f"tcp://127.0.0.1:{port}", "--daq-job-config-path", str(home)]
    console = OnTerminal(
        [sys.executable, "-m", "tui.cli", *where],
        cwd=node.folder,
        environment={**node.environment, "XDG_STATE_HOME": str(node.folder / "state")},
    )
    opened.append(console)
    node.wait(
        lambda: "key alice on" in " ".join(node.snapshot().supervisor.consoles),
        what="the console to be seen",
    )
    assert b"INSECURE" not in console.output
    console.type(b"d")
    assert console.ended() == 0
    assert f"tcp://127.0.0.1:{port}: detached".encode() in console.output
    assert node.stop() == 0


def test_the_header_says_that_anybody_commands(node: Node, opened: list[OnTerminal]) -> None:
    port = remote.listen(node, insecure=True)
    remote.add_jobs(node)
    node.start()
    console = OnTerminal(
        [
            sys.executable,
            "-m",
            "tui.cli",
            "--attach",
            f"tcp://127.0.0.1:{port}",
            "--insecure",
            "--readonly",
        ],
        cwd=node.folder,
        environment={**node.environment, "XDG_STATE_HOME": str(node.folder / "state")},
    )
    opened.append(console)
    console.until(lambda: b"INSECURE" in console.output)
    console.type(b"d")
    assert console.ended() == 0
    assert node.stop() == 0
