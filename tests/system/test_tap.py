"""Looking at data without holding anybody up."""

import zmq

from enrgdaq.transport.broker import subscribe_endpoint
from enrgdaq.transport.tap import Announcement, Tap, decode_announcement
from enrgdaq.transport.telemetry import TelemetrySubscriber
from tests.system.node import Node


def test_announced_records_can_be_read_from_the_ring(node: Node) -> None:
    node.add(
        "test",
        'daq_job_type = "DAQJobTest"\nrand_min = 1\nrand_max = 9\ninterval_seconds = 0.01\n'
        '[store_config.csv]\nfile_path = "a.csv"\n',
    )
    node.add("csv", 'daq_job_type = "DAQJobStoreCSV"')
    node.start()
    context = zmq.Context()
    runtime = node.runtime / "enrgdaq" / node.id
    subscriber = TelemetrySubscriber(context, subscribe_endpoint(runtime), ["store."])
    tap = Tap()
    heard: list[Announcement] = []
    try:

        def listen() -> bool:
            subscriber.socket.poll(100)
            heard.extend(decode_announcement(b) for _, b in subscriber.receive(at_most=100))
            return len(heard) >= 5

        node.wait(listen, what="announcements")
        assert [a.sequence for a in heard] == list(
            range(heard[0].sequence, heard[0].sequence + len(heard))
        )
        record = tap.fetch(heard[-1])
        assert record is not None
        assert record.sequence == heard[-1].sequence
        assert len(record.payload) == heard[-1].payload_length
        assert b"a.csv" in record.header
        gone = Announcement(heard[-1].ring_path, 10**12, 0, 0, 0, 0)
        assert tap.fetch(gone) is None
    finally:
        tap.close()
        subscriber.close()
        context.term()
    assert node.stop() == 0, node.log()
