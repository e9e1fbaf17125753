"""A host that keeps what a job publishes."""

import threading
from collections.abc import Sequence

import pyarrow as pa

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.models import DAQJobMessage
from enrgdaq.daq.reservation import Slot
from enrgdaq.daq.store.models import DAQJobMessageStore, DAQJobMessageStorePyArrow


class RecordingHost:
    """Give it to a job as ``host=``; what the job publishes is in :attr:`published`.

    With ``stop_after`` the job is told to stop after so many messages, so that its
    ``start()`` returns.
    """

    def __init__(self, unique_id: str = "job", *, stop_after: int | None = None) -> None:
        self.unique_id = unique_id
        self.instance_id = 0
        self.stopping = threading.Event()
        self.published: list[DAQJobMessage] = []
        self.incoming: list[DAQJobMessage] = []
        self.conditions: list[str] = []
        self._stop_after = stop_after

    def publish(self, message: DAQJobMessage) -> None:
        """Keep the message."""
        self.published.append(message)
        if self._stop_after is not None and len(self.published) >= self._stop_after:
            self.stopping.set()

    def publish_many(self, messages: Sequence[DAQJobMessage]) -> None:
        """Keep the messages."""
        for message in messages:
            self.publish(message)

    def reserve_table(self, message: DAQJobMessageStore, length: int, rows: int) -> Slot:
        """Space of its own; what is committed is kept as a message with its table."""
        return _Slot(self, message, length)

    def consume(self, job: DAQJob) -> None:
        """Hand the job what is in :attr:`incoming`, then return."""
        while self.incoming and not self.stopping.is_set():
            job.handle_message(self.incoming.pop(0))

    def set_condition(self, text: str) -> None:
        """Keep the text."""
        self.conditions.append(text)


class _Slot:
    def __init__(self, host: RecordingHost, message: DAQJobMessageStore, length: int) -> None:
        self.space = memoryview(bytearray(length))
        self._host = host
        self._message = message

    def commit(self) -> None:
        if isinstance(self._message, DAQJobMessageStorePyArrow):
            self._message.table = pa.ipc.open_stream(pa.py_buffer(self.space)).read_all()
        self._host.publish(self._message)

    def cancel(self) -> None:
        pass
