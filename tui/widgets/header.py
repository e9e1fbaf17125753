"""The top: a band that is read from across the room, and the node's figures."""

from enrgdaq.control.status import Snapshot, SupervisorStatus
from tui import formats
from tui.health import LITTLE_DISK
from tui.widgets.fitting import fit
from tui.widgets.line_view import Line, LineView, Span


class HeaderBand(LineView):
    """How acquisition is doing now, also while the rest of the display is frozen."""

    def lines(self, width: int, height: int) -> list[Line]:
        """The band, one line high or three, and the totals."""
        look = f"band-{self.model.health.level}"
        edge = [Line([Span(" " * width, look)])] if height > 3 else []
        return [*edge, self._band(width, look), *edge, self._totals(width)]

    def _band(self, width: int, look: str) -> Line:
        model, health = self.model, self.model.health
        right = ""
        if _is_open_to_all(model.latest):
            right += "  INSECURE"
        if model.readonly:
            right += "  READ-ONLY"
        if model.is_frozen and model.latest is not None and model.snapshot is not None:
            since = model.latest.supervisor.now - model.snapshot.supervisor.now
            right += f"  FROZEN {formats.span(since)}"
        if model.latest is not None:
            now, is_local = model.latest.supervisor.now, model.view.is_local_time
            clock = formats.clock(now, is_local=is_local)
            right += f"  {clock} {formats.zone(now, is_local=is_local)} "
        left = f" {health.headline}   {health.text}"
        text = fit(left, max(0, width - len(right)), model.symbols.cut) + right
        return Line([Span(fit(text, width, model.symbols.cut), look)])

    def _totals(self, width: int) -> Line:
        if self.model.latest is None:
            return Line()
        gap = "  " if width < 100 else "    "
        spans, used = [Span(" ")], 1
        for label, value, meaning in _figures(self.model.latest.supervisor):
            length = len(label) + len(value)
            if used + length > width:
                break
            spans += [Span(label, "dim"), Span(value, meaning), Span(gap)]
            used += length + len(gap)
        return Line(spans)


def _is_open_to_all(snapshot: Snapshot | None) -> bool:
    """Whether anybody who reaches its port commands the node."""
    remote = snapshot.supervisor.remote if snapshot else None
    return remote is not None and remote.is_insecure


def _figures(node: SupervisorStatus) -> list[tuple[str, str, str]]:
    """(label, value, meaning), the most wanted first."""
    free = node.disk_free_bytes
    figures = [
        ("", node.id, "bold"),
        ("up ", formats.span(node.now - node.started), "plain"),
        ("jobs ", f"{node.jobs_running}/{node.jobs_total}", "plain"),
        ("", f"{formats.number(node.rate_messages)} msg/s", "bold"),
        ("", f"{formats.size(node.rate_bytes)}/s", "bold"),
        ("disk ", f"{formats.size(free)} free", "bad" if free < LITTLE_DISK else "plain"),
        ("memory ", f"{formats.size(node.memory_free_bytes)} free", "plain"),
        ("version ", node.version, "dim"),
    ]
    if node.log_dropped:
        figures.insert(3, ("log dropped ", formats.count(node.log_dropped), "warn"))
    if node.state != "running":
        figures.insert(1, ("", node.state, "warn"))
    return figures
