"""A host that keeps what a job publishes."""

import threading
from collections.abc import Sequence

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.models import DAQJobMessage


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

    def consume(self, job: DAQJob) -> None:
        """Hand the job what is in :attr:`incoming`, then return."""
        while self.incoming and not self.stopping.is_set():
            job.handle_message(self.incoming.pop(0))

    def set_condition(self, text: str) -> None:
        """Keep the text."""
        self.conditions.append(text)
