"""A roll: the journals of one ROOT file until it is finished.

======================== =======================================================
``.x.root.ID.roll/``     takes rows: ``roll.json``, and a journal per tree
``.x.root.ID.closed/``   takes none any more: the finisher makes the file of it
``.x.root.ID.done/``     its file is published; to be removed
``.x.root.marks``        ring positions up to which rows are in closed rolls
======================== =======================================================

Every step is one rename, so a kill leaves the roll before or after it.
"""

import contextlib
import datetime as dt
import logging
import shutil
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa

from enrgdaq.daq.store.arrow_journal import ArrowJournal, journal_schema, journal_watermarks
from enrgdaq.daq.store.journal import replace_file
from enrgdaq.daq.store.models import DAQJobStoreConfigROOT
from enrgdaq.daq.store.rolls import Facts, Piece
from enrgdaq.daq.store.syncing import make_folder, sync_path
from enrgdaq.errors import StoreError

OPEN_SUFFIX: Final = ".roll"
CLOSED_SUFFIX: Final = ".closed"
DONE_SUFFIX: Final = ".done"
_UNFINISHED_SUFFIX: Final = ".new"
PLAN_FILE: Final = "roll.json"


class RollPlan(msgspec.Struct, kw_only=True):
    """What the finisher must know."""

    roll_id: str
    file_name: str
    """Of the ROOT file to be; the folder is that in which the roll lies."""
    compression_type: str
    compression_level: int
    began: str
    """UTC, ISO 8601."""
    trees: dict[str, str] = {}
    """Tree -> its journal's file name."""
    facts: Facts = msgspec.field(default_factory=Facts)
    """Without rows and origins, which the journals have."""
    read_only: bool = False
    """Whether the finished file is to be."""


class Roll:
    """The roll at a path that takes rows."""

    def __init__(
        self,
        path: Path,
        settings: DAQJobStoreConfigROOT,
        log: logging.Logger,
        *,
        syncs: bool = False,
    ) -> None:
        """Go on with the roll that a crash has left, or begin one. Raises ``OSError``."""
        self.path = path
        self.used_at = time.monotonic()
        self._log = log
        self._syncs = syncs
        self._journals: dict[str, ArrowJournal] = {}
        make_folder(path.parent, syncs=syncs)
        found = find_roll(path)
        if found is None:
            found = _new_roll(path, settings, syncs=syncs)
        self.folder = found
        self.plan = read_plan(found)
        self._untouched = {
            tree: found / name for tree, name in self.plan.trees.items() if (found / name).exists()
        }

    @property
    def length(self) -> int:
        """Bytes in all journals."""
        untouched = sum(path.stat().st_size for path in self._untouched.values())
        return untouched + sum(journal.length for journal in self._journals.values())

    def journal(self, tree: str, schema: pa.Schema, attributes: dict[str, str]) -> ArrowJournal:
        """The journal of a tree; made where there is none.

        Raises ``OSError``. One that is damaged is set aside with an alarm.
        """
        journal = self._journals.get(tree)
        if journal is not None:
            return journal
        if tree not in self.plan.trees:
            # In the plan before it is there, so that no journal is ever forgotten.
            self.plan.trees[tree] = f"{len(self.plan.trees)}.arrow"
            self._write_plan()
        where = self.folder / self.plan.trees[tree]
        marks = read_marks(self.path).get(tree, {})
        try:
            journal = ArrowJournal(where, schema, marks, attributes, syncs=self._syncs)
        except StoreError as error:
            self._set_aside(where, error)
            journal = ArrowJournal(where, schema, marks, attributes, syncs=self._syncs)
        self._journals[tree] = journal
        self._untouched.pop(tree, None)
        return journal

    def begin(self, first: Piece) -> Facts:
        """What is in the roll, which the piece begins if there is nothing. ``OSError``."""
        facts = self.plan.facts
        if not facts.first_ns and first.time_ns:
            # Now: the end of its period must be known after a kill too.
            facts.first_ns = first.time_ns
            self._write_plan()
        rows = sum(journal.rows for journal in self._journals.values())
        return Facts(rows=rows, first_ns=facts.first_ns)

    def note_last(self, pieces: Sequence[Piece]) -> None:
        """These are in the roll."""
        self.plan.facts.last_ns = max(self.plan.facts.last_ns, *(piece.time_ns for piece in pieces))

    def close(self, *, read_only: bool = False) -> Path:
        """Take no more rows; returns the folder for the finisher. Raises ``OSError``."""
        self.plan.read_only = read_only
        self._write_plan()
        marks = read_marks(self.path)
        for tree, path in self._untouched.items():
            with contextlib.suppress(StoreError):  # the finisher tells of it
                marks[tree] = journal_watermarks(path)
        for tree, journal in self._journals.items():
            marks[tree] = journal.watermarks
        # First: a record that is replayed after this must not begin the next roll.
        replace_file(marks_path(self.path), msgspec.json.encode(marks), syncs=self._syncs)
        for journal in self._journals.values():
            journal.close()
        closed = self.folder.with_suffix(CLOSED_SUFFIX)
        self.folder.rename(closed)
        if self._syncs:
            sync_path(closed.parent)
        return closed

    def _write_plan(self) -> None:
        plan = msgspec.json.encode(self.plan)
        replace_file(self.folder / PLAN_FILE, plan, syncs=self._syncs)

    def _set_aside(self, where: Path, error: StoreError) -> None:
        number = 1
        name = f"{self.path.name}.broken{number}.arrow"
        while (aside := self.path.with_name(name)).exists():
            number += 1
            name = f"{self.path.name}.broken{number}.arrow"
        where.rename(aside)
        self._log.error("%s; it was kept as %s, and a new journal begins", error, aside)


def find_roll(path: Path) -> Path | None:
    """The folder of the roll that takes rows for a path."""
    return next(path.parent.glob(f".{_escaped(path.name)}.*{OPEN_SUFFIX}"), None)


def left_behind(out_dir: Path) -> tuple[list[Path], list[Path]]:
    """Rolls below a folder from an earlier life: files that still take rows, closed folders.

    Removes what is done with or was never begun. Raises ``OSError`` and :class:`StoreError`.
    """
    for pattern in (f".*.????????{DONE_SUFFIX}", f".*.????????{_UNFINISHED_SUFFIX}"):
        for folder in list(out_dir.rglob(pattern)):
            if folder.is_dir():
                shutil.rmtree(folder)
    rolls = [
        out_dir / folder.relative_to(out_dir).parent / read_plan(folder).file_name
        for folder in out_dir.rglob(f".*{OPEN_SUFFIX}")
    ]
    return rolls, sorted(out_dir.rglob(f".*{CLOSED_SUFFIX}"), key=closed_at)


def closed_at(folder: Path) -> int:
    """When a roll was closed, ns: in this order files get their numbers."""
    plan = folder / PLAN_FILE
    return plan.stat().st_mtime_ns if plan.exists() else 0


def schema_in_roll(path: Path, tree: str) -> pa.Schema | None:
    """Columns of a tree in the roll that takes rows; finished files are never gone on with."""
    folder = find_roll(path)
    if folder is None:
        return None
    journal = folder / read_plan(folder).trees.get(tree, "-")
    return journal_schema(journal)[0] if journal.exists() else None


def read_plan(folder: Path) -> RollPlan:
    """What is written in a roll's folder. Raises ``OSError`` and :class:`StoreError`."""
    try:
        return msgspec.json.decode((folder / PLAN_FILE).read_bytes(), type=RollPlan)
    except msgspec.MsgspecError as error:
        raise StoreError(f"{folder / PLAN_FILE}: cannot be read ({error}); restore it") from error


def marks_path(path: Path) -> Path:
    """``.name.marks`` beside the data file."""
    return path.with_name(f".{path.name}.marks")


def read_marks(path: Path) -> dict[str, dict[str, int]]:
    """Tree -> ring -> position that is in a closed roll. Raises :class:`StoreError`."""
    where = marks_path(path)
    try:
        return msgspec.json.decode(where.read_bytes(), type=dict[str, dict[str, int]])
    except FileNotFoundError:
        return {}
    except msgspec.MsgspecError as error:
        raise StoreError(f"{where}: cannot be read ({error}); restore or remove it") from error


def _new_roll(path: Path, settings: DAQJobStoreConfigROOT, *, syncs: bool) -> Path:
    roll_id = uuid.uuid4().hex
    plan = RollPlan(
        roll_id=roll_id,
        file_name=path.name,
        compression_type=settings.compression_type,
        compression_level=settings.compression_level,
        began=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        facts=Facts(begun_ns=time.time_ns()),
    )
    unfinished = path.with_name(f".{path.name}.{roll_id[:8]}{_UNFINISHED_SUFFIX}")
    unfinished.mkdir()
    replace_file(unfinished / PLAN_FILE, msgspec.json.encode(plan), syncs=syncs)
    made = unfinished.rename(unfinished.with_suffix(OPEN_SUFFIX))
    if syncs:
        sync_path(made.parent)
    return made


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
