"""What a job was when it wrote its rows, for files that say where their rows come from.

A job's file may be edited while earlier rows of the job still wait in its ring. So the
supervisor notes, before each start of a producer, what it starts and from which position of
the ring on. Stores look there; messages carry nothing of it.
"""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from enrgdaq.daq.models import DAQJobInfo


class Origin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A job with one text of its file in one run. What is not known is empty."""

    job: str = "unknown"
    job_type: str = ""
    supervisor: str = ""
    host: str = ""
    software: str = ""
    run_started: str = ""
    """When its supervisor began, UTC, ISO 8601."""
    config_file: str = ""
    config: str = ""
    """Text of the file; secrets are masked, references to the environment stand as they are."""


class _Note(msgspec.Struct, kw_only=True):
    begin: int
    """Ring position from which on records are of this origin."""
    origin: Origin


def origins_path(folder: Path, ring_uuid: str) -> Path:
    """Where the notes of a ring are; one file each, in the supervisor's state folder."""
    return folder / f"{ring_uuid}.json"


def note_origin(path: Path, begin: int, origin: Origin, *, oldest: int = 0) -> None:
    """A ring's records from ``begin`` on are of this origin. Raises ``OSError``.

    Before the job is started, so that no record is there without its note. ``oldest``: what
    ended before this position of the ring is not asked for any more.
    """
    notes = _read(path)
    if notes and notes[-1].origin == origin:
        return
    notes.append(_Note(begin=begin, origin=origin))
    while len(notes) > 1 and notes[1].begin <= oldest:
        del notes[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(notes))
    unfinished.replace(path)


def origin_of(info: DAQJobInfo | None) -> Origin:
    """All that a message itself says of its sender."""
    if info is None:
        return Origin()
    supervisor = info.supervisor_info.supervisor_id if info.supervisor_info else ""
    return Origin(job=info.unique_id, job_type=info.daq_job_type, supervisor=supervisor)


class Origins:
    """The notes of one ring, as one of its readers needs them."""

    def __init__(self, path: Path, head: Callable[[], int]) -> None:
        """``head``: up to where the ring is written now."""
        self._path = path
        self._head = head
        self._known_to = -1
        self._version = (0, 0)
        self._notes: list[_Note] = []

    def at(self, end: int) -> Origin | None:
        """The origin of the record that ends there; ``None`` when nothing was noted."""
        if end > self._known_to:
            # In this order: what is behind the head was noted before it was written.
            self._known_to = self._head()
            self._look()
        return next((note.origin for note in reversed(self._notes) if note.begin < end), None)

    def _look(self) -> None:
        try:
            found = self._path.stat()
        except OSError:
            self._notes, self._version = [], (0, 0)
            return
        version = (found.st_ino, found.st_mtime_ns)
        if version != self._version:
            self._notes, self._version = _read(self._path), version


def _read(path: Path) -> list[_Note]:
    """What is noted; nothing where it cannot be read: files then say less, and stay right."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[_Note])
    except (OSError, msgspec.MsgspecError):
        return []
