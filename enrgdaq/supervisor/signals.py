"""A supervisor in the foreground of a shell or of systemd: signals stop it."""

import signal
import time
from types import FrameType
from typing import Final

from enrgdaq.supervisor.supervisor import Supervisor

# `timeout` and `uv run` pass a signal on that the whole group has got already.
_SAME_SIGNAL_SECONDS: Final = 1.0


def run_until_signalled(supervisor: Supervisor) -> int:
    """Run in the foreground: SIGTERM, SIGINT and SIGHUP stop in order, a second one at once.

    A hang-up that is ignored, as below ``nohup``, stays ignored. Handlers only take note; the
    loop acts. Call from the main thread.
    """
    first = 0.0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal first
        first = first or time.monotonic()
        if time.monotonic() > first + _SAME_SIGNAL_SECONDS:
            supervisor.hurry()
        supervisor.stop(signal.Signals(number).name)

    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    previous = {number: signal.signal(number, note) for number in numbers}
    try:
        return supervisor.run()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
