"""Telemetry across the death of a broker."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from enrgdaq.transport.broker import publish_endpoint, subscribe_endpoint
from enrgdaq.transport.telemetry import TelemetryPublisher, TelemetrySubscriber
from tests.system.node import wait_until
from tests.transport.brokers import broker

TOPIC = "logs.here"


@pytest.fixture
def runtime() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dt") as folder:
        yield Path(folder)


def test_what_is_sent_while_the_broker_is_away_comes_later(runtime: Path) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    publisher = TelemetryPublisher(context, publish_endpoint(runtime))
    subscriber = TelemetrySubscriber(context, subscribe_endpoint(runtime), ["logs.", "stats."])
    came: list[int] = []

    def wanted(expected: bool) -> Callable[[], bool]:
        def look() -> bool:
            publisher.look_at_subscriptions()
            return publisher.wanted(TOPIC.encode()) is expected

        return look

    def have_come(count: int) -> Callable[[], bool]:
        def look() -> bool:
            publisher.look_at_subscriptions()
            came.extend(int(body) for _, body in subscriber.receive(at_most=1_000))
            return len(came) >= count

        return look

    def send(numbers: range) -> None:
        for number in numbers:
            publisher.send(TOPIC.encode(), str(number).encode())

    try:
        with broker(runtime):
            wait_until(wanted(True), what="the first subscription")
            send(range(100))
            wait_until(have_come(100), what="what the first broker passed on")
        for life in (1, 2):
            wait_until(wanted(False), what="the end of the broker to be seen")
            send(range(100 * life, 100 * life + 50))
            with broker(runtime):
                wait_until(have_come(100 * life + 50), what="what was kept")
                send(range(100 * life + 50, 100 * life + 100))
                wait_until(have_come(100 * life + 100), what="what the next broker passed on")
    finally:
        publisher.close()
        subscriber.close()
        context.term()
    assert came == list(range(300))
    assert publisher.dropped == 0
