"""The rate of one topic over the last two minutes."""

from tui import formats
from tui.history import ceiling as nice_ceiling
from tui.history import columns
from tui.widgets.fitting import fit
from tui.widgets.line_view import Line, LineView, Span

AXIS = 7  # cells left of the plot


class RateGraph(LineView):
    """Bars, a scale that seldom changes, and the figures of now and of the highest point."""

    def lines(self, width: int, height: int) -> list[Line]:
        """Title, plot, time axis."""
        model = self.model
        samples = model.history.samples(model.topic)
        points = [(s.time, s.bytes if model.show_bytes else s.messages) for s in samples]
        highest = max((value for _, value in points), default=0.0)
        top = nice_ceiling(highest)
        title = self._title(points[-1][1] if points else None, highest, width)
        rows, count = height - 2, width - AXIS - 1
        if rows < 1 or count < 4:
            return [title]
        now = model.snapshot.supervisor.now if model.snapshot else 0.0
        heights = columns(points, now, count)
        plot = [self._row(heights, top, row, rows) for row in range(rows)]
        return [title, *plot, self._time_axis(count)]

    def _title(self, now: float | None, highest: float, width: int) -> Line:
        name = self.model.topic or "all topics"
        figures = ""
        if now is not None:
            unit = "B/s" if self.model.show_bytes else "msg/s"
            figures = f" now {formats.number(now)}  max {formats.number(highest)} {unit} "
        text = fit(" " + name, max(0, width - len(figures)), self.model.symbols.cut) + figures
        return Line([Span(fit(text, width, self.model.symbols.cut), "title")])

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
        elif rows >= 5 and row == rows // 2 and rows % 2 == 0:
            label = formats.number(top / 2)
        return Line(
            [Span(f"{label:>{AXIS - 1}}{symbols.axis}", "dim"), Span("".join(cells), "graph")]
        )

    def _time_axis(self, count: int) -> Line:
        symbols = self.model.symbols
        marks = [symbols.line] * count
        for text, place in (("2 m", 0), ("1 m", count // 2 - 1), ("now", count - 3)):
            if count >= 14 or text == "now":
                marks[place : place + 3] = text
        return Line([Span(f"{'0':>{AXIS - 1}}{symbols.axis}" + "".join(marks), "dim")])
