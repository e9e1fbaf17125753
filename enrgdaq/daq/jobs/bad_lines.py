"""A file for what could not be understood, bounded in size."""

import datetime as dt
from pathlib import Path

_SHOWN_BYTES = 4096


def escape(data: bytes) -> str:
    r"""Bytes as one line of printable ASCII: ``\n``, ``\x1b`` and ``\\`` as in Python."""
    return data.decode("latin-1").encode("unicode_escape").decode("ascii")


def format_bad_line(when: dt.datetime, reason: str, data: bytes) -> str:
    """One line: time (UTC, ISO 8601), reason and escaped bytes, separated by tabs."""
    cut = f"... ({len(data)} bytes)" if len(data) > _SHOWN_BYTES else ""
    stamp = when.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    shown_reason = escape(reason.encode("utf-8", "backslashreplace"))
    return f"{stamp}\t{shown_reason}\t{escape(data[:_SHOWN_BYTES])}{cut}\n"


class BadLineFile:
    """Appends bad lines to ``path``; at ``max_bytes`` it becomes ``path.1`` and a new one begins.

    So at most twice ``max_bytes`` are on disk. The file is made when the first line comes.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self._max_bytes = max_bytes

    def append(self, when: dt.datetime, reason: str, data: bytes) -> None:
        """Write one line. Raises ``OSError`` when the disk does not take it."""
        line = format_bad_line(when, reason, data).encode("ascii")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Opened for each line: such lines are rare, and a file that somebody moved away
        # must not keep on growing unseen.
        with self.path.open("ab") as file:
            if file.tell() == 0 or file.tell() + len(line) <= self._max_bytes:
                file.write(line)
                return
        self.path.replace(self.path.with_name(self.path.name + ".1"))
        self.path.write_bytes(line)
