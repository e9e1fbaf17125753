"""Makes the ROOT file of a closed roll: ``python -m enrgdaq.daq.store.root.finish FOLDER``.

A process of its own: compressing must not slow the store down. It can be killed at any
moment and started again; the file appears under its name whole, and the journals go after it.
"""

import argparse
import ctypes
import errno
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa

from enrgdaq.daq.store.arrow_journal import flushes, journal_schema
from enrgdaq.daq.store.provenance import OriginRow, provenance
from enrgdaq.daq.store.root.branches import (
    branch_types,
    branch_values,
    check_columns,
    counter_name,
    null_name,
)
from enrgdaq.daq.store.root.roll import DONE_SUFFIX, RollPlan, read_plan
from enrgdaq.daq.store.sidecar import write_sidecar
from enrgdaq.daq.store.syncing import sync_path
from enrgdaq.daq.units import unit_of
from enrgdaq.errors import NameInUseError, StoreError
from enrgdaq.transport.lock import NameLock

LATER: Final = 75
PROVENANCE_KEY: Final = "enrgdaq_provenance"
UNFINISHED: Final = "unfinished.root"
_NAME_FILE: Final = "name"
_BASKET_BYTES: Final = 16 << 20  # of all branches together: an `extend` costs a millisecond
_PR_SET_PDEATHSIG: Final = 1
_NICENESS: Final = 5
_LOCK_WAIT_SECONDS: Final = 30.0


def finish(folder: Path) -> Path | None:
    """Write and publish the file of a closed roll; where it is, or ``None`` for no rows.

    Raises ``OSError`` for what may be better later, :class:`StoreError` for damaged journals.
    """
    unfinished = folder / UNFINISHED
    published = _published(folder, unfinished)
    plan = read_plan(folder)
    trees = {tree: folder / name for tree, name in plan.trees.items()}
    trees = {tree: path for tree, path in trees.items() if path.exists() and _rows_in(path)}
    if published is None and trees:
        _write(unfinished, plan, trees)
        published = _publish(folder, unfinished, plan.file_name)
    if published is not None and published.exists():
        facts = plan.facts
        facts.rows = sum(_rows_in(path) for path in trees.values())
        found = [row.origin for path in trees.values() for row in _survey(path)[1]]
        facts.origins = list(dict.fromkeys(found))
        write_sidecar(published, "root", facts, read_only=plan.read_only)
    sync_path(folder.parent)
    # At once and as a whole: of journals that are half gone a second file would be made.
    shutil.rmtree(folder.rename(folder.with_suffix(DONE_SUFFIX)))
    return published


def _write(path: Path, plan: RollPlan, trees: dict[str, Path]) -> None:
    import uproot

    compress = getattr(uproot, plan.compression_type)(plan.compression_level)
    origin: dict[str, Any] = {"roll_id": plan.roll_id, "began": plan.began, "trees": {}}
    with uproot.recreate(path, compression=compress) as file:
        for tree, journal in trees.items():
            origin["trees"][tree] = _write_tree(file, tree, journal)
        file[PROVENANCE_KEY] = msgspec.json.encode(origin).decode()
    sync_path(path)


def _write_tree(file: Any, tree: str, journal: Path) -> dict[str, Any]:
    schema, attributes = journal_schema(journal)
    kinds = check_columns(schema)
    with_nulls, origins = _survey(journal)
    written = file.mktree(
        tree,
        branch_types(kinds, with_nulls),
        counter_name=lambda name: counter_name(name, kinds),
    )
    for rows in _pieces(journal, schema):
        written.extend(branch_values(rows, kinds, with_nulls))
    units = {field.name: kinds[field.name].unit or unit_of(field) for field in schema}
    return {
        **(provenance(origins[0].origin) if origins else {}),
        **attributes,
        "origins": [row.in_words() for row in origins],
        "units": {name: unit for name, unit in units.items() if unit},
        "columns": {field.name: str(field.type) for field in schema},
        "null_branches": {name: null_name(name, kinds) for name in with_nulls},
    }


def _pieces(journal: Path, schema: pa.Schema) -> Iterator[pa.Table]:
    waiting: list[Any] = []
    size = 0
    for flush in flushes(journal):
        waiting += flush.batches
        size += sum(batch.nbytes for batch in flush.batches)
        if size >= _BASKET_BYTES:
            yield pa.Table.from_batches(waiting, schema)
            waiting, size = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting, schema)


def _survey(journal: Path) -> tuple[list[str], list[OriginRow]]:
    """Columns in which values are missing, and where the rows come from."""
    found: dict[str, None] = {}
    origins: list[OriginRow] = []
    for flush in flushes(journal):
        origins += flush.mark.origins
        for batch in flush.batches:
            found |= {
                name: None
                for name, column in zip(batch.schema.names, batch.columns, strict=True)
                if column.null_count
            }
    return list(found), origins


def _rows_in(journal: Path) -> int:
    rows = 0
    for flush in flushes(journal):
        rows = flush.mark.rows
    return rows


def _published(folder: Path, unfinished: Path) -> Path | None:
    """Where an earlier attempt has put the file, if it came so far."""
    name = folder / _NAME_FILE
    if not name.exists():
        return None
    if unfinished.exists() and unfinished.stat().st_nlink == 1:
        return None
    return folder.parent / name.read_text()


def _publish(folder: Path, unfinished: Path, file_name: str) -> Path:
    """Give the file its name, or ``name_1``, ``name_2``, …: no file is ever overwritten."""
    wanted = folder.parent / file_name
    number = 0
    while True:
        path = wanted if not number else wanted.with_stem(f"{wanted.stem}_{number}")
        number += 1
        if path.exists():
            continue
        (folder / _NAME_FILE).write_text(path.name)
        # After a power cut it must be known for certain whether the next step was done.
        sync_path(folder / _NAME_FILE)
        sync_path(folder)
        try:
            # A link and not a rename, which would overwrite what came there this moment. Two
            # names for one file tell the next attempt that this was done.
            os.link(unfinished, path)
        except FileExistsError:
            continue
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
                raise
            unfinished.rename(path)  # a file system without links
        return path


class Outcome(msgspec.Struct, kw_only=True):
    """What became of a closed roll."""

    code: int
    """0: done; 75: may be better later; 1: the roll cannot be read."""
    text: str = ""
    """The file, or the reason."""


def outcome(folder: Path) -> Outcome:
    """Finish a roll that nobody else is finishing."""
    lock = NameLock(folder / "lock")
    try:
        # The process before this one may still be dying.
        lock.acquire(wait_seconds=_LOCK_WAIT_SECONDS)
        return Outcome(code=0, text=str(finish(folder) or ""))
    except (OSError, NameInUseError) as error:
        if not folder.exists():
            return Outcome(code=0)  # that process has done it
        return Outcome(code=LATER, text=str(error))
    except (StoreError, pa.ArrowException) as error:
        return Outcome(code=1, text=str(error))
    finally:
        lock.release()


def _asked_folder() -> Path:
    parser = argparse.ArgumentParser(
        prog="python -m enrgdaq.daq.store.root.finish",
        description="Make the ROOT file of a roll that its store has closed and not finished."
        " The store's next start does the same.",
    )
    parser.add_argument("folder", type=Path, help="a hidden folder that ends in .closed")
    folder: Path = parser.parse_args().folder
    if not folder.is_dir():
        parser.error(f"{folder}: no such folder; those to be finished end in .closed")
    return folder


def main() -> int:
    """Finish the folder of the command line, or those of which each line of stdin names one."""
    if len(sys.argv) > 1 or sys.stdin.isatty():
        found = outcome(_asked_folder())
        sys.stdout.write(f"{found.text}\n")
        return found.code
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        return LATER  # the store is gone already
    os.nice(_NICENESS)
    import awkward  # noqa: F401 - now, not when a stop waits for it
    import uproot  # noqa: F401

    for line in sys.stdin:
        sys.stdout.buffer.write(msgspec.json.encode(outcome(Path(line.rstrip("\n")))) + b"\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
