"""The characters to draw with: what the terminal can show."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Symbols:
    """``levels`` fill a cell from empty to full, from below."""

    levels: str
    full: str
    empty: str
    cursor: str
    cut: str
    axis: str
    line: str
    tick: str
    down: str
    open: str
    folded: str
    mark: str
    bar: str
    lane: str
    plain: bool
    """Too few colours for shades: the cursor is shown in reverse."""


UNICODE = Symbols(
    " ▁▂▃▄▅▆▇█", "█", "░", "▌", "…", "│", "─", "┬", "↓", "▾", "▸", "•", "━", "─", plain=False
)
ASCII = Symbols(" .:#", "#", ".", ">", "~", "|", "-", "+", "v", "-", "+", "*", "=", "-", plain=True)


def choose(environment: Mapping[str, str], encoding: str) -> Symbols:
    """The Linux console's fonts have no eighth blocks; some terminals have no UTF-8."""
    if environment.get("TERM", "") in {"linux", "dumb", "vt100", "vt220"}:
        return ASCII
    return UNICODE if encoding.lower().replace("-", "") == "utf8" else ASCII
