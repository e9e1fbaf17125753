"""What the user has chosen to look at, and how."""

from typing import Annotated, Literal, TypeVar

from msgspec import Meta, Struct, field

from enrgdaq.control.history import ALL_TOPICS
from enrgdaq.control.protocol import Level

C = TypeVar("C", bound=str)

Theme = Literal["dark", "light"]

SPANS = (60, 120, 300, 900, 3600)
"""Seconds that graphs may cover."""
LEVELS: tuple[Level, ...] = ("DEBUG", "INFO", "WARNING", "ERROR")
ORDERS = ("name", "problems", "in", "out", "age", "cpu", "memory", "restarts", "backpressure")


class View(Struct, kw_only=True):
    """Plain values only: a later console that is given them shows the same."""

    theme: Theme = "dark"
    is_local_time: bool = False
    show_bytes: bool = False
    large: str = ""
    """``graphs`` or ``log`` has the screen; empty: each panel has its place."""
    show_rings: bool = False
    """Rings rather than topics, where there is no room for both."""
    order: str = "name"
    is_attentive: bool = False
    """Jobs with problems stand in a group of their own, above the others."""
    folded: list[str] = field(default_factory=list)
    """Kinds whose jobs are hidden."""
    job: str = ""
    job_filter: str = ""
    topic: str = ALL_TOPICS
    topic_filter: str = ""
    compared: list[str] = field(default_factory=list)
    """Topics with a graph each; empty: the chosen one, and as many others as there is room for."""
    span_seconds: Annotated[int, Meta(ge=SPANS[0], le=SPANS[-1])] = 120
    log_of_job: bool = False
    """Only the lines of the chosen job."""
    log_level: Level = "DEBUG"
    log_search: str = ""
    page: str = ""
    """``details`` of the chosen job or ``events``; empty: the panels."""


def following(choices: tuple[C, ...], now: str) -> C:
    """The next choice, the first one after the last."""
    place = choices.index(now) + 1 if now in choices else 0
    return choices[place % len(choices)]


def stepped(choices: tuple[int, ...], now: int, by: int) -> int:
    """The choice beside this one, or this one at either end."""
    place = choices.index(now) if now in choices else 0
    return choices[max(0, min(place + by, len(choices) - 1))]
