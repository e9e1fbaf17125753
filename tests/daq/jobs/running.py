"""Runs a job in a thread until a test is done with it."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.models import DAQJobStopError
from enrgdaq.testing import RecordingHost

LIMIT_SECONDS = 20.0


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Poll until ``condition()`` holds; fails with ``what`` after the limit."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.002)


@contextlib.contextmanager
def running(job: DAQJob, host: RecordingHost) -> Iterator[list[BaseException]]:
    """The job runs within; at the end it is told to stop and must do so within a second.

    Yields a list that receives what ``start()`` raised.
    """
    raised: list[BaseException] = []

    def run() -> None:
        try:
            job.start()
        except DAQJobStopError as error:
            raised.append(error)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield raised
    finally:
        host.stopping.set()
        began = time.monotonic()
        thread.join(LIMIT_SECONDS)
        job.free()
    assert not thread.is_alive(), "the job did not stop"
    assert time.monotonic() - began < 2.0, "the job was slow to stop"
