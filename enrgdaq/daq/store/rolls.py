"""When a file is full, and what is remembered of its rolls. No effects but the book's file.

``name.csv`` is followed by ``name.roll0002.csv``, ``name.roll0003.csv`` and so on. Not by
``name_1.csv``: that is what the tag ``1`` makes, the commonest of all.
"""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from enrgdaq.daq.origins import Origin
from enrgdaq.daq.store.journal import Journal, Position, replace_file
from enrgdaq.daq.store.models import DAQJobStoreConfigFile
from enrgdaq.daq.store.paths import roll_path
from enrgdaq.errors import StoreError
from enrgdaq.transport.memory import MEGABYTE

_SECOND: Final = 10**9
_DAY_SECONDS: Final = 86_400
_MOST_ORIGINS: Final = 100
Marks = dict[str, dict[str, int]]
"""Unit of a file, such as a group of HDF5 -> ring -> position up to which records are in it."""


class Limits(NamedTuple):
    """What a file holds at most; it ends with the message that reaches that."""

    bytes: float = math.inf
    rows: float = math.inf
    seconds: float = math.inf
    """Length of its period. Periods are counted from 1970 in UTC: an hour's begins on the hour."""

    @property
    def are_set(self) -> bool:
        """Whether the file ever ends."""
        return self != Limits()

    def end_ns(self, first_ns: int) -> float:
        """When the period of a file with this first record is over, ns since 1970 in UTC."""
        if math.isinf(self.seconds):
            return math.inf
        length = round(self.seconds * _SECOND)
        return (first_ns // length + 1) * length


def limits_of(settings: DAQJobStoreConfigFile, size_mb: float = math.inf) -> Limits:
    """The limits that a producer asks for. ``size_mb``: where it says nothing of the size."""
    seconds = settings.roll_seconds or math.inf
    if settings.add_date:
        seconds = min(seconds, _DAY_SECONDS)
    asked_mb = settings.roll_size_mb if settings.roll_size_mb is not None else size_mb
    return Limits(asked_mb * MEGABYTE, settings.roll_rows or math.inf, seconds)


class Piece(NamedTuple):
    """What a message brings to a file."""

    position: Position
    rows: int
    time_ns: int
    origin: Origin


class Facts(msgspec.Struct, kw_only=True):
    """What is known of the rows of a file."""

    rows: int = 0
    first_ns: int = 0
    last_ns: int = 0
    begun_ns: int = 0
    is_all: bool = True
    """Whether these are all rows: a file that was there before may have more."""
    origins: list[Origin] = []

    def add(self, piece: Piece) -> None:
        """One more message is in the file."""
        self.first_ns = min(self.first_ns or piece.time_ns, piece.time_ns)
        self.last_ns = max(self.last_ns, piece.time_ns)
        self.rows += piece.rows
        if piece.origin not in self.origins and len(self.origins) < _MOST_ORIGINS:
            self.origins.append(piece.origin)


def room_for(pieces: Sequence[Piece], facts: Facts, size: int, limits: Limits) -> int:
    """How many of the pieces go into a file. An empty one takes at least the first.

    What came in one record stays together: it has one position, at which a replay is told
    what the file has.
    """
    if facts.rows and size >= limits.bytes:
        return 0
    rows = facts.rows
    end_ns = limits.end_ns(facts.first_ns or pieces[0].time_ns)
    for number, piece in enumerate(pieces):
        is_full = rows and (rows >= limits.rows or piece.time_ns >= end_ns)
        if is_full and (not number or piece.position != pieces[number - 1].position):
            return number
        rows += piece.rows
    return len(pieces)


class Book(msgspec.Struct, kw_only=True):
    """What is remembered of a file and its rolls, in ``.name.rolls`` beside it."""

    version: int = 1
    roll: int = 1
    """The one that takes rows; those before are finished."""
    marks: Marks = {}
    """What is in finished rolls; a replay must not begin the next one with it."""
    facts: Facts = msgspec.field(default_factory=lambda: Facts(begun_ns=time.time_ns()))
    counted: Marks = {}
    """What the facts count. Records that are in the file and not counted come again, since
    no ring is released before they are; so each is counted once."""

    def has(self, unit: str, position: Position) -> bool:
        """Whether a record is in a finished roll."""
        return position.end <= self.marks.get(unit, {}).get(position.ring_uuid, 0)

    def count(self, unit: str, pieces: Sequence[Piece], known_rings: set[str]) -> None:
        """Messages are in the file now."""
        counted = Journal(watermarks=self.counted.setdefault(unit, {}))
        # All before any is noted: several may have come in one record.
        for piece in [piece for piece in pieces if not counted.has(piece.position)]:
            counted.note(piece.position)
            self.facts.add(piece)
        counted.forget_rings(known_rings)

    def following(self, in_file: Marks, known_rings: set[str]) -> "Book":
        """The book when the next roll begins. ``in_file``: what the present one has."""
        marks: Marks = {}
        for unit in {**self.marks, **in_file}:
            merged = Journal(watermarks=dict(self.marks.get(unit, {})))
            for ring_uuid, end in in_file.get(unit, {}).items():
                merged.note(Position(ring_uuid, max(end, merged.watermarks.get(ring_uuid, 0))))
            merged.forget_rings(known_rings)
            marks[unit] = merged.watermarks
        return Book(roll=self.roll + 1, marks=marks)


def book_path(path: Path) -> Path:
    """``.name.rolls`` beside the first roll."""
    return path.with_name(f".{path.name}.rolls")


def read_book(path: Path) -> Book | None:
    """The book of a file; ``None`` where there is none. Raises ``OSError``, ``StoreError``."""
    where = book_path(path)
    try:
        return msgspec.json.decode(where.read_bytes(), type=Book)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise StoreError(f"{where}: cannot be read ({error}); restore or remove it") from error


def write_book(path: Path, book: Book, *, syncs: bool) -> None:
    """Replace the book of a file. Raises ``OSError``."""
    replace_file(book_path(path), msgspec.json.encode(book), syncs=syncs)


def present_path(path: Path) -> Path:
    """The roll that takes rows now. Raises ``OSError`` and ``StoreError``."""
    book = read_book(path)
    return path if book is None else roll_path(path, book.roll)
