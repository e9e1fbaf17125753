"""What a job's process is told when it starts, and what it says to its supervisor.

Both go over the *lifeline*: a socket pair that ends when either side does.
"""

import contextlib
import socket
from typing import Any

import msgspec

from enrgdaq.daq.models import DAQJobMessageStatsReport
from enrgdaq.errors import TransportError
from enrgdaq.models import SupervisorInfo

LARGEST_MESSAGE = 160_000  # bytes; one datagram of a socket pair with default buffers


class ClassRef(msgspec.Struct, frozen=True, kw_only=True):
    """Where a job's class is: a module, or a Python file beside the configs."""

    name: str
    module: str
    file: str | None = None


class SourceRing(msgspec.Struct, frozen=True, kw_only=True):
    """A ring to read. ``is_old``: left by an earlier run, nothing is added to it."""

    path: str
    origins: str
    """File that says what its producer was when; see :mod:`enrgdaq.daq.origins`."""
    producer: str
    producer_type: str
    is_old: bool


class SetAside(msgspec.Struct, frozen=True, kw_only=True):
    """A record at which this job crashed again and again."""

    ring_uuid: str
    end: int


class JobSpec(msgspec.Struct, kw_only=True, tag=True):
    """All that a job's process needs to know."""

    unique_id: str
    instance_id: int
    job_class: ClassRef
    config: dict[str, Any]
    config_file: str
    supervisor: SupervisorInfo
    runtime: str
    out_dir: str
    """The node's folder for files; stores have their own."""
    ring_path: str
    sources: list[SourceRing]
    takes_messages: bool
    is_store: bool
    set_aside: list[SetAside]


class StopRequest(msgspec.Struct, kw_only=True, tag=True):
    """Supervisor to job: end. ``drain``: producers have ended, read their rings to the end."""

    reason: str
    drain: bool


class NewSource(msgspec.Struct, kw_only=True, tag=True):
    """Supervisor to job: a producer has come, read its ring too."""

    source: SourceRing


class JobRunning(msgspec.Struct, kw_only=True, tag=True):
    """Job to supervisor: the work begins."""


class JobEnding(msgspec.Struct, kw_only=True, tag=True):
    """Job to supervisor: why it ends. ``is_done``: by its own will, not to be restarted."""

    reason: str
    traceback: str = ""
    is_done: bool = False
    report: DAQJobMessageStatsReport | None = None
    """The last counters: telemetry may drop, this does not."""


class RecordSetAside(msgspec.Struct, kw_only=True, tag=True):
    """Job to supervisor: a record was put into a file and passed."""

    ring_uuid: str
    end: int
    path: str


class TopicsWanted(msgspec.Struct, kw_only=True, tag=True):
    """Job to supervisor: what this job takes from now on."""

    topics: list[str]


LifelineMessage = (
    JobSpec | StopRequest | NewSource | JobRunning | JobEnding | RecordSetAside | TopicsWanted
)

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[LifelineMessage] = msgspec.msgpack.Decoder(LifelineMessage)


class Lifeline:
    """One end of the socket pair. Datagrams with an end: ``SOCK_SEQPACKET``."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._socket.setblocking(False)

    @staticmethod
    def pair() -> "tuple[Lifeline, socket.socket]":
        """The supervisor's end, and the socket to pass to the job."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return Lifeline(ours), theirs

    def fileno(self) -> int:
        """For use in a poll set; -1 when closed."""
        return self._socket.fileno()

    def send(self, message: LifelineMessage) -> bool:
        """Send; ``False`` when the other side is gone or does not read."""
        encoded = _ENCODER.encode(message)
        if len(encoded) > LARGEST_MESSAGE:
            raise TransportError(
                f"{type(message).__name__} of {len(encoded)} bytes is too large; shorten the"
                " job's configuration"
            )
        try:
            self._socket.send(encoded)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            return False
        return True

    def send_ending(self, ending: JobEnding) -> bool:
        """Send the last message of a job, with as much of what it knows as has room.

        A job that has published on thousands of topics must end as it says all the same.
        """
        replace = msgspec.structs.replace
        shorter = [ending]
        if ending.report is not None:
            shorter.append(replace(ending, report=replace(ending.report, topics_out={})))
        shorter.append(replace(ending, report=None))
        for one in shorter:
            with contextlib.suppress(TransportError):
                return self.send(one)
        return self.send(replace(ending, report=None, traceback=""))

    def receive(self) -> LifelineMessage | None:
        """The next message. Raises ``BlockingIOError`` for none; ``None``: the end."""
        try:
            data = self._socket.recv(2 * LARGEST_MESSAGE)
        except ConnectionResetError:
            return None
        if not data:
            return None
        try:
            return _DECODER.decode(data)
        except msgspec.MsgspecError as error:
            raise TransportError(f"unreadable message on the lifeline: {error}") from error

    def close(self) -> None:
        """Close; idempotent."""
        self._socket.close()
