"""Status and commands by TCP: roles, audit, revocation, and what is refused at the start."""

import json
from collections.abc import Iterator

import pytest

from enrgdaq.control.address import RemoteAddress
from enrgdaq.control.client import ControlClient
from enrgdaq.errors import ControlError, NotRunningError
from tests.system import remote
from tests.system.node import Node


@pytest.fixture
def hub(node: Node) -> Iterator[tuple[Node, int]]:
    """A node that listens, with a key of its own."""
    port = remote.listen(node)
    remote.keys_of(node).new(node.id)
    remote.add_jobs(node)
    node.start()
    yield node, port
    assert node.stop() == 0


def test_roles_and_audit(hub: tuple[Node, int]) -> None:
    node, port = hub
    alice = remote.make_key(node, "alice", "operator")
    wall = remote.make_key(node, "wall", "observer")
    spoke = remote.make_key(node, "spoke", "node")
    with remote.client(node, port, alice) as operator:
        operator.restart("source")
        node.wait_job("source", lambda job: job.restarts == 1)
    with remote.client(node, port, wall) as observer:
        assert observer.snapshot().supervisor.id == node.id
        assert observer.logs().lines
        for forbidden in (
            lambda: observer.restart("source"),
            lambda: observer.check("source", remote.SOURCE),
            observer.shutdown,
        ):
            with pytest.raises(ControlError, match="key wall is observer; only an operator"):
                forbidden()
    with (
        remote.client(node, port, spoke) as link,
        pytest.raises(ControlError, match="does not let the key 'spoke' in"),
    ):
        link.snapshot()
    events = {event.what: event for event in node.client.events().events}
    assert events["restart"].user == "key alice"
    assert events["restart"].address == "127.0.0.1"
    assert events["refused restart"].user == "key wall"
    assert "refused shutdown" in events
    assert "for the role node" in node.log()
    status = node.snapshot().supervisor.remote
    assert status is not None
    assert status.refused >= 1
    assert not status.is_insecure
    assert node.job("source").restarts == 1


def test_the_commands_work_from_home(hub: tuple[Node, int]) -> None:
    node, port = hub
    alice = remote.make_key(node, "alice", "operator")
    home = remote.home_of(node, alice)
    where = ["--attach", f"tcp://127.0.0.1:{port}", "--daq-job-config-path", str(home)]

    def run(*words: str) -> str:
        done = node.run(*words, *where)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert json.loads(run("status", "--json"))["supervisor"]["id"] == node.id
    assert "source is stopped" in run("stop", "source")
    assert "source is running" in run("start", "source")
    assert "by key alice" in run("events")
    assert run("logs")
    new = node.folder / "second.toml"
    new.write_text(remote.SOURCE.replace("rows.csv", "second.csv"))
    assert "second is running" in run("add", str(new))
    refused = node.run("status", *where, "--key", "bob")
    assert refused.returncode == 2
    assert "enrgdaq keys new bob" in refused.stderr


def test_a_revoked_key_commands_no_more(hub: tuple[Node, int]) -> None:
    node, port = hub
    alice = remote.make_key(node, "alice", "operator")
    bob = remote.make_key(node, "bob", "observer")
    with (
        remote.client(node, port, alice, seconds=1.0) as operator,
        remote.client(node, port, bob, seconds=1.0) as observer,
    ):
        assert operator.snapshot()
        assert observer.snapshot()
        remote.keys_of(node).revoke("alice")

        def is_refused() -> bool:
            try:
                operator.snapshot()
            except ControlError as error:
                return "does not let the key 'alice' in" in str(error)
            return False

        node.wait(is_refused, what="alice to be turned out", seconds=3.0)
        assert "'alice' is operator no longer" in node.log()
        assert "'alice' was revoked" in node.log()
        node.wait(observer.snapshot, what="bob to be back")


def test_a_wrong_address_or_server_is_explained(hub: tuple[Node, int]) -> None:
    node, port = hub
    alice = remote.make_key(node, "alice", "operator")
    other = remote.keys_of(node).server(str(node.folder / "home/alice/alice.public.toml"))
    wrong = RemoteAddress(endpoint=f"tcp://127.0.0.1:{port}", own=alice, server=other)
    with (
        ControlClient(wrong, program="test") as client,
        pytest.raises(ControlError, match="is not the server that has the key 'alice'"),
    ):
        client.snapshot()
    nobody = RemoteAddress(endpoint="tcp://127.0.0.1:1", own=alice, server=other)
    with (
        ControlClient(nobody, program="test") as client,
        pytest.raises(NotRunningError, match="nobody listens at"),
    ):
        client.snapshot()


def test_beyond_loopback_without_a_key_nothing_starts(node: Node) -> None:
    port = remote.listen(node, host="0.0.0.0")  # noqa: S104 - it is refused
    remote.add_jobs(node)
    for command in (["check"], ["run", "--quiet"]):
        done = node.run(*command)
        assert done.returncode == 2
        assert "cnc.server_host: [cnc] listens on 0.0.0.0" in done.stderr
        assert f"enrgdaq keys new {node.id}" in done.stderr
        assert "insecure = true" in done.stderr
    assert not node.out.exists()
    assert port


def test_on_loopback_without_a_key_the_port_stays_closed(node: Node) -> None:
    port = remote.listen(node)
    remote.add_jobs(node)
    node.start()
    assert f"its port {port} stays closed" in node.log()
    assert node.snapshot().supervisor.remote is None
    open_to_all = RemoteAddress(endpoint=f"tcp://127.0.0.1:{port}", own=None, server=None)
    with ControlClient(open_to_all, program="test") as client, pytest.raises(NotRunningError):
        client.snapshot()
    assert node.stop() == 0


def test_insecure_is_said_everywhere(node: Node) -> None:
    port = remote.listen(node, insecure=True)
    remote.add_jobs(node)
    node.start()
    where = ["--attach", f"tcp://127.0.0.1:{port}", "--insecure"]
    assert "INSECURE" in node.run("status", *where).stdout
    assert node.run("restart", "source", *where).returncode == 0
    assert "is insecure: whoever reaches 127.0.0.1 commands this node" in node.log()
    restart = next(e for e in node.client.events().events if e.what == "restart")
    assert (restart.user, restart.address) == ("somebody", "127.0.0.1")
    assert node.stop() == 0


def test_shutdown_from_afar(node: Node) -> None:
    port = remote.listen(node, insecure=True)
    remote.add_jobs(node)
    node.start()
    done = node.run("shutdown", "--attach", f"tcp://127.0.0.1:{port}", "--insecure")
    assert done.stdout.splitlines() == ["stopping acquisition", "stopped"]
    assert node.wait_ended() == 0
