"""Frames of a serial line in, typed values out. No input or output happens here."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import xor
from typing import Annotated, Any, Literal, Protocol

from msgspec import Meta, Struct

from enrgdaq.errors import EnrgdaqError

Value = float | int | str | bool | None
ColumnType = Literal["float", "int", "hex", "bool", "str"]

_TRUE = frozenset({"1", "true", "on", "yes"})
_FALSE = frozenset({"0", "false", "off", "no"})
_INT64 = range(-(2**63), 2**63)


class BadFrameError(EnrgdaqError):
    """A frame does not follow the format; the text is the reason."""


class SerialColumn(Struct, kw_only=True, forbid_unknown_fields=True):
    """``[[columns]]``: one value of a frame."""

    name: Annotated[str, Meta(pattern=r"\A[A-Za-z_]\w*\Z", description="name of the stored column")]
    type: Annotated[
        ColumnType, Meta(description="type of the value; hex: integer with hexadecimal digits")
    ] = "float"
    unit: Annotated[
        str,
        Meta(
            pattern=r"\A[A-Za-z0-9_]*\Z",
            description="unit, added to the column's name: degC makes temperature_degC",
        ),
    ] = ""
    source: Annotated[
        str | int | None,
        Meta(
            description="where the value stands: position from 0 (csv, nmea), named group "
            "(regex), key or dotted path (json); by default in order (csv) or the name"
        ),
    ] = None
    allow_empty: Annotated[
        bool, Meta(description="store an empty or missing value as empty; else it is an error")
    ] = False

    @property
    def stored_name(self) -> str:
        """Column name with the unit."""
        return f"{self.name}_{self.unit}" if self.unit else self.name


class FrameParser(Protocol):
    """Turns a frame into one value per column."""

    def parse(self, frame: bytes) -> list[Value] | None:
        """The values in the order of the columns; ``None`` for a frame that is not wanted.

        Raises :class:`BadFrameError`.
        """


class CSVParser:
    """Values between separators. A separator of one blank means any run of blanks.

    Without explicit positions a frame must have exactly as many fields as there are columns.
    """

    def __init__(self, columns: Sequence[SerialColumn], separator: str, encoding: str) -> None:
        self._columns = columns
        self._separator = None if separator == " " else separator
        self._encoding = encoding
        self._is_exact = all(column.source is None for column in columns)
        self._positions = _positions(columns)

    def parse(self, frame: bytes) -> list[Value]:
        """See :meth:`FrameParser.parse`."""
        fields = _decode(frame, self._encoding).split(self._separator)
        if self._is_exact and len(fields) != len(self._columns):
            raise BadFrameError(f"{len(fields)} fields, expected {len(self._columns)}")
        return _pick(fields, self._columns, self._positions)


class RegexParser:
    """Values as named groups of a regular expression that must match the whole frame."""

    def __init__(self, columns: Sequence[SerialColumn], pattern: str, encoding: str) -> None:
        try:
            self._pattern = re.compile(pattern)
        except re.error as error:
            raise ValueError(f"pattern = {pattern!r} is no regular expression: {error}") from error
        self._columns = columns
        self._encoding = encoding
        self._groups = [_key(column) for column in columns]
        for group in self._groups:
            if group not in self._pattern.groupindex:
                raise ValueError(
                    f"pattern = {pattern!r} has no group {group!r}; write (?P<{group}>...) or "
                    f"set the column's source to one of {list(self._pattern.groupindex)}"
                )

    def parse(self, frame: bytes) -> list[Value]:
        """See :meth:`FrameParser.parse`."""
        match = self._pattern.fullmatch(_decode(frame, self._encoding))
        if match is None:
            raise BadFrameError("does not match the pattern")
        return [
            convert_text(match.group(group) or "", column)
            for group, column in zip(self._groups, self._columns, strict=True)
        ]


class JSONParser:
    """Values of a JSON object; a dotted source reaches into objects within it."""

    def __init__(self, columns: Sequence[SerialColumn], encoding: str) -> None:
        self._columns = columns
        self._encoding = encoding
        self._keys = [_key(column) for column in columns]

    def parse(self, frame: bytes) -> list[Value]:
        """See :meth:`FrameParser.parse`."""
        try:
            found = json.loads(_decode(frame, self._encoding))
        except (ValueError, RecursionError) as error:
            raise BadFrameError(f"no JSON: {error}") from error
        if not isinstance(found, dict):
            raise BadFrameError(f"JSON {type(found).__name__}, expected an object")
        return [
            convert_json(_reach(found, key), column)
            for key, column in zip(self._keys, self._columns, strict=True)
        ]


class NMEAParser:
    """NMEA 0183 sentences, ``$GPGGA,...*47``: field 0 is the sentence's name.

    The two hexadecimal digits behind the star are the exclusive-or of all bytes between the
    dollar sign and the star. Columns without a position begin at field 1. Sentences that
    are not in ``sentences`` (full names or their last three letters) are not wanted; an
    empty list wants all.
    """

    def __init__(
        self, columns: Sequence[SerialColumn], sentences: Sequence[str], needs_checksum: bool
    ) -> None:
        self._columns = columns
        self._sentences = frozenset(sentences)
        self._needs_checksum = needs_checksum
        self._positions = _positions(columns, first=1)

    def parse(self, frame: bytes) -> list[Value] | None:
        """See :meth:`FrameParser.parse`."""
        fields = nmea_fields(frame, needs_checksum=self._needs_checksum)
        if self._sentences and not self._sentences & {fields[0], fields[0][-3:]}:
            return None
        return _pick(fields, self._columns, self._positions)


def nmea_fields(frame: bytes, *, needs_checksum: bool) -> list[str]:
    """Fields of an NMEA 0183 sentence.

    A checksum that is there is verified only when it is asked for. Raises
    :class:`BadFrameError`.
    """
    if frame[:1] not in (b"$", b"!"):
        raise BadFrameError("NMEA sentence does not begin with $ or !")
    body, star, digits = frame[1:].partition(b"*")
    if needs_checksum:
        if not star:
            raise BadFrameError("NMEA checksum is missing")
        if not re.fullmatch(rb"[0-9A-Fa-f]{2}", digits):
            raise BadFrameError("NMEA checksum is not two hexadecimal digits")
        actual = reduce(xor, body, 0)
        if actual != int(digits, 16):
            raise BadFrameError(f"NMEA checksum is {digits.decode()}, bytes give {actual:02X}")
    return _decode(body, "ascii").split(",")


def convert_text(text: str, column: SerialColumn) -> Value:
    """A value from its text. Raises :class:`BadFrameError` that names the column."""
    text = text if column.type == "str" else text.strip()
    if not text and column.allow_empty:
        return None
    if not text and column.type != "str":
        raise BadFrameError(f"{column.name} is empty")
    try:
        return _FROM_TEXT[column.type](text)
    except ValueError as error:
        raise BadFrameError(f"{column.name} = {text[:80]!r} is no {column.type}") from error


def convert_json(value: Any, column: SerialColumn) -> Value:
    """A value from JSON; text is converted. Raises :class:`BadFrameError`."""
    if isinstance(value, str):
        return convert_text(value, column)
    if value is None:
        if column.allow_empty:
            return None
        raise BadFrameError(f"{column.name} is missing")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if column.type == "float" and is_number:
        try:
            return float(value)
        except OverflowError as error:
            raise BadFrameError(f"{column.name} is too large for a float") from error
    if column.type == "int" and isinstance(value, int) and is_number and value in _INT64:
        return value
    if column.type == "bool" and isinstance(value, bool):
        return value
    raise BadFrameError(f"{column.name} = {repr(value)[:80]} is no {column.type}")


def _int(text: str, base: int = 10) -> int:
    # Python's int() takes 1_000 and digits of all scripts, which no device means.
    if not text.isascii() or "_" in text:
        raise ValueError(text)
    value = int(text, base)
    if value not in _INT64:
        raise ValueError(text)
    return value


def _float(text: str) -> float:
    if not text.isascii() or "_" in text:
        raise ValueError(text)
    return float(text)


def _bool(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError(text)


_FROM_TEXT: Mapping[ColumnType, Callable[[str], Value]] = {
    "float": _float,
    "int": _int,
    "hex": lambda text: _int(text, 16),
    "bool": _bool,
    "str": str,
}


def _decode(frame: bytes, encoding: str) -> str:
    try:
        return frame.decode(encoding)
    except UnicodeDecodeError as error:
        raise BadFrameError(f"no {encoding} text at byte {error.start}") from error


def _pick(
    fields: Sequence[str], columns: Sequence[SerialColumn], positions: Sequence[int]
) -> list[Value]:
    if len(fields) <= max(positions):
        raise BadFrameError(f"{len(fields)} fields, expected at least {max(positions) + 1}")
    return [
        convert_text(fields[position], column)
        for position, column in zip(positions, columns, strict=True)
    ]


def _positions(columns: Sequence[SerialColumn], first: int = 0) -> list[int]:
    if all(column.source is None for column in columns):
        return list(range(first, first + len(columns)))
    for column in columns:
        if not isinstance(column.source, int) or column.source < 0:
            raise ValueError(
                f"column {column.name}: source = {column.source!r}; give every column a "
                "position from 0, or none of them"
            )
    return [column.source for column in columns if isinstance(column.source, int)]


def _key(column: SerialColumn) -> str:
    if isinstance(column.source, int):
        raise ValueError(
            f"column {column.name}: source = {column.source} is a position; give a name"
        )
    return column.source or column.name


def _reach(found: Mapping[str, Any], key: str) -> Any:
    if key in found:
        return found[key]
    value: Any = found
    for part in key.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value
