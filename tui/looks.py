"""How each meaning looks: worked out of the theme's colours once, for all panels.

Not in the style sheet. Textual matches every component class of every panel anew when a screen
opens, the focus moves or a class changes; that was most of what a key cost.
"""

from functools import cache

from rich.color import Color
from rich.style import Style

from tui.theme import ALL_THEMES, THEMES

_OF_EVERY_THEME = ("primary", "foreground", "background", "panel", "success", "warning", "error")

# Colour, background, more. A name is one of the theme's.
_MEANINGS = {
    "plain": ("foreground", "background", ""),
    "bold": ("strong", "background", "bold"),
    "dim": ("dim", "background", ""),
    "faint": ("faint", "background", ""),
    "good": ("success", "background", ""),
    "info": ("primary", "background", ""),
    "warn": ("warning", "background", "bold"),
    "bad": ("error", "background", "bold"),
    "found": ("strong", "found", "bold"),
    "graph": ("graph", "background", ""),
    "group": ("title", "background", ""),
    "title": ("title", "panel", ""),
    "title-hot": ("hot-text", "hot", "bold"),
    "cursor": ("", "cursor", ""),
    "band-good": ("#ffffff", "band-good", "bold"),
    "band-info": ("#ffffff", "band-info", "bold"),
    "band-warn": ("#000000", "band-warn", "bold"),
    "band-bad": ("#ffffff", "band-bad", "bold"),
}

# Few colours, or none: shapes must do.
_PLAIN = {
    "cursor": ("#000000", "#c8c8c8", ""),
    "title-hot": ("hot-text", "hot", "bold underline"),
}
_COLOURLESS = _PLAIN | {
    "bad": ("#ffffff", "background", "bold underline"),
    "band-warn": ("#000000", "#ffffff", "bold"),
    "band-bad": ("#000000", "#ffffff", "bold"),
}

# Old figures have no colour: nobody knows how things are now.
_FADED = dict.fromkeys(
    ("plain", "bold", "good", "info", "warn", "bad", "group", "graph"), _MEANINGS["dim"]
)


class Looks:
    """The looks of all meanings, in one theme and on one sort of terminal."""

    def __init__(self, theme: str, *, is_plain: bool, is_colourless: bool, is_faded: bool) -> None:
        self._colours = _colours(theme)
        self._table = (
            _MEANINGS
            | (_PLAIN if is_plain else {})
            | (_COLOURLESS if is_colourless else {})
            | (_FADED if is_faded else {})
        )
        self._known: dict[tuple[str, str], Style] = {}

    def look(self, meaning: str, over: str = "") -> Style:
        """Of a meaning; ``over`` is laid over it, such as the cursor."""
        key = (meaning, over)
        known = self._known.get(key)
        if known is None:
            known = self._style(meaning)
            if over:
                known += self._style(over)
            self._known[key] = known
        return known

    def _style(self, meaning: str) -> Style:
        colour, background, more = self._table[meaning]
        return Style.parse(more) + Style(
            color=self._colour(colour) if colour else None, bgcolor=self._colour(background)
        )

    def _colour(self, name: str) -> Color:
        return Color.parse(self._colours.get(name, name))


@cache
def looks(
    theme: str, *, is_plain: bool = False, is_colourless: bool = False, is_faded: bool = False
) -> Looks:
    """One table for all panels that look alike."""
    return Looks(theme, is_plain=is_plain, is_colourless=is_colourless, is_faded=is_faded)


@cache
def _colours(theme: str) -> dict[str, str]:
    known = {one.name: one for one in ALL_THEMES}
    chosen = known.get(theme, THEMES["dark"])
    own = {name: getattr(chosen, name) for name in _OF_EVERY_THEME}
    return {**own, **chosen.variables}
