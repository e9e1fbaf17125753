"""The colours. Dark and calm; only what needs attention is bright."""

from textual.theme import Theme

THEME = Theme(
    name="enrgdaq",
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
)
