"""Where the rows of a file come from, in words that stay with it."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
import pyarrow as pa

from enrgdaq.daq.origins import Origin
from enrgdaq.daq.store.journal import Position
from enrgdaq.daq.store.models import DAQJobMessageStore


def provenance(origin: Origin) -> dict[str, str]:
    """What is known of a producer: job, supervisor, host, software, run, and its file's text.

    :attr:`DAQJobStore.origin` is that of the message at hand. A file has rows of several when
    a job is restarted with another text, and over several runs: it should name them all.
    """
    return {name: text for name, text in msgspec.structs.asdict(origin).items() if text}


def first_words(message: DAQJobMessageStore) -> dict[str, str]:
    """What the first message of a file says of itself."""
    found = {}
    if message.timestamp is not None:
        found["first_record"] = message.timestamp.isoformat(timespec="milliseconds")
    if message.tag is not None:
        found["tag"] = message.tag
    return found


def ns_of(message: DAQJobMessageStore) -> int:
    """A message's time, by which files roll, ns since 1970 in UTC; 0 for none."""
    return int(message.timestamp.timestamp() * 1e9) if message.timestamp is not None else 0


class Rows(NamedTuple):
    """The rows of one message."""

    table: pa.Table
    position: Position
    origin: Origin


class OriginRow(msgspec.Struct, frozen=True, kw_only=True):
    """An origin, and the first row of a file or tree that is of it."""

    first_row: int
    origin: Origin

    def in_words(self) -> dict[str, str | int]:
        """For readers."""
        return {"first_row": self.first_row, **provenance(self.origin)}


def together(messages: Sequence[Rows]) -> pa.Table:
    """The rows of all messages, not copied."""
    return pa.concat_tables([rows.table for rows in messages])


def unseen(known: set[Origin], messages: Sequence[Rows], first_row: int) -> list[OriginRow]:
    """Origins of messages that come behind ``first_row`` rows, those not known so far."""
    seen = set(known)
    found = []
    for rows in messages:
        if rows.origin not in seen:
            seen.add(rows.origin)
            found.append(OriginRow(first_row=first_row, origin=rows.origin))
        first_row += rows.table.num_rows
    return found


def as_lines(origins: Iterable[OriginRow]) -> bytes:
    """A line of JSON for each."""
    return b"".join(msgspec.json.encode(row) + b"\n" for row in origins)


def from_lines(data: bytes) -> list[OriginRow]:
    """See :func:`as_lines`."""
    return [msgspec.json.decode(line, type=OriginRow) for line in data.splitlines()]
