"""Asks a running supervisor. One client per thread."""

import itertools
import os
import pwd
import time
from pathlib import Path
from typing import TypeVar

import msgspec
import zmq

from enrgdaq.control import protocol
from enrgdaq.control.address import Address
from enrgdaq.control.handshake import Handshake
from enrgdaq.control.status import Snapshot
from enrgdaq.errors import ControlError, ControlTimeoutError, NotRunningError
from enrgdaq.transport.bell import checked_socket_path

A = TypeVar("A", bound=protocol.Answer)

CHECK_SECONDS = 30.0
"""For what imports user code before it is answered; the supervisor gives up before."""


def control_socket(runtime: Path) -> Path:
    """Path of the control socket in a supervisor's runtime folder."""
    return checked_socket_path(runtime / "control")


class ControlClient:
    """A connection to a supervisor's control socket, or to its TCP endpoint.

    Methods raise :class:`NotRunningError` when nobody listens, :class:`ControlTimeoutError`
    when the answer does not come in time, and :class:`ControlError` with the supervisor's
    reason when it refuses.
    """

    def __init__(self, address: Address, *, program: str, timeout_seconds: float = 5.0) -> None:
        self.address = address
        self._timeout_ms = int(timeout_seconds * 1000)
        self._caller = protocol.Caller(
            user=_user_name(), terminal=_terminal_name(), program=program
        )
        self._numbers = itertools.count(1)
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(protocol.Reply)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket: zmq.Socket[bytes] | None = None
        self._handshake: Handshake | None = None

    @property
    def identity(self) -> tuple[str, str]:
        """Account or key, and terminal, as the audit trail has them."""
        address = self.address
        if isinstance(address, Path):
            return self._caller.user, self._caller.terminal
        return protocol.remote_user(address.own.name if address.own else ""), self._caller.terminal

    def snapshot(self) -> Snapshot:
        """The state of everything, for displays."""
        return self.ask(protocol.GetSnapshot(), Snapshot)

    def logs(
        self,
        *,
        after: int = -1,
        limit: int = 500,
        job: str | None = None,
        level: protocol.Level = "DEBUG",
    ) -> protocol.Logs:
        """Log lines after a number; see :class:`protocol.GetLogs`."""
        request = protocol.GetLogs(after=after, limit=limit, job=job, level=level)
        return self.ask(request, protocol.Logs)

    def events(self, *, after: int = -1, limit: int = 500) -> protocol.Events:
        """Audit trail entries after a number."""
        return self.ask(protocol.GetEvents(after=after, limit=limit), protocol.Events)

    def job_details(self, job: str) -> protocol.JobDetails:
        """What is known of one job."""
        return self.ask(protocol.GetJobDetails(job=job), protocol.JobDetails)

    def history(self, topics: list[str]) -> list[protocol.TopicHistory]:
        """The last hour of these topics' rates; see :class:`protocol.GetHistory`."""
        return self.ask(protocol.GetHistory(topics=topics), protocol.Histories).topics

    def restart(self, job: str) -> str:
        """Restart a job; returns what the supervisor says it will do."""
        return self.ask(protocol.RestartJob(job=job), protocol.Done).text

    def stop(self, job: str) -> str:
        """Stop a job and leave it stopped."""
        return self.ask(protocol.StopJob(job=job), protocol.Done).text

    def start(self, job: str) -> str:
        """Start a job that is stopped or failed."""
        return self.ask(protocol.StartJob(job=job), protocol.Done).text

    def restart_all(self, jobs: list[str]) -> str:
        """Restart these jobs, or none when one of them cannot be restarted."""
        return self.ask(protocol.RestartJobs(jobs=jobs), protocol.Done).text

    def check(self, job: str, text: str) -> str:
        """Check a text as a job's file; raises :class:`ControlError` with all its mistakes."""
        return self._ask_for_check(protocol.CheckJob(job=job, text=text))

    def reload(self, job: str, *, text: str | None = None, before: str | None = None) -> str:
        """Restart a job with its file; see :class:`protocol.ReloadJob`."""
        return self._ask_for_check(protocol.ReloadJob(job=job, text=text, before=before))

    def add(self, file: str, *, text: str | None = None, origin: str = "") -> str:
        """Start a job from a file; see :class:`protocol.AddJob`."""
        return self._ask_for_check(protocol.AddJob(file=file, text=text, origin=origin))

    def leave(self) -> None:
        """Say that this console goes."""
        self.ask(protocol.Leave(), protocol.Done)

    def shutdown(self) -> str:
        """Stop acquisition in order and end the supervisor."""
        return self.ask(protocol.Shutdown(), protocol.Done).text

    def ask(
        self, request: protocol.Request, expected: type[A], *, seconds: float | None = None
    ) -> A:
        """Send any request and wait for its answer, which must be of type ``expected``."""
        answer = self._exchange(request, int(1000 * seconds) if seconds else self._timeout_ms)
        if isinstance(answer, protocol.Refused):
            raise ControlError(answer.reason)
        if not isinstance(answer, expected):
            raise ControlError(f"{type(answer).__name__} is no answer to {type(request).__name__}")
        return answer

    def close(self) -> None:
        """Close the connection; idempotent."""
        self._drop_socket()
        self._context.destroy(linger=0)

    def __enter__(self) -> "ControlClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask_for_check(
        self, request: protocol.CheckJob | protocol.ReloadJob | protocol.AddJob
    ) -> str:
        length = max(len(getattr(request, name, None) or "") for name in ("text", "before"))
        if length > protocol.LONGEST_FILE:
            # The supervisor takes it for no request and would not answer.
            raise ControlError(
                f"a job's file of {length} characters is too long, {protocol.LONGEST_FILE} are the"
                " limit; put what is long into a file of its own, and its name here"
            )
        # User code is imported for it, in a process that must start first.
        return self.ask(request, protocol.Done, seconds=CHECK_SECONDS).text

    def _exchange(self, request: protocol.Request, timeout_ms: int) -> protocol.Answer:
        if isinstance(self.address, Path) and not self.address.exists():
            raise NotRunningError(f"no supervisor is running here: {self.address} does not exist")
        if self._handshake is not None:
            self._handshake.forget()
        socket = self._socket or self._connect()
        number = next(self._numbers)
        envelope = protocol.Envelope(
            version=protocol.PROTOCOL_VERSION,
            request_id=number,
            caller=self._caller,
            request=request,
        )
        deadline = time.monotonic() + timeout_ms / 1000
        try:
            socket.send(self._encoder.encode(envelope), zmq.NOBLOCK)
            while self._wait(socket, deadline):
                reply = self._decoder.decode(socket.recv())
                # Answers to requests that had timed out may still come in.
                if reply.request_id == number:
                    return reply.answer
        except protocol.UNREADABLE as error:
            raise ControlError(f"unreadable answer: {error}") from error
        except zmq.Again:
            # What was asked before has filled the queue, and was never taken.
            pass
        except ControlError:
            self._drop_socket()
            raise
        self._drop_socket()
        raise ControlTimeoutError(
            f"no answer within {timeout_ms / 1000:g} s on {self.address}:"
            " the supervisor is busy, stopped, or gone"
        )

    def _wait(self, socket: "zmq.Socket[bytes]", deadline: float) -> bool:
        """Whether an answer is there before the deadline."""
        poller = zmq.Poller()
        poller.register(socket, zmq.POLLIN)
        if self._handshake is not None:
            poller.register(self._handshake.monitor, zmq.POLLIN)
        while (left := deadline - time.monotonic()) > 0:
            ready = dict(poller.poll(int(1000 * left) + 1))
            if socket in ready:
                return True
            if ready and self._handshake is not None:
                self._handshake.look()
        return False

    def _connect(self) -> "zmq.Socket[bytes]":
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.linger = 0
        if isinstance(self.address, Path):
            self._socket.connect(f"ipc://{self.address}")
        else:
            self._handshake = Handshake(self._context, self._socket, self.address)
            self._handshake.connect()
        return self._socket

    def _drop_socket(self) -> None:
        if self._handshake is not None:
            self._handshake.close()
            self._handshake = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name[:64]
    except KeyError:
        return str(os.getuid())


def _terminal_name() -> str:
    for descriptor in (0, 2):
        try:
            return os.ttyname(descriptor)[:64]
        except OSError:
            continue
    return ""
