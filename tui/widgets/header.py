"""The two lines at the top: a band that is read from across the room, and the node's figures."""

from tui import formats
from tui.widgets.fitting import fit
from tui.widgets.line_view import Line, LineView, Span


class HeaderBand(LineView):
    """How acquisition is doing."""

    def lines(self, width: int, height: int) -> list[Line]:
        """The band and the totals."""
        return [self._band(width), self._totals(width)]

    def _band(self, width: int) -> Line:
        health = self.model.health
        right = "  READ-ONLY" if self.model.readonly else ""
        if self.model.snapshot is not None:
            right += f"  {formats.utc(self.model.snapshot.supervisor.now)} UTC "
        left = f" {health.headline}   {health.text}"
        text = fit(left, max(0, width - len(right)), self.model.symbols.cut) + right
        return Line([Span(fit(text, width, self.model.symbols.cut), f"band-{health.level}")])

    def _totals(self, width: int) -> Line:
        snapshot = self.model.snapshot
        if snapshot is None:
            return Line()
        node = snapshot.supervisor
        figures = [
            ("", node.id, "bold"),
            ("", node.state, "plain"),
            ("jobs ", f"{node.jobs_running}/{node.jobs_total}", "plain"),
            ("", f"{formats.number(node.rate_messages)} msg/s", "bold"),
            ("", f"{formats.size(node.rate_bytes)}/s", "bold"),
            ("disk free ", formats.size(node.disk_free_bytes), "plain"),
            ("up ", formats.span(node.now - node.started), "plain"),
            ("memory free ", formats.size(node.memory_free_bytes), "plain"),
        ]
        if node.log_dropped:
            figures.insert(2, ("log lines dropped ", formats.count(node.log_dropped), "warn"))
        spans, used = [Span(" ")], 1
        for label, value, meaning in figures:
            length = len(label) + len(value) + 2
            if used + length > width + 2:
                break
            spans += [Span(label, "dim"), Span(value, meaning), Span("  ")]
            used += length
        return Line(spans)
