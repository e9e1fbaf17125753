"""What is written beside a finished file: ``name.csv.json``."""

import datetime as dt
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from enrgdaq import __version__
from enrgdaq.daq.origins import Origin
from enrgdaq.daq.store.journal import replace_file
from enrgdaq.daq.store.rolls import Facts

SIDECAR_SUFFIX: Final = ".json"
_BLOCK_BYTES: Final = 4 << 20
_READ_ONLY: Final = 0o444


class Sidecar(msgspec.Struct, kw_only=True):
    """A finished file in words, and what it must be found to be."""

    enrgdaq_sidecar: int = 1
    """Version of this format."""
    file: str
    format: str
    """``csv``, ``raw``, ``hdf5`` or ``root``."""
    bytes: int
    sha256: str
    rows: int | None = None
    """Of all tables in it; messages of a raw file; unknown where others had written to it."""
    first_record: str | None = None
    """UTC, ISO 8601, as are all times."""
    last_record: str | None = None
    begun: str | None = None
    finished: str
    software: str
    """Which wrote the last of it."""
    origins: list[Origin] = []
    """The jobs, with the texts of their files, whose rows are in it."""


def sidecar_path(path: Path) -> Path:
    """Where the sidecar of a file is."""
    return path.with_name(path.name + SIDECAR_SUFFIX)


def digest(
    path: Path, *, pause: bool = False, note: Callable[[int], None] = lambda _: None
) -> tuple[int, str]:
    """Length and SHA-256 of a file. ``pause``: take at most half of one core; ``note`` is told
    how many bytes are read."""
    found = hashlib.sha256()
    length = 0
    with path.open("rb", buffering=0) as file:
        while True:
            began = time.thread_time()
            block = file.read(_BLOCK_BYTES)
            if not block:
                return length, found.hexdigest()
            found.update(block)
            length += len(block)
            note(length)
            if pause:
                time.sleep(time.thread_time() - began)


def write_sidecar(
    path: Path, kind: str, facts: Facts, *, read_only: bool, pause: bool = False
) -> Path:
    """Write the sidecar of a file that is written no more. Raises ``OSError``."""
    length, checksum = digest(path, pause=pause)
    sidecar = Sidecar(
        file=path.name,
        format=kind,
        bytes=length,
        sha256=checksum,
        rows=facts.rows if facts.is_all else None,
        first_record=_utc(facts.first_ns),
        last_record=_utc(facts.last_ns),
        begun=_utc(facts.begun_ns),
        finished=_utc(time.time_ns()) or "",
        software=f"ENRGDAQ {__version__}",
        origins=facts.origins,
    )
    where = sidecar_path(path)
    text = msgspec.json.format(msgspec.json.encode(sidecar), indent=2)
    replace_file(where, text, syncs=True)
    if read_only:
        for one in (path, where):
            os.chmod(one, one.stat().st_mode & _READ_ONLY)  # noqa: PTH101 - as stat's
    return where


def _utc(time_ns: int) -> str | None:
    if not time_ns:
        return None
    return dt.datetime.fromtimestamp(time_ns / 1e9, dt.UTC).isoformat(timespec="milliseconds")
