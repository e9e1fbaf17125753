"""Makes text from outside fit to be shown."""

import re

LONGEST = 4000  # characters; nobody reads further on a terminal line

# A string sequence ends at any C1 character too: a scan never runs over the same text twice.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x80-\x9f]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
)


def clean(text: str) -> str:
    """One line without anything that a terminal would obey.

    Escape sequences go whole, with what they carry; every other character that is not printable
    goes alone (C0, C1, direction marks, zero-width characters, lone surrogates); line ends and
    tabs become blanks. Text longer than :data:`LONGEST` is cut.
    """
    text = text[:LONGEST]
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else " " if character.isspace() else ""
        for character in _SEQUENCES.sub("", text)
    )


def clean_lines(text: str) -> str:
    """Like :func:`clean`, but line ends stay."""
    return "\n".join(clean(line) for line in text.split("\n"))
