"""Where a store message's data goes below the store's ``out_dir``. Pure functions."""

import datetime as dt
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Final

from enrgdaq.daq.store.models import DAQJobMessageStore, DAQJobStoreConfigFile
from enrgdaq.errors import StoreError

_TAG: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_ROLL: Final = re.compile(r"\.roll[0-9]+$")
_RESERVED: Final = frozenset({"logs", "state", "set-aside", "spool"})
_LONGEST_NAME: Final = 140  # bytes
_LONGEST_TAGGED: Final = 200  # bytes; leaves room in 255 for date, part, roll and journal
_LONGEST_PATH: Final = 1024  # bytes; systems have 4096, with out_dir
_SIDECAR: Final = re.compile(r"\.[^./]+\.json$")
_DOUBLE_SUFFIXES: Final = (".csv.zst", ".csv.gz", ".tar.gz")


def check_tag(tag: str | None) -> None:
    """Raise :class:`StoreError` for a tag that cannot be part of a file name."""
    if tag is not None and not _TAG.fullmatch(tag):
        raise StoreError(f"tag {tag!r}: use letters, digits, dot, dash and underscore, at most 80")
    if tag is not None and _ROLL.search(tag):
        raise StoreError(f"tag {tag!r}: names that end in .roll and a number are those of rolls")


@lru_cache(maxsize=1024)
def check_file_path(file_path: str) -> None:
    """Raise :class:`StoreError` for a path that leaves the store's folder."""
    path = PurePosixPath(file_path)
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise StoreError(
            f"file_path {file_path!r} must name a file below the store's out_dir;"
            " set out_dir of the store to write elsewhere"
        )
    if any(part.startswith(".") for part in path.parts) or path.parts[0] in _RESERVED:
        raise StoreError(
            f"file_path {file_path!r}: hidden files and the folders {', '.join(sorted(_RESERVED))}"
            " are kept for ENRGDAQ itself"
        )
    if max(len(part.encode()) for part in path.parts) > _LONGEST_NAME:
        raise StoreError(f"file_path {file_path!r} has a name longer than {_LONGEST_NAME} bytes")
    if len(file_path.encode()) > _LONGEST_PATH:
        raise StoreError(f"file_path {file_path!r:.80}... is longer than {_LONGEST_PATH} bytes")
    if _SIDECAR.search(path.name):
        raise StoreError(
            f"file_path {file_path!r}: names such as data.csv.json are those of sidecars"
        )
    if _ROLL.search(_without_suffix(path.name)[0]):
        raise StoreError(
            f"file_path {file_path!r}: names that end in .roll and a number are those of rolls"
        )
    if any(ord(character) < 32 or ord(character) == 127 for character in file_path):
        raise StoreError(f"file_path {file_path!r} has control characters")


def check_name_length(file_path: str, tag: str | None) -> None:
    """Raise :class:`StoreError` for a name that is too long with its tag."""
    name = PurePosixPath(file_path).name
    if tag is not None and len(name.encode()) + 1 + len(tag) > _LONGEST_TAGGED:
        raise StoreError(
            f"file_path {file_path!r} with tag {tag!r} makes a name longer than {_LONGEST_TAGGED}"
            " bytes: shorten one of them"
        )


def check_place(path: Path, others: Iterable[Path]) -> None:
    """Raise :class:`StoreError` for a file where a folder is, or below another file.

    ``others``: files that are about to be made.
    """
    for other in others:
        if path != other and (path.is_relative_to(other) or other.is_relative_to(path)):
            raise StoreError(f"{path} and {other}: one would have to be a folder; rename one")
    try:
        is_folder = path.is_dir()
        above = next((parent for parent in path.parents if parent.exists()), path.parent)
        is_below_file = above.is_file()
    except OSError:
        # Not the message's fault. The flush meets it again, says so and waits.
        return
    if is_folder:
        raise StoreError(f"{path} is a folder; give the file another name")
    if is_below_file:
        raise StoreError(f"{path}: {above} is a file, not a folder; rename one of them")


def message_path(
    out_dir: Path, settings: DAQJobStoreConfigFile, message: DAQJobMessageStore, part: int = 1
) -> Path:
    """File for a message, by its backend's section. Raises :class:`StoreError`."""
    if message.timestamp is None:
        raise StoreError("the message has no time")
    return data_path(
        out_dir,
        settings.stored_path,
        add_date=settings.add_date,
        timestamp=message.timestamp,
        tag=message.tag,
        part=part,
    )


def data_path(
    out_dir: Path,
    file_path: str,
    *,
    add_date: bool,
    timestamp: dt.datetime,
    tag: str | None = None,
    part: int = 1,
) -> Path:
    """File for a message: ``out_dir/sub/YYYY-MM-DD_name_tag.part2.ext``.

    The date is the UTC date of the *record*, so that a replay after midnight goes where the
    first attempt went.
    """
    try:
        day = timestamp.astimezone(dt.UTC).date() if add_date else None
    except (ValueError, OverflowError) as error:
        raise StoreError(f"its time {timestamp} has no date in UTC: {error}") from error
    return _data_path(out_dir, file_path, day, tag, part)


@lru_cache(maxsize=1024)  # it takes longer than to keep a small message
def _data_path(
    out_dir: Path, file_path: str, day: dt.date | None, tag: str | None, part: int
) -> Path:
    check_file_path(file_path)
    check_tag(tag)
    check_name_length(file_path, tag)
    path = PurePosixPath(file_path)
    stem, suffix = _without_suffix(path.name)
    if tag is not None:
        stem = f"{stem}_{tag}"
    if part > 1:
        stem = f"{stem}.part{part}"
    if day is not None:
        stem = f"{day:%Y-%m-%d}_{stem}"
    return out_dir / path.parent / f"{stem}{suffix}"


def roll_path(path: Path, roll: int) -> Path:
    """The file of a roll; ``path`` is that of the first."""
    if roll == 1:
        return path
    stem, suffix = _without_suffix(path.name)
    return path.with_name(f"{stem}.roll{roll:04d}{suffix}")


def _without_suffix(name: str) -> tuple[str, str]:
    suffix = next((s for s in _DOUBLE_SUFFIXES if name.endswith(s)), PurePosixPath(name).suffix)
    return (name[: len(name) - len(suffix)], suffix) if suffix else (name, "")
