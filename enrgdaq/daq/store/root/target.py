"""What the ROOT store keeps between two flushes, tree by tree."""

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from enrgdaq.daq.origins import Origin
from enrgdaq.daq.store.columns import check_values, columns_to_check
from enrgdaq.daq.store.journal import Journal, Position
from enrgdaq.daq.store.models import DAQJobStoreConfigROOT
from enrgdaq.daq.store.provenance import Rows, together, unseen
from enrgdaq.daq.store.rolls import Piece, limits_of, room_for
from enrgdaq.daq.store.root.branches import check_columns
from enrgdaq.daq.store.root.roll import Roll
from enrgdaq.transport import faults
from enrgdaq.transport.memory import MEGABYTE


class ROOTPlace(NamedTuple):
    """A tree in a file."""

    path: Path
    tree: str

    def __str__(self) -> str:
        return f"{self.path} ({self.tree})"


class Rolls:
    """The rolls that take rows, each shared by its trees."""

    def __init__(
        self,
        log: logging.Logger,
        *,
        longest_bytes: float,
        idle_seconds: float,
        syncs: bool = False,
        read_only: bool = False,
    ) -> None:
        self._read_only = read_only
        self.closed: list[Path] = []
        """Folders that wait for the finisher."""
        self.stay_open = False
        """Leave all rolls to the next life."""
        self._log = log
        self._longest_bytes = longest_bytes
        self._idle_seconds = idle_seconds
        self._syncs = syncs
        self._open: dict[Path, Roll] = {}

    @property
    def is_empty(self) -> bool:
        """Whether no roll takes rows."""
        return not self._open

    def roll(self, path: Path, settings: DAQJobStoreConfigROOT) -> Roll:
        """The roll at a path, the next one where it has become too long."""
        roll = self._open.get(path)
        longest = limits_of(settings, self._longest_bytes / MEGABYTE).bytes
        if roll is not None and roll.length >= longest:
            self.close(path)
            roll = None
        if roll is None:
            roll = self._open[path] = Roll(path, settings, self._log, syncs=self._syncs)
        roll.used_at = time.monotonic()
        return roll

    def adopt(self, paths: list[Path]) -> None:
        """Rolls of an earlier life: closed in time when nobody goes on with them."""
        for path in paths:
            self.roll(path, DAQJobStoreConfigROOT(file_path=path.name, tree_name="-"))

    def close_idle(self) -> None:
        """Close what has taken no rows for long. Raises ``OSError``."""
        now = time.monotonic()
        for path, roll in list(self._open.items()):
            if now - roll.used_at >= self._idle_seconds:
                self.close(path)

    def close(self, path: Path) -> None:
        """Close a roll; idempotent. Raises ``OSError``."""
        roll = self._open.get(path)
        if roll is not None and not self.stay_open:
            faults.hit("store.roll")
            self.closed.append(roll.close(read_only=self._read_only))
            faults.hit("store.rolled")
            del self._open[path]

    def close_all(self) -> None:
        """Close all rolls. Raises ``OSError``."""
        for path in list(self._open):
            self.close(path)


class ROOTTarget:
    """Rows for one tree. See :class:`enrgdaq.daq.store.files.StoreTarget`."""

    def __init__(
        self,
        place: ROOTPlace,
        rolls: Rolls,
        settings: DAQJobStoreConfigROOT,
        schema: pa.Schema,
        attributes: dict[str, str],
        origin: Callable[[], Origin],
        times: Callable[[], int] = lambda: 0,
    ) -> None:
        """``attributes`` of a new journal; ``origin`` and ``times`` of the rows at hand."""
        check_columns(schema)
        self._place = place
        self._rolls = rolls
        self._settings = settings
        self._schema = schema
        self._checked = columns_to_check(schema)
        self._attributes = attributes
        self._origin = origin
        self._times = times
        self._limits = limits_of(settings)._replace(bytes=math.inf)  # see Rolls
        self._waiting: list[tuple[Rows, Piece]] = []

    def check(self, body: pa.Table) -> None:
        """See :class:`StoreTarget`."""
        check_values(body, self._checked)

    def put(self, body: pa.Table, position: Position) -> None:
        """See :class:`StoreTarget`."""
        origin = self._origin()
        piece = Piece(position, len(body), self._times(), origin)
        self._waiting.append((Rows(body, position, origin), piece))

    def flush(self, known_rings: set[str]) -> None:
        """See :class:`StoreTarget`. What a replay brings a second time is dropped."""
        while self._waiting:
            roll = self._rolls.roll(self._place.path, self._settings)
            journal = roll.journal(self._place.tree, self._schema, self._attributes)
            marks = Journal(watermarks=dict(journal.watermarks))
            self._waiting = [w for w in self._waiting if not marks.has(w[0].position)]
            if not self._waiting:
                return
            pieces = [piece for _, piece in self._waiting]
            count = room_for(pieces, roll.begin(pieces[0]), 0, self._limits)
            if not count:
                self._rolls.close(self._place.path)
                continue
            fresh = [rows for rows, _ in self._waiting[:count]]
            for rows in fresh:
                marks.note(rows.position)
            marks.forget_rings(known_rings)
            origins = unseen(journal.origins, fresh, journal.rows)
            journal.append(together(fresh), marks.watermarks, origins)
            roll.note_last(pieces[:count])
            del self._waiting[:count]

    def close(self) -> None:
        """See :class:`StoreTarget`. The file is finished."""
        self._rolls.close(self._place.path)
