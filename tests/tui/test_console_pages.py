"""Pages of text: long lines go on below, two columns where there is room."""

import pytest
from rich.cells import cell_len

from tui.model import Model
from tui.widgets.line_view import Line, Span
from tui.widgets.page import Page

REASON = "RuntimeError: the crate at 10.0.0.7 does not answer after 3 tries: " + "x" * 90


def shown(content: list[Line], width: int, beside: list[Line] | None = None) -> list[str]:
    page = Page(Model(), "page")
    page.show(content, beside or [])
    page.prepare(width)
    return [
        "".join(span.text for span in page.body(index, width).spans)
        for index in range(page.count())
    ]


@pytest.mark.parametrize("width", [1, 2, 3, 10, 39, 80])
@pytest.mark.parametrize("text", [REASON, "漢字" * 60, " " * 100, "a" * 80 + "b"])
def test_long_lines_are_folded_and_nothing_of_them_is_lost(width: int, text: str) -> None:
    lines = shown([Line([Span(f"{'reason':<15}"), Span(text)])], width)
    assert all(cell_len(line) <= max(2, width) for line in lines)
    assert "".join(lines).replace(" ", "") == f"reason{text}".replace(" ", "")


def test_what_goes_on_stands_below_the_text() -> None:
    lines = shown([Line([Span(f"{'reason':<15}"), Span("one two three four five")])], 30)
    assert lines == ["reason         one two three ", " " * 10 + "four five"]


def test_short_lines_stay_as_they_are() -> None:
    lines = [Line([Span("a"), Span("b" * 79)]), Line()]
    assert shown(lines, 80) == ["a" + "b" * 79, ""]


def test_columns_stand_side_by_side_where_there_is_room() -> None:
    left, right = [Line([Span("left")])] * 3, [Line(), Line([Span("right")])]
    assert shown(left, 80, right) == ["left", "left", "left", "", "right"]
    wide = shown(left, 200, right)
    assert [line.split() for line in wide] == [["left", "right"], ["left"], ["left"]]
