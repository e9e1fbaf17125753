"""Why a supervisor does not answer any more, and whether its process is there."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from enrgdaq.control.protocol import Event

_BEGIN, _END = "supervisor started", "supervisor stops"


def why(events: Sequence[Event], reason: str) -> str:
    """What its last events say of its end, else ``reason``."""
    for event in reversed(events):
        if event.what == _END and event.text:
            return event.text
        if event.what == _BEGIN:
            break
    return reason


def events_on_disk(log_path: Path, after: int) -> list[Event]:
    """Events after a number from the audit file beside a log; none if it cannot be read."""
    from enrgdaq.supervisor.audit import read_events

    file = log_path.with_suffix(".audit.jsonl")
    return [event for event in read_events(file) if event.number > after]


def is_alive(pid: int) -> bool:
    """Whether a process of this host has not ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    import psutil

    # Killed, it stays a zombie while whoever started it, such as this console, does not ask for it.
    with contextlib.suppress(psutil.Error):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return True
