"""Who did what when: crashes, restarts, commands, alarms. Kept in memory and on disk."""

import itertools
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from enrgdaq.control.protocol import Caller, Event
from enrgdaq.supervisor.rotated import RotatedFile
from enrgdaq.text import clean

AUDIT_VERSION: Final = 1
_KEPT: Final = 5_000
_READ_BYTES: Final = 1_000_000


class AuditTrail:
    """Events, numbered over all runs; one JSON object a line on disk, rotated at 5 MB."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.time) -> None:
        self._events: deque[Event] = deque(read_events(file), maxlen=_KEPT)
        self._next = self._events[-1].number + 1 if self._events else 1
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
            job=clean(job),
            text=clean(text),
            user=clean(caller.user) if caller else "",
            terminal=clean(caller.terminal) if caller else "",
            address=clean(caller.address) if caller else "",
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


def read_events(file: Path) -> list[Event]:
    """The newest events of an audit file, also of the one before it; none if there is no file.

    A line that was cut short by a crash is left out.
    """
    found: list[Event] = []
    for path in (file.with_name(file.name + ".1"), file):
        try:
            with path.open("rb") as lines:
                lines.seek(0, 2)
                start = max(0, lines.tell() - _READ_BYTES)
                lines.seek(start)
                portion = lines.read(_READ_BYTES).split(b"\n")
        except OSError:
            continue
        # What a start in the middle cuts off is no event.
        found += [event for line in portion if (event := _event(line)) is not None]
    # Numbers that began anew, as after a lost file, must not confuse a client.
    if any(a.number >= b.number for a, b in itertools.pairwise(found)):
        for number, event in enumerate(found, 1):
            event.number = number
    return found[-_KEPT:]


def _event(line: bytes) -> Event | None:
    try:
        return msgspec.json.decode(line, type=Event)
    except msgspec.MsgspecError:
        return None
