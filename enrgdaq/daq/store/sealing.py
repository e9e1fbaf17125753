"""Sidecars of finished files, off the store's thread.

A file that is finished is first noted in a folder of its own, so that a kill before its
sidecar is there is made good by the next life.
"""

import logging
import os
import threading
import time
import uuid
from collections import deque
from pathlib import Path
from typing import Final

import msgspec

from enrgdaq.daq.store.journal import remove_journal, replace_file
from enrgdaq.daq.store.rolls import Book, Facts, read_book
from enrgdaq.daq.store.sidecar import write_sidecar
from enrgdaq.daq.store.syncing import make_folder
from enrgdaq.errors import StoreError
from enrgdaq.transport import faults

_NICENESS: Final = 10
_RETRY_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.02


class _Ticket(msgspec.Struct, kw_only=True):
    """A finished file without a sidecar. Paths are relative to the store's folder."""

    file: str
    first: str
    """The first roll."""
    roll: int
    facts: Facts


class Sealer:
    """Seals one file after the other on a thread with low priority."""

    def __init__(
        self, out_dir: Path, name: str, kind: str, log: logging.Logger, *, read_only: bool
    ) -> None:
        """``name``: of the store's kind; two kinds may write below one folder."""
        self._out_dir = out_dir
        self._folder = out_dir / f".{name}.finished"
        self._kind = kind
        self._log = log
        self._read_only = read_only
        self._coming: list[Path] = []
        self._tickets: deque[Path] = deque()
        self._has_looked = False
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def note(self, path: Path, book: Book, first: Path) -> None:
        """A roll takes no more rows, once the next has begun. Raises ``OSError``."""
        make_folder(self._folder, syncs=True)
        ticket = _Ticket(
            file=str(path.relative_to(self._out_dir)),
            first=str(first.relative_to(self._out_dir)),
            roll=book.roll,
            facts=book.facts,
        )
        where = self._folder / f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.json"
        replace_file(where, msgspec.json.encode(ticket), syncs=True)
        self._coming.append(where)

    def look(self) -> None:
        """Begin with what was noted, also in an earlier life. Raises ``OSError``."""
        if not self._has_looked:
            for torn in self._folder.glob("*.new"):
                torn.unlink()
            self._tickets.extend(sorted(set(self._folder.glob("*.json")) - set(self._coming)))
            self._has_looked = True
        # Not before the next roll has begun, which it had not when they were noted.
        self._tickets.extend(self._coming)
        self._coming.clear()
        if self._tickets and (self._thread is None or not self._thread.is_alive()):
            self._thread = threading.Thread(target=self._work, name="seal", daemon=True)
            self._thread.start()

    def close(self, seconds: float) -> bool:
        """Wait for what is left, so long at most; whether all is done."""
        deadline = time.monotonic() + seconds
        self.look()
        while self._tickets and time.monotonic() < deadline:
            self.look()
            time.sleep(_LOOK_SECONDS)
        self._is_closed = True
        return not self._tickets

    def _work(self) -> None:
        # Of this thread alone.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        while self._tickets and not self._is_closed:
            ticket = self._tickets[0]
            try:
                self._seal(msgspec.json.decode(ticket.read_bytes(), type=_Ticket))
            except FileNotFoundError as error:
                self._log.warning("%s is gone; it has no sidecar", error.filename)
            except (OSError, StoreError, msgspec.MsgspecError) as error:
                self._log.error("a finished file has no sidecar yet: %s", error)
                time.sleep(_RETRY_SECONDS)
                continue
            ticket.unlink(missing_ok=True)
            self._tickets.popleft()

    def _seal(self, ticket: _Ticket) -> None:
        path = self._out_dir / ticket.file
        book = read_book(self._out_dir / ticket.first)
        if book is None or book.roll <= ticket.roll:
            return  # killed before the next had begun: it is not finished
        faults.hit("store.seal")
        write_sidecar(path, self._kind, ticket.facts, read_only=self._read_only, pause=True)
        # What it says stands in the book's marks now.
        remove_journal(path)
        self._log.info("finished %s", path)
