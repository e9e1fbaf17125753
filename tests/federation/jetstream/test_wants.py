"""What nodes say that they take: odd words stop nobody, and nobody is missed."""

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from enrgdaq.errors import ServerAwayError
from enrgdaq.federation.jetstream import api, names, readers
from enrgdaq.federation.jetstream.reader_line import ReaderLine
from enrgdaq.federation.jetstream.readers import Readers
from enrgdaq.federation.jetstream.wants import VERSION, HasRead, Want
from enrgdaq.models import FederationNatsConfig
from tests.federation.jetstream.near import LOG, held
from tests.federation.jetstream.test_publishing import NODE, Sender, sender

__all__ = ["sender"]
PREFIX = "test"


def say(sender: Sender, subject: str, data: bytes) -> None:
    async def publish() -> None:
        await sender.near.client.request(f"{sender.names.prefix}.{subject}", data, timeout=5)

    sender.near.call(publish())


def want(node: str = "hub", topic: str = "x") -> Want:
    return Want(version=VERSION, node=node, topics=[topic], largest_bytes=1 << 20)


def test_odd_words_are_named_once_and_left_out(
    sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    say(sender, f"read.{NODE}.stranger", b"{}")
    say(sender, "wanted.stranger", b"\xff")
    say(sender, "wanted.other", msgspec.json.encode(want("another")))
    for number in range(2):
        line = sender.line()
        assert line.take_topics() == ["x"]
        sender.send(line, held(number))
        line.close()
        ReaderLine(sender.connect(), sender.settings, "hub", LOG).close()
    assert sender.numbers() == [1, 2]
    assert sum("left out" in record.message for record in caplog.records) == 3


def test_a_node_of_another_version_is_waited_for_and_named(sender: Sender) -> None:
    word = {"version": VERSION + 1, "node": "newer", "themes": {}}
    say(sender, "wanted.newer", msgspec.json.encode(word))
    with pytest.raises(ServerAwayError, match="node newer says in version 2 what it takes"):
        sender.line()


@pytest.mark.parametrize(
    "name", ["", "n" * 41, "n" * 241, "\x1b[31mred", "~~/~~/x", ".hidden", "a.b", "-x", "a\n"]
)
def test_a_stream_of_no_node_is_none_of_ours(name: str) -> None:
    assert names.node_of_stream(PREFIX, f"{PREFIX}-data-{name}") is None


@pytest.mark.parametrize("node", ["a", "a.b-c_d", "n" * 40])
def test_a_stream_tells_its_node(node: str) -> None:
    stream = names.data_stream(PREFIX, node)
    assert names.node_of_stream(PREFIX, stream) == node
    assert names.node_of_stream("other", stream) is None


def test_nothing_is_sent_for_a_node_whose_consumer_is_not_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stream may drop what has no consumer waiting for it."""
    begun: list[Any] = []
    connection: Any = SimpleNamespace(begin=begun.append)
    settings = FederationNatsConfig(servers=["nats://x"], prefix=PREFIX)
    found = Readers(connection, settings, NODE, "stream", LOG)
    state = api.StreamState(bytes=1, first_seq=1, last_seq=9)
    info = api.StreamInfo(created="then", state=state)
    found.take_topics()
    attempts = 0

    async def ensure(*_: object) -> None:
        nonlocal attempts
        attempts += 1
        assert found.take_topics() is None
        if attempts == 2:
            found._hear(message(want(topic="newer")))
            begun.pop().close()
        if attempts < 4:
            raise ServerAwayError("no leader")

    def message(said: Want) -> Any:
        subject = names.wanted_subject(PREFIX, said.node)
        return SimpleNamespace(data=msgspec.json.encode(said), subject=subject)

    monkeypatch.setattr(readers, "ensure_consumer", ensure)
    monkeypatch.setattr(readers, "_RETRY_SECONDS", 0.0)
    found._hear(message(want()))
    asyncio.run(begun.pop())
    assert attempts == 2
    assert found.obstacle
    found._wants["done"] = want("done")
    found._progress["done"] = HasRead(node="done", created="then", number=9)
    asyncio.run(found.remove_read(info))
    assert found.lag == 9
    found._wants.clear()
    asyncio.run(found._meet(found._heard["hub"]))
    assert attempts == 4
    assert found.take_topics() == ["newer"]
    assert not found.obstacle
