"""Every key of the console, once: bindings, the key bar and the help page are made from this."""

from dataclasses import dataclass
from enum import Enum

from textual.binding import Binding, BindingType


class Scope(Enum):
    """Where an action can be asked for; the value is its heading on the help page."""

    ANYWHERE = "Everywhere"
    VIEW = "What is shown"
    JOBS = "Job tree"
    TOPICS = "Topics"
    LIST = "Lists and pages"
    LOG = "Log"


@dataclass(frozen=True)
class Action:
    """``call`` is what Textual runs; ``rank`` orders the key bar, 0 keeps it off there.

    ``audited``: what the audit trail calls the commands that it can lead to.
    """

    call: str
    keys: str
    shown: str
    label: str
    about: str
    scope: Scope
    rank: int = 0
    changes: bool = False
    audited: tuple[str, ...] = ()


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
        audited=("restart", "start"),
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
        audited=("stop", "start"),
    ),
    Action(
        "restart_group",
        "R",
        "R",
        "restart all",
        "restart all jobs of the selected kind, after y within 3 s",
        Scope.ANYWHERE,
        changes=True,
        audited=("restart group",),
    ),
    Action(
        "edit",
        "e",
        "e",
        "edit file",
        "the job's file in $EDITOR; once checked, the job restarts with it",
        Scope.ANYWHERE,
        rank=18,
        changes=True,
        audited=("reload",),
    ),
    Action(
        "add",
        "plus",
        "+",
        "add job",
        "start one more job from a file, while all others go on",
        Scope.ANYWHERE,
        rank=19,
        changes=True,
        audited=("add",),
    ),
    Action(
        "events",
        "E",
        "E",
        "events",
        "who did what when: commands, crashes, alarms",
        Scope.ANYWHERE,
        rank=9,
    ),
    Action(
        "detach",
        "d",
        "d",
        "detach",
        "give the shell back at once; acquisition goes on",
        Scope.ANYWHERE,
        rank=6,
    ),
    Action(
        "quit",
        "q,ctrl+q,ctrl+c",
        "q",
        "quit",
        "leave, and choose whether acquisition goes on (a stop takes y too)",
        Scope.ANYWHERE,
        rank=5,
        audited=("shutdown",),
    ),
    Action("help", "question_mark,f1", "?", "help", "this page", Scope.ANYWHERE, rank=4),
    Action(
        "palette",
        "colon",
        ":",
        "commands",
        "find an action, a job or a topic by its name",
        Scope.VIEW,
        rank=11,
    ),
    Action(
        "next_problem",
        "exclamation_mark",
        "!",
        "problem",
        "the next job with a problem; they stand first until esc",
        Scope.VIEW,
        rank=7,
    ),
    Action(
        "find",
        "slash",
        "/",
        "find",
        "jobs or topics: show those that match; log: search",
        Scope.VIEW,
        rank=8,
    ),
    Action("search(1)", "n", "n", "", "log: next line that has what was searched for", Scope.VIEW),
    Action("search(-1)", "N", "N", "", "log: the one before", Scope.VIEW),
    Action(
        "back",
        "escape",
        "esc",
        "",
        "no filter, no search; again: every panel in its place",
        Scope.VIEW,
    ),
    Action(
        "freeze",
        "space",
        "space",
        "freeze",
        "hold the display as it is, or let it go; acquisition goes on",
        Scope.VIEW,
        rank=9,
    ),
    Action("follow", "f", "f", "", "newest log lines, and stay with them", Scope.VIEW),
    Action(
        "enlarge('graphs')",
        "g",
        "g",
        "graphs",
        "graphs on the whole screen, or back",
        Scope.VIEW,
        rank=12,
    ),
    Action(
        "enlarge('log')",
        "l",
        "l",
        "log",
        "log on the whole screen, or back",
        Scope.VIEW,
        rank=13,
    ),
    Action("span(-1)", "less_than_sign", "<", "", "graphs: a shorter time", Scope.VIEW),
    Action("span(1)", "greater_than_sign", ">", "", "graphs: a longer time", Scope.VIEW),
    Action("toggle_unit", "b", "b", "", "messages or bytes per second", Scope.VIEW),
    Action(
        "toggle_rings",
        "v",
        "v",
        "rings",
        "topics or rings, where there is no room for both",
        Scope.VIEW,
        rank=14,
    ),
    Action("order", "o", "o", "order", "jobs by the next column", Scope.VIEW, rank=15),
    Action("log_level", "w", "w", "level", "log: lines of this level on", Scope.VIEW, rank=16),
    Action(
        "log_of_job",
        "a",
        "a",
        "log of job",
        "log: of all jobs, or of the selected one",
        Scope.VIEW,
        rank=17,
    ),
    Action("toggle_clock", "u", "u", "", "times in UTC or in local time", Scope.VIEW),
    Action("app.toggle_theme", "t", "t", "", "light or dark", Scope.VIEW),
    Action(
        "app.focus_next",
        "tab",
        "tab",
        "next panel",
        "go to the next panel (shift+tab: to the one before)",
        Scope.ANYWHERE,
        rank=10,
    ),
    Action("app.focus_previous", "shift+tab", "", "", "", Scope.ANYWHERE),
    Action("app.details", "enter", "enter", "details", "all about the selected job", Scope.JOBS, 1),
    Action("fold(True)", "left,h", "h left", "", "hide the jobs of a kind", Scope.JOBS),
    Action("fold(False)", "right", "right", "", "show them again", Scope.JOBS),
    Action(
        "compare",
        "enter,m",
        "m enter",
        "",
        "a graph of this topic beside the others, or not",
        Scope.TOPICS,
    ),
    Action("move(-1)", "up,k", "k up", "", "one line up", Scope.LIST),
    Action("move(1)", "down,j", "j down", "", "one line down", Scope.LIST),
    Action("page(-1)", "pageup", "pageup", "", "one page up", Scope.LIST),
    Action("page(1)", "pagedown", "pagedown", "", "one page down", Scope.LIST),
    Action("edge(-1)", "home", "home", "", "to the start", Scope.LIST),
    Action("edge(1)", "end,G", "G end", "", "to the end", Scope.LIST),
    Action("screen.copy", "c", "c", "", "copy the line under the cursor (OSC 52)", Scope.LOG),
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


def audited_words() -> frozenset[str]:
    """What the audit trail calls the commands of all actions."""
    return frozenset(word for action in ACTIONS for word in action.audited)
