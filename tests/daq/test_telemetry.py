"""A job's two ends of telemetry, with a real broker between them."""

import datetime as dt
import logging
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from enrgdaq.daq.counters import Counters
from enrgdaq.daq.models import DAQJobMessage, DAQJobMessageStop
from enrgdaq.daq.telemetry_in import TelemetryIn
from enrgdaq.daq.telemetry_out import TelemetryOut
from enrgdaq.transport import codec
from enrgdaq.transport.broker import publish_endpoint, subscribe_endpoint
from enrgdaq.transport.telemetry import TelemetryPublisher, TelemetrySubscriber
from tests.system.node import wait_until
from tests.transport.brokers import broker

TOPIC = "stats.here"


class Ends:
    """What a job sends comes back to it."""

    def __init__(self, runtime: Path) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.publisher = TelemetryPublisher(self._context, publish_endpoint(runtime))
        subscriber = TelemetrySubscriber(self._context, subscribe_endpoint(runtime), [TOPIC])
        self.out = TelemetryOut("no ring")
        self.out.send_by(self.publisher)
        self.counters = Counters()
        self.into = TelemetryIn(subscriber, self.counters, logging.getLogger("test"))
        wait_until(self._is_joined, what="the subscription")

    def send(self, count: int) -> None:
        """Send numbered messages, and take what has come."""
        for number in range(count):
            message = DAQJobMessageStop(reason=str(number), timestamp=dt.datetime.now(dt.UTC))
            self.out.queue(TOPIC, codec.encode(message))
        self.out.send_queued()
        already = self.counters.messages_in

        def have_come() -> bool:
            self.into.take()
            return self.counters.messages_in == already + count

        wait_until(have_come, what="all messages")

    def close(self) -> None:
        """Close all sockets."""
        self.publisher.close()
        self.into.close()
        self._context.term()

    def _is_joined(self) -> bool:
        self.publisher.look_at_subscriptions()
        return self.publisher.wanted(TOPIC.encode())


@pytest.fixture
def ends() -> Iterator[Ends]:
    with tempfile.TemporaryDirectory(prefix="dt") as folder, broker(Path(folder)):
        made = Ends(Path(folder))
        try:
            yield made
        finally:
            made.close()


def test_a_slow_handler_is_waited_for_by_nobody_and_what_it_misses_is_counted(ends: Ends) -> None:
    may_go_on, stopping = threading.Event(), threading.Event()
    seen: list[DAQJobMessage] = []

    def handle(message: DAQJobMessage) -> None:
        seen.append(message)
        may_go_on.wait(20.0)

    ends.into.start_handling(handle, stopping)
    ends.send(1)
    wait_until(lambda: seen, what="the handler to be busy")
    ends.send(1_500)
    assert ends.into.dropped == 500
    may_go_on.set()
    wait_until(lambda: len(seen) == 1_001, what="what was kept")
    assert ends.out.dropped == 0
    stopping.set()
    ends.send(1)


def test_a_handler_that_fails_gets_the_next_message(ends: Ends) -> None:
    stopping = threading.Event()
    seen: list[str] = []

    def handle(message: DAQJobMessage) -> None:
        assert isinstance(message, DAQJobMessageStop)
        seen.append(message.reason)
        if message.reason == "1":
            stopping.set()
        raise ValueError(message.reason)

    ends.into.start_handling(handle, stopping)
    ends.send(2)
    wait_until(lambda: seen == ["0", "1"], what="both messages")


def test_what_there_is_no_room_for_is_counted(tmp_path: Path) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    # Without a broker it keeps 2 000.
    publisher = TelemetryPublisher(context, publish_endpoint(tmp_path / "nobody"))
    out = TelemetryOut("no ring")
    out.send_by(publisher)
    try:
        for _ in range(10_020):
            out.queue(TOPIC, b"x")
        assert out.dropped == 20
        out.send_queued()
        assert out.dropped == 20 + 8_000
    finally:
        publisher.close()
        context.term()
