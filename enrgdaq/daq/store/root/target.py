"""What the ROOT store keeps between two flushes, tree by tree."""

import logging
import time
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from enrgdaq.daq.store.columns import check_items
from enrgdaq.daq.store.journal import Journal, Position
from enrgdaq.daq.store.models import DAQJobStoreConfigROOT
from enrgdaq.daq.store.root.branches import check_columns
from enrgdaq.daq.store.root.roll import Roll


class ROOTPlace(NamedTuple):
    """A tree in a file."""

    path: Path
    tree: str

    def __str__(self) -> str:
        return f"{self.path} ({self.tree})"


class Rolls:
    """The rolls that take rows, each shared by its trees."""

    def __init__(
        self, log: logging.Logger, *, longest_bytes: float, idle_seconds: float, syncs: bool = False
    ) -> None:
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
        if roll is not None and roll.length >= self._longest_bytes:
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
            self.closed.append(roll.close())
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
    ) -> None:
        check_columns(schema)
        self._place = place
        self._rolls = rolls
        self._settings = settings
        self._schema = schema
        self._attributes = attributes
        self._waiting: list[tuple[pa.Table, Position]] = []

    def put(self, body: pa.Table, position: Position) -> None:
        """See :class:`StoreTarget`. Raises :class:`StoreError` for rows that cannot be written."""
        check_items(body)
        self._waiting.append((body, position))

    def flush(self, known_rings: set[str]) -> None:
        """See :class:`StoreTarget`. What a replay brings a second time is dropped."""
        if not self._waiting:
            return
        roll = self._rolls.roll(self._place.path, self._settings)
        journal = roll.journal(self._place.tree, self._schema, self._attributes)
        marks = Journal(watermarks=dict(journal.watermarks))
        fresh = [(rows, position) for rows, position in self._waiting if not marks.has(position)]
        if fresh:
            for _, position in fresh:
                marks.note(position)
            marks.forget_rings(known_rings)
            journal.append(pa.concat_tables([rows for rows, _ in fresh]), marks.watermarks)
        self._waiting.clear()

    def close(self) -> None:
        """See :class:`StoreTarget`. The file is finished."""
        self._rolls.close(self._place.path)
