"""How full the rings are, and who is behind."""

from enrgdaq.control.protocol import RingStatus
from tui import formats
from tui.widgets.fitting import fit
from tui.widgets.line_view import Line, Span
from tui.widgets.scroll_lines import ScrollLines

HALF, NEARLY_FULL = 0.5, 0.85


def level(fill: float) -> str:
    """From half on a store flushes for the ring's sake; nearly full, producers wait."""
    return "bad" if fill >= NEARLY_FULL else "warn" if fill >= HALF else "good"


class RingList(ScrollLines):
    """A bar per producer, a line per consumer that is behind."""

    def title(self, width: int) -> str:
        """What the panel is."""
        return " ring fill, and who is behind"

    def count(self) -> int:
        """Producers, and consumers with a lag or losses."""
        return len(self._lines(0))

    def body(self, index: int, width: int) -> Line:
        """One line of the list."""
        return self._lines(width)[index]

    def _lines(self, width: int) -> list[Line]:
        snapshot = self.model.snapshot
        if snapshot is None:
            return []
        lines = []
        for ring in sorted(snapshot.rings, key=lambda ring: (ring.producer, ring.is_old)):
            lines.append(self._producer(ring, width))
            lines += [
                self._consumer(consumer.name, consumer.lag_bytes, consumer.skipped, width)
                for consumer in sorted(ring.consumers, key=lambda consumer: consumer.name)
                if consumer.lag_bytes or consumer.skipped
            ]
        return lines

    def _producer(self, ring: RingStatus, width: int) -> Line:
        held = max((consumer.lag_bytes for consumer in ring.consumers), default=0)
        fill = min(1.0, held / ring.capacity) if ring.capacity else 0.0
        symbols = self.model.symbols
        name = max(8, min(24, width * 2 // 5))
        bar = max(0, width - name - 8)
        filled = min(bar, max(round(fill * bar), 1 if held else 0))
        shown = f"{ring.producer} (old run)" if ring.is_old else ring.producer
        return Line(
            [
                Span(" " + fit(shown, name, symbols.cut) + " ", "plain"),
                Span(symbols.full * filled, level(fill)),
                Span(symbols.empty * (bar - filled), "dim"),
                Span(f" {fill:4.0%}", level(fill) if fill >= HALF else "plain"),
            ]
        )

    def _consumer(self, name: str, lag: int, skipped: int, width: int) -> Line:
        spans = [Span(f"   {name} ", "dim"), Span(f"{formats.size(lag)} behind", "dim")]
        if skipped:
            spans.append(Span(f", skipped {formats.count(skipped)}", "bad"))
        return Line(spans)
