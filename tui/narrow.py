"""Makes Textual write only the cells that a partial update is about.

Textual 8 writes a line from the left edge of its widget up to the last cell to be repainted, and
does so again for each further region in that line: one figure of a table row is 400 bytes instead
of 40. Over SSH that is most of the traffic.
"""

from rich.console import Console, RenderableType
from rich.control import Control
from textual._compositor import ChopsUpdate


class NarrowUpdate(ChopsUpdate):
    """The same update, from the first cell that has changed."""

    def render_segments(self, console: Console) -> str:
        """Terminal output for the spans (line, first cell, end) of this update."""
        written = []
        for y, first, end in self.spans:
            for chop_end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                if strip is None or x >= end or chop_end <= first:
                    continue
                part = strip.crop(max(0, first - x), min(chop_end, end) - x)
                written += [Control.move_to(max(x, first), y).segment.text, part.render(console)]
        return "".join(written)


def narrowed(renderable: RenderableType | None) -> RenderableType | None:
    """A partial update made narrow; anything else as it is."""
    if type(renderable) is ChopsUpdate:
        return NarrowUpdate(renderable.chops, renderable.spans, renderable.chop_ends)
    return renderable
