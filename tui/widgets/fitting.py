"""Text in a given number of cells."""

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size


def wrapped(parts: Sequence[str], width: int, count: int) -> list[str]:
    """Parts on exactly ``count`` lines, none of them broken; the last takes what is too much."""
    lines = [""]
    for part in parts:
        longer = f"{lines[-1]}   {part}" if lines[-1] else part
        if len(longer) <= width or len(lines) == count:
            lines[-1] = longer
        else:
            lines.append(part)
    return lines + [""] * (count - len(lines))


def fit(text: str, width: int, cut: str, *, right: bool = False) -> str:
    """Exactly ``width`` cells: padded, or cut with a mark at the end."""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + cut if width > 0 else ""
    padding = " " * (width - length)
    return padding + text if right else text + padding


def fit_end(text: str, width: int, cut: str) -> str:
    """At most ``width`` cells: the end of the text, with a mark where it is cut."""
    if cell_len(text) <= width:
        return text
    kept = text
    while kept and cell_len(kept) >= width:
        kept = kept[1:]
    return cut + kept if width > 0 else ""
