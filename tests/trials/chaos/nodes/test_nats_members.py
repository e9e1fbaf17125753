"""What nodes of a trial over NATS are told."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from enrgdaq.models import FederationNatsConfig
from enrgdaq.trials.chaos.nodes.nats_members import NatsMembers
from enrgdaq.trials.chaos.nodes.plan import HUB


@pytest.mark.parametrize("is_kept", [False, True])
def test_servers_leave_nothing_behind_unless_it_is_kept(tmp_path: Path, *, is_kept: bool) -> None:
    members = NatsMembers(tmp_path, 2, ["csv"], seed=1)
    for server in members.servers.values():
        server.prepare()
    assert list(tmp_path.rglob("nats.conf"))
    if is_kept:
        members.keep()
    members.close()
    assert bool(list(tmp_path.rglob("nats.conf"))) is is_kept


def test_streams_are_so_small_that_what_was_read_is_removed() -> None:
    members: Any = object.__new__(NatsMembers)
    members.links = {"spoke-1": SimpleNamespace(lines=[SimpleNamespace(port=4222)])}
    members.systems = {HUB: SimpleNamespace(node=SimpleNamespace(id="hub"))}
    members.receiver = ""
    said = members._federation("spoke-1", send=True)["nats"]
    found = msgspec.convert(said, FederationNatsConfig)
    assert found.remove_read
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(said | {"max_size_mb": found.max_size_mb - 1}, FederationNatsConfig)
