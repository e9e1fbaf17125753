"""Names of columns, tables and keys: refused where they are wrong, never rewritten."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from enrgdaq.errors import StoreError

_TABLE: Final = re.compile(r"[A-Za-z0-9_$-]{1,56}")  # MySQL allows 64; _part999 comes behind
_LONGEST_COLUMN: Final = 64
_KEY: Final = re.compile(r"[!-~]{1,200}")
_OWN_KEYS: Final = "enrgdaq:"


def check_distinct(columns: Sequence[str]) -> None:
    """Raise :class:`StoreError` for columns that share a name."""
    if len(set(columns)) != len(columns):
        raise StoreError(f"columns {', '.join(columns)}: each name may be there once")


@lru_cache(maxsize=1024)
def check_table_name(name: str) -> None:
    """Raise :class:`StoreError` for what cannot be the name of an SQL table."""
    if not _TABLE.fullmatch(name) or name.isdigit():
        raise StoreError(
            f"table_name {name!r}: use letters, digits, underscore, dash and $, at most 56, not"
            " digits alone"
        )
    if name.lower().startswith("enrgdaq_"):
        raise StoreError(f"table_name {name!r}: names from enrgdaq_ on are ENRGDAQ's own")


@lru_cache(maxsize=1024)
def check_column_names(names: tuple[str, ...]) -> None:
    """Raise :class:`StoreError` for column names that an SQL table cannot have."""
    for name in names:
        is_plain = name.isprintable() and "`" not in name and name == name.strip()
        if not (is_plain and 0 < len(name) <= _LONGEST_COLUMN and max(name) <= "\uffff"):
            raise StoreError(
                f"column {name!r}: an SQL column has a name of 1 to {_LONGEST_COLUMN} printable"
                " characters, without backticks and outer blanks"
            )
    _check_case(names)


def _check_case(names: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise StoreError(
                f"columns {other!r} and {name!r} are one for SQL, which ignores case: rename one"
            )


@lru_cache(maxsize=1024)
def check_redis_key(key: str) -> None:
    """Raise :class:`StoreError` for what cannot be the beginning of Redis keys."""
    if not _KEY.fullmatch(key):
        raise StoreError(f"key {key!r}: use 1 to 200 printable ASCII characters without blanks")
    if key.startswith(_OWN_KEYS):
        raise StoreError(f"key {key!r}: keys from {_OWN_KEYS} on are ENRGDAQ's own")
