"""Who did what when: crashes, restarts, commands. Kept in memory and on disk."""

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from enrgdaq.control.protocol import Caller, Event
from enrgdaq.supervisor.rotated import RotatedFile
from enrgdaq.supervisor.text import clean

AUDIT_VERSION: Final = 1
_KEPT: Final = 5_000


class AuditTrail:
    """Events, numbered; one JSON object a line on disk, rotated at 5 MB."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.time) -> None:
        self._events: deque[Event] = deque(maxlen=_KEPT)
        self._next = 1
        self._clock = clock
        self._file = RotatedFile(file, max_bytes=5_000_000, files=5)

    def note(
        self, what: str, *, job: str = "", text: str = "", caller: Caller | None = None
    ) -> None:
        """Write down an event; ``caller`` is whoever asked for it."""
        event = Event(
            number=self._next,
            time=self._clock(),
            what=what,
            job=job,
            text=clean(text),
            user=clean(caller.user) if caller else "",
            terminal=clean(caller.terminal) if caller else "",
        )
        self._next += 1
        self._events.append(event)
        line = msgspec.json.encode({"v": AUDIT_VERSION, **msgspec.structs.asdict(event)}).decode()
        self._file.write_line(line)

    def after(self, number: int, limit: int) -> list[Event]:
        """Events after ``number``; -1: the newest."""
        if number < 0:
            return list(self._events)[-limit:]
        return [event for event in self._events if event.number > number][:limit]

    def close(self) -> None:
        """Close the file; idempotent."""
        self._file.close()
