"""What nodes of a trial over NATS are told."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from enrgdaq.models import FederationNatsConfig
from enrgdaq.trials.chaos.nodes.nats_members import NatsMembers
from enrgdaq.trials.chaos.nodes.plan import HUB


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
