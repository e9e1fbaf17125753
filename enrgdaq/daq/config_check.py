"""Typed configuration with every mistake reported at once.

msgspec stops at the first mistake; people want them all. So fields are converted one by
one, and nested tables are walked the same way.
"""

import difflib
import os
import types
import typing
from typing import Any, TypeVar

import msgspec

from enrgdaq.daq.secrets import looks_secret
from enrgdaq.text import clean_text

T = TypeVar("T")


class Mistake(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One mistake: file, dotted key (empty for the file as a whole), and what to do."""

    file: str
    key: str = ""
    text: str

    def __str__(self) -> str:
        where = f"{self.file}: {self.key}" if self.key else self.file
        return clean_text(f"{where}: {self.text}")


def read_config(
    config_type: type[T], raw: dict[str, Any], file: str
) -> tuple[T | None, list[Mistake]]:
    """``raw`` as an instance of ``config_type``, or all that is wrong with it.

    ``{ env = "NAME" }`` stands for the value of an environment variable wherever a string is
    expected.
    """
    walk = _Walk(file)
    resolved = walk.table(config_type, raw, "")
    if walk.mistakes:
        return None, sorted(walk.mistakes)
    try:
        return msgspec.convert(resolved, config_type), []
    except (msgspec.ValidationError, TypeError, ValueError) as error:
        # Rules of a class about several fields at once (__post_init__).
        return None, [Mistake(file=file, text=str(error))]


class _Walk:
    def __init__(self, file: str) -> None:
        self._file = file
        self.mistakes: list[Mistake] = []

    def table(self, struct: Any, raw: dict[str, Any], path: str) -> dict[str, Any]:
        fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
        resolved: dict[str, Any] = {}
        for key, value in raw.items():
            where = f"{path}{key}"
            if key not in fields:
                self._note(where, f"unknown key{_nearest(key, fields)}")
                continue
            resolved[key] = self._value(fields[key].type, value, where)
        for name, field in fields.items():
            if name not in raw and field.required:
                self._note(f"{path}{name}", f"missing; expected {describe_type(field.type)}")
        return resolved

    def _value(self, expected: Any, value: Any, where: str) -> Any:
        if _is_env_reference(value) and _takes_string(expected):
            name = value["env"]
            if name not in os.environ:
                self._note(where, f"environment variable {name!r} is not set")
                return ""
            value = os.environ[name]
        struct = struct_in(expected)
        if struct is not None and isinstance(value, dict):
            return self.table(struct, value, f"{where}.")
        try:
            msgspec.convert(value, expected)
        except (msgspec.ValidationError, TypeError) as error:
            reason = str(error).replace(" - at `$", " at `")
            shown = "a secret" if looks_secret(where) else repr(value)[:80]
            self._note(where, f"{reason}; found {shown}, expected {describe_type(expected)}")
        return value

    def _note(self, key: str, text: str) -> None:
        self.mistakes.append(Mistake(file=self._file, key=key, text=text))


def _nearest(key: str, known: typing.Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(key, names, n=1, cutoff=0.6)
    return f" (did you mean {close[0]}?)" if close else f"; known are {', '.join(names)}"


def _is_env_reference(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"env"} and isinstance(value["env"], str)


def _plain(expected: Any) -> Any:
    """The type without ``Annotated``."""
    return typing.get_args(expected)[0] if hasattr(expected, "__metadata__") else expected


def _alternatives(expected: Any) -> list[Any]:
    plain = _plain(expected)
    if typing.get_origin(plain) in (typing.Union, types.UnionType):
        return [inner for part in typing.get_args(plain) for inner in _alternatives(part)]
    return [plain]


def _takes_string(expected: Any) -> bool:
    return str in _alternatives(expected)


def struct_in(expected: Any) -> Any:
    """The one struct type that a field takes, or ``None``."""
    found = [
        part
        for part in _alternatives(expected)
        if isinstance(part, type) and issubclass(part, msgspec.Struct)
    ]
    return found[0] if len(found) == 1 else None


def describe_type(expected: Any) -> str:
    """A field's type in words, with its allowed values and limits."""
    # None only says that a key may be left out.
    words = " or ".join(_word(p) for p in _alternatives(expected) if p is not type(None))
    limits = ", ".join(
        f"{sign} {limit:g}" if isinstance(limit, float) else f"{sign} {limit}"
        for meta in metas_of(expected)
        for sign, limit in (
            ("at least", meta.ge),
            ("more than", meta.gt),
            ("at most", meta.le),
            ("less than", meta.lt),
            ("matching", meta.pattern),
        )
        # Bounds of the integer type itself say nothing to people.
        if limit is not None and not (isinstance(limit, int) and abs(limit) >= 2**60)
    )
    return f"{words} ({limits})" if limits else words


def metas_of(expected: Any) -> list[msgspec.Meta]:
    """The ``Meta`` annotations of a field's type: limits and descriptions."""
    found = [m for m in getattr(expected, "__metadata__", ()) if isinstance(m, msgspec.Meta)]
    plain = _plain(expected)
    if typing.get_origin(plain) in (typing.Union, types.UnionType):
        for part in typing.get_args(plain):
            found.extend(metas_of(part))
    return found


_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def _word(part: Any) -> str:
    if part in _WORDS:
        return _WORDS[part]
    origin = typing.get_origin(part)
    if origin is typing.Literal:
        return "one of " + ", ".join(str(choice) for choice in typing.get_args(part))
    if origin is list:
        return f"a list of {describe_type(typing.get_args(part)[0])}"
    if origin is dict or part is dict:
        return "a table"
    if isinstance(part, type) and issubclass(part, msgspec.Struct):
        return f"a table ({part.__name__})"
    if isinstance(part, type) and hasattr(part, "__members__"):
        return "one of " + ", ".join(str(member.value) for member in part)  # type: ignore[attr-defined]
    return getattr(part, "__name__", str(part))
