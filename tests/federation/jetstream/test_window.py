"""What is on its way into a stream at most, and how a server that ends there is noticed."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from enrgdaq.errors import ServerAwayError
from enrgdaq.federation.jetstream import api, names
from enrgdaq.federation.jetstream.connection import Connection
from enrgdaq.federation.jetstream.login import Login
from enrgdaq.federation.jetstream.publishing import WINDOW_BYTES, Published, Publisher
from enrgdaq.federation.jetstream.streams import data_config, ensure_stream
from enrgdaq.models import FederationNatsConfig
from enrgdaq.trials.chaos.nats_servers import PrivateNats
from tests.private_servers import private_nats

MOST_MESSAGES = 64
LARGEST_MB = 16


@dataclass
class Stream:
    """A stream on a server of its own, and who publishes into it."""

    server: PrivateNats
    connection: Connection
    publisher: Publisher
    sent: list[int] = field(default_factory=list)

    def publish(self, size: int, *, give_up: bool = False) -> None:
        """Put a message on its way; ``give_up``: do not wait for room."""
        number = len(self.sent)
        subject = names.data_subject("window", "node", "a" * 32)
        self.publisher.publish(Published(subject, bytes(size), str(number), ""), lambda: give_up)
        self.sent.append(size)

    def publish_until_full(self, size: int) -> None:
        """As many as there is room for."""
        with pytest.raises(ServerAwayError, match="slower than"):
            while True:
                self.publish(size, give_up=True)


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[Stream]:
    with private_nats(tmp_path, settings=[f"max_payload: {LARGEST_MB}MB"]) as cluster:
        (server,) = cluster.servers
        settings = FederationNatsConfig(servers=cluster.urls, prefix="window", replicas=1)
        config = data_config(settings, "node")
        connection = Connection(Login(cluster.urls), name="test", timeout_seconds=5.0)
        info = connection.call(ensure_stream(connection, config))
        publisher = Publisher(connection, config.name, info.state.last_seq)
        connection.call(publisher.start())
        yield Stream(server, connection, publisher)
        connection.close()


def stored(stream: Stream) -> int:
    request = f"STREAM.INFO.{stream.publisher.stream}"
    found = stream.connection.call(stream.connection.ask(api.StreamInfo, request))
    return found.state.messages


def test_so_much_is_on_its_way_at_most_and_then_goes_on(stream: Stream) -> None:
    stream.server.freeze()
    stream.publish_until_full(1_000_000)
    assert sum(stream.sent) == WINDOW_BYTES // 1_000_000 * 1_000_000
    stream.server.thaw()
    stream.publish(1_000)
    stream.publisher.finish(bool)
    stream.server.freeze()
    of_before = len(stream.sent)
    stream.publish_until_full(1_000)
    assert len(stream.sent) - of_before == MOST_MESSAGES
    stream.server.thaw()
    stream.publisher.finish(bool)
    assert stored(stream) == len(stream.sent)


def test_what_is_larger_than_the_window_goes_alone(stream: Stream) -> None:
    stream.server.freeze()
    stream.publish(WINDOW_BYTES + 1)
    with pytest.raises(ServerAwayError, match="slower than"):
        stream.publish(1, give_up=True)
    stream.server.thaw()
    stream.publisher.finish(bool)
    assert stored(stream) == 1


def test_a_server_that_dies_is_not_waited_for(stream: Stream) -> None:
    stream.server.freeze()
    stream.publish(1_000)
    stream.server.kill()
    began = time.monotonic()
    with pytest.raises(ServerAwayError):
        stream.publisher.finish(bool)
    assert time.monotonic() - began < stream.connection.timeout / 2


def test_what_the_client_does_not_take_is_said(stream: Stream) -> None:
    stream.publish((LARGEST_MB << 20) + 1)
    with pytest.raises(ServerAwayError, match="payload"):
        stream.publisher.finish(bool)
