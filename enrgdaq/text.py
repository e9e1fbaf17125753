"""Text from outside, made safe for files and terminals."""

import re
from typing import Final

LONGEST_LINE: Final = 4_000

# CSI, OSC (ended by BEL or ST), other escape sequences, then what is left of C0, DEL and C1;
# direction marks and what has no width; lone surrogates, which no file and no socket takes.
_UNSAFE: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"
    r"|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
    r"|[\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def clean(text: str) -> str:
    """One line without control characters and escape sequences; tabs become spaces."""
    cleaned = _UNSAFE.sub("", text).expandtabs(4).replace("\n", " ")
    return cleaned if len(cleaned) <= LONGEST_LINE else cleaned[:LONGEST_LINE] + " [cut]"


def clean_text(text: str) -> str:
    """Like :func:`clean`, with its lines."""
    return "\n".join(clean_lines(text)) if "\n" in text else clean(text)


def clean_lines(text: str) -> list[str]:
    """Like :func:`clean`, line by line; empty lines at the end are dropped."""
    return [clean(line) for line in text.replace("\r", "\n").rstrip("\n").split("\n")]
