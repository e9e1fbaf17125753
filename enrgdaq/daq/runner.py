"""Runs one job in its process, from the spec to the exit code."""

import logging
import os
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path

import msgspec

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.config_check import read_config
from enrgdaq.daq.host import ProcessHost
from enrgdaq.daq.log_records import sendable
from enrgdaq.daq.models import DAQJobResourceStats, DAQJobStopError
from enrgdaq.daq.places import lock_path
from enrgdaq.daq.registry import load_class
from enrgdaq.daq.spec import JobEnding, JobSpec, Lifeline
from enrgdaq.daq.store.base import DAQJobStore
from enrgdaq.errors import EnrgdaqError
from enrgdaq.transport import faults
from enrgdaq.transport.lock import NameLock

_LOCK_WAIT_SECONDS = 15.0  # the old process of this name may still be dying
_LONGEST_TRACEBACK = 20_000


def run_job(lifeline_descriptor: int, spec: JobSpec) -> int:
    """Run a job to its end; returns the process's exit code. Takes over the process."""
    lifeline = Lifeline(socket.socket(fileno=lifeline_descriptor))
    faults.enter(spec.unique_id)
    # Ctrl-C in a terminal goes to the supervisor, which stops jobs in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    host: ProcessHost | None = None
    try:
        NameLock(lock_path(Path(spec.runtime), spec.unique_id)).acquire(
            wait_seconds=_LOCK_WAIT_SECONDS
        )
        host = ProcessHost(spec, lifeline)
        _send_logs_to(host, spec)
        ending, code = _run(host, spec)
    except EnrgdaqError as error:
        ending, code = JobEnding(reason=sendable(str(error)), traceback=_traceback()), 1
    except Exception as error:  # noqa: BLE001 - a job may raise anything; this is its end
        ending, code = JobEnding(reason=_one_line(error), traceback=_traceback()), 1
    if host is not None:
        host.close()
        ending.report = host.report(DAQJobResourceStats())
    lifeline.send_ending(ending)
    lifeline.close()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _run(host: ProcessHost, spec: JobSpec) -> tuple[JobEnding, int]:
    job_class = load_class(spec.job_class)
    config, mistakes = read_config(job_class.config_type, spec.config, spec.config_file)
    if mistakes or config is None:
        return JobEnding(reason="\n".join(str(mistake) for mistake in mistakes)), 1
    logging.getLogger(spec.unique_id).setLevel(config.verbosity.to_logging_level())
    job = job_class(config, supervisor_info=spec.supervisor, host=host)
    # Only a loop of the user's own is ever interrupted: a consumer looks at `stopping` between
    # two messages, and in the middle of one it would publish twice what it publishes there.
    has_own_loop = type(job).start is not DAQJob.start and not isinstance(job, DAQJobStore)
    host.watch(job, interruptible=has_own_loop)
    consumer = _consume_beside(host, job) if has_own_loop else None
    try:
        job.start()
        ending = JobEnding(reason=host.stop_reason or "start() returned")
        code = 0
    except DAQJobStopError as stop:
        reason = host.stop_reason or sendable(stop.reason)
        ending = JobEnding(reason=reason, is_done=not host.stop_reason)
        code = 0
    except Exception as error:  # noqa: BLE001 - a job may raise anything; this is its end
        ending = JobEnding(reason=_one_line(error), traceback=_traceback())
        code = 1
    finally:
        if host.is_copy:
            # A child that came back from start(). Devices and rings are its parent's.
            os._exit(0)
        host.work_is_over()
        host.stopping.set()
        if consumer is not None:
            consumer.join(timeout=5.0)
        job.send_gathered()
        job.free()
    return ending, code


def _consume_beside(host: ProcessHost, job: DAQJob) -> threading.Thread | None:
    """A job with a ``start`` of its own gets its messages on a second thread."""
    if host.stream is None:
        return None

    def consume() -> None:
        try:
            host.consume(job)
        except DAQJobStopError:
            pass
        except Exception as error:  # noqa: BLE001 - a job may raise anything
            # The message is not done with: the next life of this job gets it again.
            host.exit_now(JobEnding(reason=_one_line(error), traceback=_traceback()), 1)

    thread = threading.Thread(target=consume, name="consume", daemon=True)
    thread.start()
    return thread


def _send_logs_to(host: ProcessHost, spec: JobSpec) -> None:
    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            host.logs.add(record, self.format(record))

    handler = Handler()
    handler.setFormatter(_OwnNameLeftOut(spec.unique_id))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)


class _OwnNameLeftOut(logging.Formatter):
    """The log shows the job's name already; other loggers' names stand before the text."""

    def __init__(self, own_name: str) -> None:
        super().__init__("%(name)s: %(message)s")
        self._own_name = own_name
        self._plain = logging.Formatter("%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        if record.name == self._own_name:
            return self._plain.format(record)
        return super().format(record)


def _traceback() -> str:
    return sendable(traceback.format_exc()[-_LONGEST_TRACEBACK:], _LONGEST_TRACEBACK)


def _one_line(error: BaseException) -> str:
    text = f"{type(error).__name__}: {error}"
    return sendable(" ".join(text.split()), 500)


def decode_spec(data: bytes) -> JobSpec:
    """The spec in what the forkserver was given."""
    return msgspec.msgpack.decode(data, type=JobSpec)
