"""Files that roll: a target that hands rows to the target of the roll at hand."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Generic

from enrgdaq.daq.origins import Origin
from enrgdaq.daq.store.files import Body, StoreTarget
from enrgdaq.daq.store.journal import Position
from enrgdaq.daq.store.paths import roll_path
from enrgdaq.daq.store.rolls import (
    Book,
    Facts,
    Limits,
    Marks,
    Piece,
    read_book,
    room_for,
    write_book,
)
from enrgdaq.daq.store.syncing import make_folder
from enrgdaq.errors import StoreError
from enrgdaq.transport import faults

IDLE_SECONDS: Final = 60.0
"""So long after its period, and after its last row, a file is finished."""


class RollingFile:
    """The rolls of one file, whose units (the groups of HDF5) roll together."""

    def __init__(
        self,
        path: Path,
        limits: Limits,
        *,
        marks_in: Callable[[Path], Marks],
        finished: Callable[[Path, Book, Path], None],
        syncs: bool,
    ) -> None:
        """``marks_in`` reads the watermarks of a roll that is closed; ``finished`` is told of
        one, by path, book and path of the first, before the next begins."""
        self.path = path
        self.units: dict[str, RollingTarget[Any]] = {}
        self._limits = limits
        self._marks_in = marks_in
        self._finished = finished
        self._syncs = syncs
        self._book: Book | None = None
        self._used_at = time.monotonic()

    @property
    def book(self) -> Book:
        """What is remembered; read when it is first needed. Raises ``OSError``, ``StoreError``."""
        if self._book is None:
            book = read_book(self.path)
            if book is None:
                # Before the first row: a file without a book had rows that nobody counted.
                make_folder(self.path.parent, syncs=self._syncs)
                is_new = not self.path.exists() or not self.path.stat().st_size
                book = Book(facts=Facts(begun_ns=time.time_ns(), is_all=is_new))
                write_book(self.path, book, syncs=self._syncs)
            self._book = book
        return self._book

    @property
    def present(self) -> Path:
        """The roll that takes rows."""
        return roll_path(self.path, self.book.roll)

    def room_for(self, pieces: list[Piece]) -> int:
        """How many of these go into the present roll."""
        self._used_at = time.monotonic()
        present = self.present
        size = present.stat().st_size if present.exists() else 0
        return room_for(pieces, self.book.facts, size, self._limits)

    def count(self, unit: str, pieces: list[Piece], known_rings: set[str]) -> None:
        """These are in the present roll. Raises ``OSError``; can be called again."""
        self.book.count(unit, pieces, known_rings)
        write_book(self.path, self.book, syncs=self._syncs)

    def is_over(self, now_ns: int) -> bool:
        """Whether the present roll waits in vain for rows of its period."""
        idle = time.monotonic() - self._used_at
        facts = self.book.facts
        over_ns = self._limits.end_ns(facts.first_ns) + IDLE_SECONDS * 1e9
        return bool(facts.rows) and idle >= IDLE_SECONDS and now_ns >= over_ns

    def roll(self, known_rings: set[str]) -> None:
        """Finish the present roll and begin the next. Raises ``OSError``; can be called again.

        The next begins with one change of the book: a kill leaves this roll or the next.
        """
        present = self.present
        for unit in self.units.values():
            unit.close_roll()
        marks = self._marks_in(present)
        faults.hit("store.roll")
        self._finished(present, self.book, self.path)
        book = self.book.following(marks, known_rings)
        write_book(self.path, book, syncs=self._syncs)
        self._book = book
        faults.hit("store.rolled")


class Hand:
    """What is given to a target at the moment."""

    origin: Origin | None = None


class RollingTarget(Generic[Body]):
    """One unit of a rolling file. See :class:`enrgdaq.daq.store.files.StoreTarget`."""

    def __init__(
        self,
        file: RollingFile,
        unit: str,
        make: Callable[[Path], StoreTarget[Body]],
        describe: Callable[[Body], tuple[int, int, Origin]],
        hand: Hand,
    ) -> None:
        """``make`` gives what writes a roll, and opens nothing yet; ``describe`` tells rows,
        time and origin of the body at hand."""
        self._hand = hand
        self._file = file
        self._unit = unit
        self._make = make
        self._describe = describe
        self._roll = 1
        self._target = make(file.path)
        self._waiting: list[tuple[Body, Piece]] = []
        self._handed: list[Piece] = []
        file.units[unit] = self

    def check(self, body: Body) -> None:
        """See :class:`StoreTarget`."""
        self._target.check(body)

    def put(self, body: Body, position: Position) -> None:
        """See :class:`StoreTarget`."""
        self._waiting.append((body, Piece(position, *self._describe(body))))

    def flush(self, known_rings: set[str]) -> None:
        """See :class:`StoreTarget`."""
        while self._handed or self._waiting:
            if not self._handed and not self._hand_over(known_rings):
                continue
            self._target.flush(known_rings)
            self._file.count(self._unit, self._handed, known_rings)
            self._handed.clear()

    def _hand_over(self, known_rings: set[str]) -> bool:
        """Give the present roll what it has room for; begin the next where it has none."""
        file = self._file
        self._waiting = [w for w in self._waiting if not file.book.has(self._unit, w[1].position)]
        if not self._waiting:
            return False
        count = file.room_for([piece for _, piece in self._waiting])
        if not count:
            file.roll(known_rings)
            return False
        if self._roll != file.book.roll:
            self._target.close()
            self._target = self._make(file.present)
            self._roll = file.book.roll
        for body, piece in self._waiting[:count]:
            self._hand.origin = piece.origin
            self._target.put(body, piece.position)
        self._hand.origin = None
        # What it has taken must not be handed to it again when its flush is retried.
        self._handed = [piece for _, piece in self._waiting[:count]]
        del self._waiting[:count]
        return True

    def close_roll(self) -> None:
        """Close what writes the present roll."""
        self._target.close()
        self._target = self._make(self._file.present)
        self._roll = self._file.book.roll

    def close(self) -> None:
        """See :class:`StoreTarget`."""
        self._target.close()
        self._file.units.pop(self._unit, None)


class RollingFiles:
    """The rolling files of a store."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._files: dict[Path, RollingFile] = {}
        self._left: dict[Path, RollingFile] = {}
        """Begun in an earlier life, and without rows in this one so far."""
        self._trouble = ""
        self._looked_at = time.monotonic()

    def file(self, path: Path, make: Callable[[], RollingFile]) -> RollingFile:
        """The file at a path. The limits of the job that comes first count."""
        for closed in [p for p, file in self._files.items() if not file.units]:
            del self._files[closed]
        if path not in self._files:
            self._files[path] = self._left.pop(path) if path in self._left else make()
        return self._files[path]

    def take_up(self, path: Path, make: Callable[[], RollingFile]) -> None:
        """Finish a file in time if nobody goes on with it."""
        if path not in self._files and path not in self._left:
            self._left[path] = make()

    def finish_what_is_over(self, known_rings: set[str]) -> None:
        """Finish files whose day or period is over; looks once a second."""
        if time.monotonic() - self._looked_at < 1.0:
            return
        self._looked_at = time.monotonic()
        try:
            for file in (*self._files.values(), *self._left.values()):
                if file.is_over(time.time_ns()):
                    file.roll(known_rings)
        except (OSError, StoreError) as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                self._log.error("a file cannot be finished yet: %s", error)
        else:
            self._trouble = ""
