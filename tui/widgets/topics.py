"""The topics: which one the graph shows."""

from tui import formats
from tui.model import ALL_TOPICS
from tui.widgets.fitting import fit
from tui.widgets.line_view import Span
from tui.widgets.scroll_lines import CursorLines


class TopicList(CursorLines):
    """Rates per topic, the sum of all first."""

    def keys(self) -> list[str]:
        """Topic names by name: rows do not jump."""
        snapshot = self.model.snapshot
        if snapshot is None:
            return []
        return [ALL_TOPICS, *sorted(topic.topic for topic in snapshot.topics)]

    def title(self, width: int) -> str:
        """What the columns are."""
        name = max(0, width - 14)
        return fit(" topic", name, "") + " msg/s    B/s "

    def row(self, index: int, width: int) -> list[Span]:
        """Name, messages and bytes per second."""
        key = self.keys()[index]
        messages, size = self._rates(key)
        name = max(0, width - 14)
        return [
            Span(fit(key or "all topics", name, self.model.symbols.cut), "plain"),
            Span(f" {formats.number(messages):>5}", "plain"),
            Span(f" {formats.number(size):>6} ", "dim"),
        ]

    def _rates(self, key: str) -> tuple[float, float]:
        snapshot = self.model.snapshot
        if snapshot is None:
            return 0.0, 0.0
        if key == ALL_TOPICS:
            return snapshot.supervisor.rate_messages, snapshot.supervisor.rate_bytes
        for topic in snapshot.topics:
            if topic.topic == key:
                return topic.rate_messages, topic.rate_bytes
        return 0.0, 0.0
