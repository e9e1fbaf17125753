"""Graphs of topics' rates side by side: one Line-API panel, one segment per run of colour."""

from enrgdaq.control.history import ALL_TOPICS
from tui import formats
from tui.history import ceiling as nice_ceiling
from tui.history import columns
from tui.model import Model
from tui.widgets.fitting import fit, fit_end
from tui.widgets.line_view import Line, LineView, Span

AXIS = 7  # cells left of the plot
LEAST_WIDTH, LEAST_HEIGHT = 34, 7
"""Of graphs that nobody asked for."""
NARROWEST = 24
"""Of graphs that somebody compares."""
MOST = 12
GAP = 1  # cells between two graphs


def grid(count: int, width: int, height: int, narrowest: int) -> tuple[int, int]:
    """(columns, rows) for so many graphs: those that make them most like screens, some 4 to 1.

    Never more than fit; the least is one.
    """
    across = max(1, (width + GAP) // (narrowest + GAP))
    down = max(1, height // LEAST_HEIGHT)
    shapes = [
        (c, r)
        for c in range(1, min(across, count) + 1)
        for r in (min(-(-count // c), down),)
        if c * r >= min(count, across * down)
    ]
    return min(
        shapes or [(across, down)],
        key=lambda shape: abs((width / shape[0]) / (height / shape[1]) - 4),
    )


def topics_shown(model: Model, room: int) -> list[str]:
    """Those that are compared; else the chosen one and those that have given most so far."""
    view = model.view
    if view.compared:
        return view.compared[:room]
    by_size = sorted(model.topics, key=lambda topic: (-topic.messages, topic.topic))
    names = [ALL_TOPICS, *(topic.topic for topic in by_size if topic.messages)]
    shown = names[:room]
    if view.topic not in shown:
        shown[-1:] = [view.topic]
    return sorted(shown)


class RateGraphs(LineView):
    """As many graphs as there is room for, or the ones that are compared."""

    fades = True

    def lines(self, width: int, height: int) -> list[Line]:
        """The graphs, row by row."""
        is_asked = bool(self.model.view.compared)
        narrowest = NARROWEST if is_asked else LEAST_WIDTH
        most = max(1, (width + GAP) // (narrowest + GAP)) * max(1, height // LEAST_HEIGHT)
        topics = topics_shown(self.model, min(most, MOST))
        across, down = grid(len(topics), width, height, narrowest)
        lines: list[Line] = []
        for row in range(down):
            high = height * (row + 1) // down - height * row // down
            members = topics[row * across : (row + 1) * across]
            edges = [(width + GAP) * place // len(members) for place in range(len(members) + 1)]
            drawn = [
                self._graph(topic, edges[place + 1] - edges[place] - GAP, high)
                for place, topic in enumerate(members)
            ]
            lines += [_beside(parts) for parts in zip(*drawn, strict=True)]
        return lines

    def _graph(self, topic: str, width: int, height: int) -> list[Line]:
        """One graph: title, plot, time axis; exactly ``height`` lines of ``width`` cells."""
        model, view = self.model, self.model.view
        now = model.snapshot.supervisor.now if model.snapshot else 0.0
        points = model.history.points(topic, now, view.span_seconds, is_bytes=view.show_bytes)
        highest = max((value for _, value in points), default=0.0)
        head = self._head(topic, highest, width, height)
        rows, count = height - len(head) - 1, width - AXIS
        if rows < 1 or count < 4:
            return (head + [_blank(width)] * height)[:height]
        top = nice_ceiling(highest)
        heights = columns(points, now, count, view.span_seconds)
        plot = [self._row(heights, top, row, rows) for row in range(rows)]
        return [*head, *plot, self._time_axis(count)]

    def _head(self, topic: str, highest: float, width: int, height: int) -> list[Line]:
        view, cut = self.model.view, self.model.symbols.cut
        messages, size = self.model.rates.get(topic, (0.0, 0.0))
        rates = f"{formats.number(messages)} msg/s", f"{formats.size(size)}/s"
        most = formats.size(highest) + "/s" if view.show_bytes else formats.number(highest)
        is_chosen = topic == view.topic and len(view.compared) != 1
        name = (self.model.symbols.cursor if is_chosen else " ") + (topic or "all topics")
        whole = f"now {rates[0]}  {rates[1]}  max {most}"
        if width - len(whole) - 3 < len(name) and height >= LEAST_HEIGHT:
            short = next((text for text in (whole, whole[4:]) if len(text) < width), rates[0])
            return [
                Line([Span(fit_name(name, width, cut), "title")]),
                Line([Span(fit(f" {short}", width, cut), "dim")]),
            ]
        # As much as can stand beside most of the name.
        one = rates[view.show_bytes]
        figures = next(
            (
                text
                for text in (whole, f"{one}  max {most}", one)
                if len(text) + 3 + min(len(name), 12) <= width
            ),
            one.split()[0],
        )
        text = fit_name(name, max(0, width - len(figures) - 2), cut) + f" {figures} "
        return [Line([Span(fit(text, width, cut), "title")])]

    def _row(self, heights: list[float | None], top: float, row: int, rows: int) -> Line:
        symbols = self.model.symbols
        floor = rows - 1 - row
        steps = len(symbols.levels) - 1
        cells = []
        for value in heights:
            if value is None:
                cells.append(" ")
                continue
            # A rate that is not zero is never drawn as nothing.
            eighths = max(round(value / top * rows * steps), 1 if value > 0 else 0)
            cells.append(symbols.levels[max(0, min(steps, eighths - floor * steps))])
        label = ""
        if row == 0:
            label = formats.number(top)
        elif rows >= 6 and rows % 2 == 0 and row == rows // 2:
            label = formats.number(top / 2)
        return Line(
            [Span(f"{label:>{AXIS - 1}}{symbols.axis}", "dim"), Span("".join(cells), "graph")]
        )

    def _time_axis(self, count: int) -> Line:
        symbols, seconds = self.model.symbols, self.model.view.span_seconds
        unit = "B/s" if self.model.view.show_bytes else "msg/s"
        marks = list(symbols.line * count)
        begin, middle, end = f"{_short(seconds)} ", f" {_short(seconds / 2)} ", " now"
        for text, place in ((begin, 0), (middle, (count - len(middle)) // 2), (end, count - 4)):
            if count >= 20 or text == end:
                marks[place : place + len(text)] = text
        return Line([Span(f"{unit:>{AXIS - 1}}{symbols.axis}" + "".join(marks[:count]), "dim")])


def fit_name(name: str, width: int, cut: str) -> str:
    """A mark and a topic: names begin alike, so it is their end that stays."""
    return fit(name[:1] + fit_end(name[1:], max(0, width - 1), cut), width, "")


def _short(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:g} h"
    return f"{seconds / 60:g} min" if seconds >= 60 else f"{seconds:g} s"


def _blank(width: int) -> Line:
    return Line([Span(" " * width)])


def _beside(parts: tuple[Line, ...]) -> Line:
    spans: list[Span] = []
    for place, part in enumerate(parts):
        spans += [Span(" " * GAP), *part.spans] if place else part.spans
    return Line(spans)
