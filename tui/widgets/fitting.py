"""Text in a given number of cells."""

from rich.cells import cell_len, set_cell_size


def fit(text: str, width: int, cut: str, *, right: bool = False) -> str:
    """Exactly ``width`` cells: padded, or cut with a mark at the end."""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + cut if width > 0 else ""
    padding = " " * (width - length)
    return padding + text if right else text + padding
