"""Lines under a title that can be scrolled; with a cursor, if a subclass wants one."""

from textual.message import Message

from tui.commands import Scope, bindings
from tui.model import Model
from tui.widgets.fitting import fit
from tui.widgets.line_view import Line, LineView, Span


class ScrollLines(LineView, can_focus=True):
    """A title that stays, and a body that scrolls."""

    BINDINGS = bindings(Scope.LIST)

    def __init__(self, model: Model, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(model, id=id, classes=classes)
        self.top = 0

    def prepare(self, width: int) -> None:
        """Called once before the lines are asked for."""

    def title(self, width: int) -> str:
        """The text of the first line."""
        raise NotImplementedError

    def count(self) -> int:
        """How many lines the body has."""
        raise NotImplementedError

    def body(self, index: int, width: int) -> Line:
        """One line of the body."""
        raise NotImplementedError

    @property
    def nothing(self) -> str:
        """What is said in place of a body without lines."""
        return ""

    def lines(self, width: int, height: int) -> list[Line]:
        """Title and the visible part of the body."""
        self.prepare(width)
        return self.in_sight(width, height)

    def in_sight(self, width: int, height: int) -> list[Line]:
        """The lines, once all is prepared."""
        self.top = max(0, min(self.top, self.count() - (height - 1)))
        shown = range(self.top, min(self.count(), self.top + height - 1))
        lines = [self.body(index, width) for index in shown]
        if not lines and self.nothing:
            lines = [Line([Span(f"  {self.nothing}", "dim")])]
        return [self._title_line(width), *lines]

    def action_move(self, by: int) -> None:
        """One line up or down."""
        self.top = max(0, min(self.top + by, self.count() - self.page))
        self.redraw()

    def action_page(self, by: int) -> None:
        """One page up or down."""
        self.action_move(by * max(1, self.page - 1))

    def action_edge(self, by: int) -> None:
        """To the start or to the end."""
        self.action_move(by * max(1, self.count()))

    @property
    def page(self) -> int:
        """Lines of the body that are visible at once."""
        return max(1, self.size.height - 1)

    @property
    def where(self) -> str:
        """Which part of the body is visible; empty if all of it is."""
        total = self.count()
        if total <= self.page:
            return ""
        return f"{self.top + 1}-{min(total, self.top + self.page)} of {total}"

    def _title_line(self, width: int) -> Line:
        cut = self.model.symbols.cut
        where = f" {self.where} " if self.where else ""
        text = fit(self.title(width), max(0, width - len(where)), cut) + where
        return Line([Span(fit(text, width, cut), self._title_look)])

    @property
    def _title_look(self) -> str:
        return "title-hot" if self.has_focus else "title"


class CursorLines(ScrollLines):
    """Lines of which one is chosen. The choice follows its key, not its place."""

    class Chosen(Message):
        """The choice has changed."""

        def __init__(self, view: "CursorLines", key: str) -> None:
            super().__init__()
            self.view = view
            self.key = key

        @property
        def control(self) -> "CursorLines":
            """The view whose choice has changed."""
            return self.view

    def __init__(self, model: Model, key: str | None = None) -> None:
        super().__init__(model)
        self.key = key
        self._keys: list[str] = []
        """What the lines stand for, in their order: for :meth:`prepare` to fill in."""
        self._place = 0

    def row(self, index: int, width: int) -> list[Span]:
        """The text of one line, without its cursor."""
        raise NotImplementedError

    def nearest(self, place: int) -> int:
        """Where the cursor goes when its own line has gone and ``place`` was its place."""
        return place

    def choose(self, key: str) -> None:
        """Put the cursor on a line."""
        self._choose(key)
        self.redraw()

    def count(self) -> int:
        """One line a key."""
        return len(self._keys)

    def body(self, index: int, width: int) -> Line:
        """The cursor's mark and the line."""
        here = index == self._place
        mark = Span(self.model.symbols.cursor, "info") if here else Span(" ")
        return Line([mark, *self.row(index, width - 1)], over="cursor" if here else "")

    def redraw(self) -> None:
        """Also a list that cannot be seen has a cursor that commands are about."""
        if self.is_attached and not self.size.width:
            self.prepare(0)
            self._find()
        super().redraw()

    def in_sight(self, width: int, height: int) -> list[Line]:
        """Keeps the cursor on its key and in sight."""
        self._find()
        self.top = max(self._place - (height - 2), min(self.top, self._place))
        return super().in_sight(width, height)

    def action_move(self, by: int) -> None:
        """Choose another line."""
        if not self._keys:
            return
        self._find()
        self._place = max(0, min(self._place + by, len(self._keys) - 1))
        self._choose(self._keys[self._place])
        self.redraw()

    def _find(self) -> None:
        if not self._keys:
            self._place = 0
        elif self.key in self._keys:
            self._place = self._keys.index(self.key)
        else:
            # What was chosen is gone: its neighbour takes over.
            self._place = self.nearest(min(self._place, len(self._keys) - 1))
            self._choose(self._keys[self._place])

    def _choose(self, key: str) -> None:
        if key != self.key:
            self.key = key
            self.post_message(self.Chosen(self, key))
