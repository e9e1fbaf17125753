"""The colours. Calm on dark and on light; only what needs attention is bright.

ssh does not say that a terminal has all colours, so most consoles draw with the 256 that every
``xterm-256color`` or ``screen-256color`` has. Rounded to those, the green of "all well" and the
grey of the cursor would be one and the same blue-green: these terminals have tables of their own.
"""

from textual.theme import Theme

THEMES = {
    "dark": Theme(
        name="enrgdaq-dark",
        primary="#6aa9dc",
        secondary="#4c7a9c",
        accent="#6aa9dc",
        foreground="#d0d6dc",
        background="#12161a",
        surface="#181d22",
        panel="#232a31",
        success="#5fb87a",
        warning="#e3ac45",
        error="#f0625d",
        dark=True,
        variables={
            "strong": "#f2f5f7",
            "dim": "#7d8791",
            "faint": "#39424b",
            "title": "#9aa5af",
            "graph": "#4f8fbf",
            "cursor": "#2a3b4b",
            "hot": "#35506a",
            "hot-text": "#ffffff",
            "found": "#6a5518",
            "band-good": "#1d6b3f",
            "band-info": "#1f5a8a",
            "band-warn": "#e3ac45",
            "band-bad": "#c0272d",
        },
    ),
    "light": Theme(
        name="enrgdaq-light",
        primary="#1f6299",
        secondary="#5b7f9c",
        accent="#1f6299",
        foreground="#2b3238",
        background="#f7f8f9",
        surface="#eceff1",
        panel="#dfe4e8",
        success="#1f7a3f",
        warning="#8a5a00",
        error="#b81d24",
        dark=False,
        variables={
            "strong": "#0c1116",
            "dim": "#6b747c",
            "faint": "#c9d0d6",
            "title": "#4a545d",
            "graph": "#5a93c2",
            "cursor": "#cfe0ee",
            "hot": "#9fc1dd",
            "hot-text": "#0c1116",
            "found": "#ffe08a",
            "band-good": "#1f7a45",
            "band-info": "#1f6299",
            "band-warn": "#e3ac45",
            "band-bad": "#c0272d",
        },
    ),
}

THEMES_256 = {
    "dark": Theme(
        name="enrgdaq-dark-256",
        primary="#5fafd7",
        secondary="#5f87af",
        accent="#5fafd7",
        foreground="#d0d0d0",
        background="#121212",
        surface="#1c1c1c",
        panel="#262626",
        success="#5faf5f",
        warning="#d7af5f",
        error="#ff5f5f",
        dark=True,
        variables={
            "strong": "#eeeeee",
            "dim": "#808080",
            "faint": "#3a3a3a",
            "title": "#9e9e9e",
            "graph": "#5f87af",
            "cursor": "#3a3a3a",
            "hot": "#005f87",
            "hot-text": "#ffffff",
            "found": "#5f5f00",
            "band-good": "#005f00",
            "band-info": "#005f87",
            "band-warn": "#d7af5f",
            "band-bad": "#af0000",
        },
    ),
    "light": Theme(
        name="enrgdaq-light-256",
        primary="#005f87",
        secondary="#5f87af",
        accent="#005f87",
        foreground="#303030",
        background="#ffffff",
        surface="#eeeeee",
        panel="#dadada",
        success="#005f00",
        warning="#875f00",
        error="#af0000",
        dark=False,
        variables={
            "strong": "#000000",
            "dim": "#6c6c6c",
            "faint": "#c6c6c6",
            "title": "#4e4e4e",
            "graph": "#5f87af",
            "cursor": "#afd7ff",
            "hot": "#87afd7",
            "hot-text": "#000000",
            "found": "#ffd787",
            "band-good": "#005f00",
            "band-info": "#005f87",
            "band-warn": "#d7af5f",
            "band-bad": "#af0000",
        },
    ),
}
"""Of the cube of 6 x 6 x 6, which stay as they are, and greys, which move by a step at most."""

SIXTEEN = Theme(
    name="enrgdaq-sixteen",
    # The very colours of a terminal that has no others: anything else would be rounded to grey.
    primary="#55ffff",
    secondary="#55ffff",
    accent="#55ffff",
    foreground="#aaaaaa",
    background="#000000",
    surface="#000000",
    panel="#0000aa",
    success="#55ff55",
    warning="#ffff55",
    error="#ff5555",
    dark=True,
    variables={
        "strong": "#ffffff",
        "dim": "#aaaaaa",
        "faint": "#555555",
        "title": "#aaaaaa",
        "graph": "#00aaaa",
        "cursor": "#aaaaaa",
        "hot": "#0000aa",
        "hot-text": "#ffffff",
        "found": "#aa5500",
        "band-good": "#00aa00",
        "band-info": "#0000aa",
        "band-warn": "#aa5500",
        "band-bad": "#aa0000",
    },
)
"""Dark, whatever is chosen."""

ALL_THEMES = (*THEMES.values(), *THEMES_256.values(), SIXTEEN)


def theme_for(chosen: str, colour_system: str | None) -> Theme:
    """The theme for a choice of dark or light; ``colour_system`` as Rich calls it."""
    if colour_system == "standard":
        return SIXTEEN
    table = THEMES_256 if colour_system == "256" else THEMES
    return table.get(chosen, table["dark"])
