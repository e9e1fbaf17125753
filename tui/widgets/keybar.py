"""The bottom line: the keys, or for a few seconds what came of the last one."""

from tui.commands import key_bar
from tui.model import Model
from tui.widgets.fitting import fit
from tui.widgets.line_view import Line, LineView, Span

NOTICE_SECONDS = 6.0


class KeyBar(LineView):
    """As many keys as there is room for, the most wanted first."""

    def __init__(self, model: Model, keys: list[tuple[str, str]] | None = None) -> None:
        super().__init__(model)
        self._keys = key_bar(readonly=model.readonly) if keys is None else keys
        self._notice = ("", "plain")
        self._until = 0.0

    def notice(self, text: str, meaning: str, now: float) -> None:
        """Show a sentence for a while (monotonic seconds)."""
        self._notice = (text, meaning)
        self._until = now + NOTICE_SECONDS
        self.redraw()

    def tick(self, now: float) -> None:
        """Take an old notice away."""
        if self._notice[0] and now >= self._until:
            self._notice = ("", "plain")
            self.redraw()

    def lines(self, width: int, height: int) -> list[Line]:
        """Notice or keys."""
        text, meaning = self._notice
        if text:
            return [Line([Span(fit(" " + text, width, self.model.symbols.cut), meaning)])]
        spans, used = [Span(" ")], 1
        for key, label in self._keys:
            length = len(key) + len(label) + 3
            if used + length > width + 2:
                break
            spans += [Span(key, "bold"), Span(f" {label}  ", "dim")]
            used += length
        return [Line(spans)]
