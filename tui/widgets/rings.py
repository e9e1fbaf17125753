"""How full the rings are, and how far behind their consumers."""

from dataclasses import dataclass

from enrgdaq.control.status import LinkStatus, RingConsumerStatus, RingStatus
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


def link_line(link: LinkStatus, now: float, width: int, cut: str) -> Line:
    """One link to another node: its state, how fast it is, what is not at its end yet."""
    name = f"to {link.peer}" if link.is_sender else f"from {link.peer}"
    look = {"up": "good", "away": "bad"}.get(link.state, "dim")
    facts = [f"{formats.size(link.rate_bytes)}/s"]
    if link.state != "up":
        facts = [f"for {formats.span(now - link.since)}"]
    if link.is_sender and link.round_trip_ms is not None:
        facts.append(f"{link.round_trip_ms:.1f} ms")
    if link.backlog_bytes:
        facts.append(f"{formats.size(link.backlog_bytes)} not there yet")
    if link.stream:
        facts.append(f"lag {formats.count(link.lag)}")
        if link.redelivered:
            facts.append(f"{formats.count(link.redelivered)} redelivered")
        facts += [f"led by {link.leader}"] if link.leader else []
        # A sender's peer is the stream.
        facts += [] if link.is_sender else [link.stream]
    if link.repeated:
        facts.append(f"{formats.count(link.repeated)} came again")
    room = max(8, min(24, width * 2 // 5))
    return Line(
        [
            Span(" " + fit(name, room, cut) + " "),
            Span(f"{link.state} ", look),
            Span(fit("  ".join(facts), max(0, width - room - len(link.state) - 3), cut)),
        ]
    )


class RingList(ScrollLines):
    """Links to other nodes, then bars for producers and consumers."""

    fades = True

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self._links: list[LinkStatus] = []
        self._bars: list[Bar] = []

    def prepare(self, width: int) -> None:
        """Which lines there are now."""
        snapshot = self.model.snapshot
        self._bars = bars(snapshot.rings) if snapshot is not None else []
        links = snapshot.links if snapshot is not None else []
        self._links = sorted(links, key=lambda one: (one.state == "up", one.peer))

    def title(self, width: int) -> str:
        """What the panel is."""
        if self._links:
            return " links; rings: fill, and lag of each consumer"
        return " rings: fill, and lag of each consumer"

    def count(self) -> int:
        """A line a link and a bar."""
        return len(self._links) + len(self._bars)

    def body(self, index: int, width: int) -> Line:
        """A link, or name, bar, and how much that is."""
        symbols, snapshot = self.model.symbols, self.model.snapshot
        if index < len(self._links):
            now = snapshot.supervisor.now if snapshot is not None else 0.0
            return link_line(self._links[index], now, width, symbols.cut)
        bar = self._bars[index - len(self._links)]
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
