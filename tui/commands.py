"""Every key of the console, once: bindings, the key bar and the help page are made from this."""

from dataclasses import dataclass
from enum import Enum

from textual.binding import Binding, BindingType


class Scope(Enum):
    """Where an action can be asked for; the value is its heading on the help page."""

    ANYWHERE = "Everywhere"
    JOBS = "Job list"
    LIST = "Lists and pages"
    LOG = "Log"


@dataclass(frozen=True)
class Action:
    """``call`` is what Textual runs; ``rank`` orders the key bar, 0 keeps it off there."""

    call: str
    keys: str
    shown: str
    label: str
    about: str
    scope: Scope
    rank: int = 0
    changes: bool = False


ACTIONS = (
    Action(
        "restart",
        "r",
        "r",
        "restart",
        "restart the selected job, after y within 3 s",
        Scope.ANYWHERE,
        rank=2,
        changes=True,
    ),
    Action(
        "toggle_job",
        "s",
        "s",
        "stop/start",
        "stop the selected job, or start it, after y within 3 s",
        Scope.ANYWHERE,
        rank=3,
        changes=True,
    ),
    Action(
        "detach",
        "d",
        "d",
        "detach",
        "give the shell back at once; acquisition goes on",
        Scope.ANYWHERE,
        rank=4,
    ),
    Action(
        "quit",
        "q,ctrl+q,ctrl+c",
        "q",
        "quit",
        "leave, and choose whether acquisition goes on",
        Scope.ANYWHERE,
        rank=5,
    ),
    Action("help", "question_mark,f1", "?", "help", "this page", Scope.ANYWHERE, rank=6),
    Action(
        "follow",
        "f",
        "f",
        "follow log",
        "show the newest log lines and stay with them",
        Scope.ANYWHERE,
        rank=8,
    ),
    Action(
        "toggle_unit",
        "b",
        "b",
        "bytes",
        "graph in messages or in bytes per second",
        Scope.ANYWHERE,
        rank=9,
    ),
    Action(
        "toggle_rings",
        "v",
        "v",
        "rings",
        "topics or rings, where there is no room for both",
        Scope.ANYWHERE,
        rank=10,
    ),
    Action(
        "toggle_log",
        "l",
        "l",
        "large log",
        "give the log most of the screen, or take it back",
        Scope.ANYWHERE,
        rank=11,
    ),
    Action(
        "app.focus_next",
        "tab",
        "tab",
        "next panel",
        "go to the next panel (shift+tab: to the one before)",
        Scope.ANYWHERE,
        rank=7,
    ),
    Action("app.focus_previous", "shift+tab", "", "", "", Scope.ANYWHERE),
    Action("app.details", "enter", "enter", "details", "all about the selected job", Scope.JOBS, 1),
    Action("move(-1)", "up,k", "k up", "", "one line up", Scope.LIST),
    Action("move(1)", "down,j", "j down", "", "one line down", Scope.LIST),
    Action("page(-1)", "pageup", "pageup", "", "one page up", Scope.LIST),
    Action("page(1)", "pagedown", "pagedown", "", "one page down", Scope.LIST),
    Action("edge(-1)", "home,g", "g home", "", "to the start", Scope.LIST),
    Action("edge(1)", "end,G", "G end", "", "to the end", Scope.LIST),
    Action("shift(-1)", "left,h", "h left", "", "long lines: to the left", Scope.LOG),
    Action("shift(1)", "right", "right", "", "long lines: to the right", Scope.LOG),
)

CHANGING = frozenset(action.call for action in ACTIONS if action.changes)


def bindings(scope: Scope) -> list[BindingType]:
    """The key bindings of a scope."""
    return [
        Binding(action.keys, action.call, action.label, show=False)
        for action in ACTIONS
        if action.scope is scope
    ]


def key_bar(*, readonly: bool) -> list[tuple[str, str]]:
    """(key, label) pairs for the bottom line, the most wanted first."""
    shown = [action for action in ACTIONS if action.rank and not (readonly and action.changes)]
    return [(action.shown, action.label) for action in sorted(shown, key=lambda a: a.rank)]


def help_lines(*, readonly: bool) -> list[tuple[str, str]]:
    """(key, explanation) pairs for the help page; headings have no explanation."""
    lines: list[tuple[str, str]] = []
    for scope in Scope:
        lines.append((scope.value, ""))
        lines += [
            (action.shown, action.about)
            for action in ACTIONS
            if action.scope is scope and action.about and not (readonly and action.changes)
        ]
    return lines
