"""One process of a job: from the fork to its last words."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from enrgdaq.daq.spec import (
    JobEnding,
    JobSpec,
    Lifeline,
    LifelineMessage,
    NewSource,
    SourceRing,
    StopRequest,
)
from enrgdaq.errors import TransportError
from enrgdaq.supervisor.loop import Loop
from enrgdaq.supervisor.spawner import Pipes, Spawner
from enrgdaq.text import clean_text

_READ_BYTES: Final = 65_536
_LONGEST_PARTIAL_LINE: Final = 65_536

Print = Callable[[str, str], None]
"""Called with the stream's name and a line that the job printed."""


@dataclass
class Child:
    """A process and the three ways to it: lifeline, output, signals."""

    number: int
    instance_id: int
    lifeline: Lifeline
    pipes: Pipes
    started_at: float
    pid: int | None = None
    ending: JobEnding | None = None
    kill_reason: str = ""
    stop_deadline: float | None = None
    drains: bool = False
    _partial: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def start(cls, spawner: Spawner, spec: JobSpec, now: float) -> "Child":
        """Fork a process for a job."""
        ours, theirs = Lifeline.pair()
        try:
            number, pipes = spawner.fork(
                "job", spec.unique_id, msgspec.msgpack.encode(spec), theirs
            )
        except BaseException:
            ours.close()
            raise
        return cls(
            number=number,
            instance_id=spec.instance_id,
            lifeline=ours,
            pipes=pipes,
            started_at=now,
        )

    def watch(
        self, loop: Loop, on_message: Callable[[LifelineMessage], None], on_print: Print
    ) -> None:
        """Hand what the process says to the callbacks, until :meth:`close`."""

        def hear() -> None:
            try:
                message = self.lifeline.receive()
            except BlockingIOError:
                return
            except TransportError:
                loop.forget(self.lifeline.fileno())
                self.kill("killed: it sent what is no message on its lifeline")
                return
            if message is None:
                loop.forget(self.lifeline.fileno())
            else:
                on_message(message)

        loop.watch(self.lifeline.fileno(), hear)
        for name in ("stdout", "stderr"):
            self._watch_output(loop, name, on_print)

    def tell_of(self, source: SourceRing) -> None:
        """Have the process read one more ring. One that has no room for the news is stuck: the
        process that follows it hears of all rings when it starts."""
        if not self.lifeline.send(NewSource(source=source)):
            self.kill("killed: it took no news of a new ring")

    def stop(self, reason: str, *, drain: bool, deadline: float) -> None:
        """Ask the process to end; it is killed at the deadline (monotonic seconds)."""
        self.lifeline.send(StopRequest(reason=reason, drain=drain))
        # Asking again must not put off the end.
        self.stop_deadline = min(deadline, self.stop_deadline or deadline)
        self.drains = drain

    def forked(self, pid: int) -> None:
        """Its process is known; one that was to be killed before is killed now."""
        self.pid = pid
        if self.kill_reason:
            self._signal_group(signal.SIGKILL)

    def kill(self, reason: str) -> None:
        """End the process and all that it started, as soon as it is known."""
        if not self.kill_reason:
            self.kill_reason = reason
            self._signal_group(signal.SIGKILL)

    def close(self, loop: Loop, on_print: Print) -> None:
        """The process is gone: take its last words, let go of everything."""
        for name in ("stdout", "stderr"):
            descriptor = getattr(self.pipes, name)
            if descriptor >= 0:
                self._read(name, descriptor, on_print)
                rest = self._partial.pop(name, b"")
                if rest:
                    on_print(name, rest.decode(errors="replace"))
                loop.forget(descriptor)
        if self.lifeline.fileno() >= 0:
            loop.forget(self.lifeline.fileno())
        self.lifeline.close()
        self.pipes.close()
        # Whatever the job itself has started lives in its session; nothing is left behind.
        self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: int) -> None:
        if self.pid is None:
            return
        for send in (os.killpg, os.kill):
            try:
                send(self.pid, number)
            except (ProcessLookupError, PermissionError):
                continue

    def _watch_output(self, loop: Loop, name: str, on_print: Print) -> None:
        descriptor = getattr(self.pipes, name)

        def read() -> None:
            if not self._read(name, descriptor, on_print):
                loop.forget(descriptor)

        loop.watch(descriptor, read)

    def _read(self, name: str, descriptor: int, on_print: Print) -> bool:
        """Take one portion of output; ``False`` at its end."""
        try:
            data = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            return True
        *lines, rest = (self._partial.get(name, b"") + data).split(b"\n")
        if len(rest) > _LONGEST_PARTIAL_LINE:
            lines.append(rest)
            rest = b""
        self._partial[name] = rest
        for line in lines:
            on_print(name, line.decode(errors="replace"))
        return bool(data)


def describe_exit(child: Child, status: int) -> str:
    """Why a process ended, in words."""
    if child.kill_reason:
        return child.kill_reason
    if child.ending is not None and child.ending.reason:
        return clean_text(child.ending.reason)
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        return f"killed by {name}"
    return f"exited with code {status}"
