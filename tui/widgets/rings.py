"""How full the rings are, and how far behind their consumers."""

from dataclasses import dataclass

from enrgdaq.control.protocol import RingConsumerStatus, RingStatus
from tui import formats
from tui.model import Model
from tui.widgets.fitting import fit
from tui.widgets.line_view import Line, Span
from tui.widgets.scroll_lines import ScrollLines

HALF, NEARLY_FULL = 0.5, 0.85
WORTH_TELLING = 0.001
"""Below this part of a ring a lag is what is on its way just now."""


def level(fill: float) -> str:
    """From half on a store flushes for the ring's sake; nearly full, producers wait."""
    return "bad" if fill >= NEARLY_FULL else "warn" if fill >= HALF else "good"


@dataclass(frozen=True)
class Bar:
    """A ring (``consumer`` is None), or one of its consumers."""

    ring: RingStatus
    consumer: RingConsumerStatus | None = None

    @property
    def held(self) -> int:
        """Bytes that this consumer, or the slowest one, has yet to read."""
        if self.consumer is not None:
            return self.consumer.lag_bytes
        return max((consumer.lag_bytes for consumer in self.ring.consumers), default=0)

    @property
    def fill(self) -> float:
        """The same as a part of the ring."""
        return min(1.0, self.held / self.ring.capacity) if self.ring.capacity else 0.0


def bars(rings: list[RingStatus]) -> list[Bar]:
    """A bar per ring and one per consumer below it; rings that are half full come first."""
    found: list[Bar] = []
    for ring in sorted(rings, key=lambda r: (Bar(r).fill < HALF, r.producer, r.is_old, r.uuid)):
        found.append(Bar(ring))
        found += [Bar(ring, one) for one in sorted(ring.consumers, key=lambda one: one.name)]
    return found


class RingList(ScrollLines):
    """Bars for producers and consumers."""

    fades = True

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self._bars: list[Bar] = []

    def prepare(self, width: int) -> None:
        """Which bars there are now."""
        snapshot = self.model.snapshot
        self._bars = bars(snapshot.rings) if snapshot is not None else []

    def title(self, width: int) -> str:
        """What the panel is."""
        return " rings: fill, and lag of each consumer"

    def count(self) -> int:
        """A line a bar."""
        return len(self._bars)

    def body(self, index: int, width: int) -> Line:
        """Name, bar, and how much that is."""
        bar, symbols = self._bars[index], self.model.symbols
        name = max(8, min(24, width * 2 // 5))
        figure = 9
        room = max(0, width - name - figure - 3)
        filled = min(room, round(bar.fill * room))
        look = level(bar.fill)
        is_worth = bar.fill >= WORTH_TELLING
        if is_worth:
            filled = max(1, filled)
        if bar.consumer is None:
            shown = f"{bar.ring.producer} (old run)" if bar.ring.is_old else bar.ring.producer
            full, empty, text = symbols.full, symbols.empty, f"{bar.fill:.0%}"
        else:
            shown, full, empty = f"  {bar.consumer.name}", symbols.bar, symbols.lane
            text = formats.size(bar.held) if is_worth else ""
            if bar.consumer.skipped:
                text, look = f"lost {formats.count(bar.consumer.skipped)}", "bad"
        return Line(
            [
                Span(" " + fit(shown, name, symbols.cut) + " ", "dim" if bar.consumer else "plain"),
                Span(full * filled, look),
                Span(empty * (room - filled), "faint"),
                Span(fit(text, figure, symbols.cut, right=True), _figure_look(bar, look)),
                Span(" "),
            ]
        )


def _figure_look(bar: Bar, look: str) -> str:
    if look == "bad" or bar.fill >= HALF:
        return look
    return "dim" if bar.consumer is not None else "plain"
