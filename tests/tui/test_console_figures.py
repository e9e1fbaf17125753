"""Numbers, the graph's history, the band's word, the cells that are repainted."""

import pytest
from rich.segment import Segment
from rich.style import Style
from scripted_supervisor import job, snapshot, topic
from textual.strip import Strip

from tui import formats
from tui.contact import Contact
from tui.health import health
from tui.history import ceiling, columns
from tui.model import Model
from tui.news import News
from tui.symbols import ASCII, UNICODE, choose
from tui.tree import Row
from tui.view import View
from tui.widgets import job_cells
from tui.widgets.fitting import fit_end
from tui.widgets.graph import RateGraphs, grid
from tui.widgets.line_view import changed_runs


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.004, "0"),
        (0.25, "0.25"),
        (0.999, "1.0"),
        (9.96, "10"),
        (981.4, "981"),
        (999.7, "1.00k"),
        (12_345, "12.3k"),
        (999_600, "1.00M"),
        (45.6e6, "45.6M"),
        (1e30, "huge"),
    ],
)
def test_numbers_are_at_most_five_characters(value: float, text: str) -> None:
    assert formats.number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.3, "now"), (2.9, "2s"), (59.9, "59s"), (60, "1m"), (7199, "1h"), (2e5, "2d")],
)
def test_ages_are_whole_units(seconds: float | None, text: str) -> None:
    assert formats.age(seconds) == text


def test_spans_sizes_counts_and_times() -> None:
    assert [formats.span(s) for s in (5, 65, 3700, 90_000)] == [
        "5 s",
        "1 m 5 s",
        "1 h 1 m",
        "1 d 1 h",
    ]
    assert [formats.size(b) for b in (12, 85.1e6)] == ["12 B", "85.1 MB"]
    assert [formats.count(n) for n in (3, 999, 1234)] == ["3", "999", "1.23k"]
    assert formats.utc_date(0) == "1970-01-01 00:00:00"


def test_columns_hold_the_highest_value_and_know_gaps() -> None:
    points = [(float(second), float(second)) for second in range(60, 120)]
    found = columns(points, 119.0, 12, 120.0)
    assert found == [None] * 6 + [69.0, 79.0, 89.0, 99.0, 109.0, 119.0]
    # Finer than the samples: a value stands for three seconds, then nothing is known.
    assert columns([(0.0, 5.0)], 5.0, 6, 6.0) == [5.0, 5.0, 5.0, 5.0, None, None]


def test_columns_stand_still_within_a_column() -> None:
    points = [(100.0, 1.0), (110.0, 2.0)]
    assert columns(points, 110.1, 60, 120.0) == columns(points, 111.9, 60, 120.0)


@pytest.mark.parametrize(("value", "top"), [(0, 1), (1, 1), (1.1, 2), (2100, 5000), (0.03, 0.05)])
def test_the_scale_goes_in_steps(value: float, top: float) -> None:
    assert ceiling(value) == pytest.approx(top)


@pytest.mark.parametrize(
    ("fields", "contact", "silence", "level", "headline"),
    [
        ({}, Contact.ANSWERED, None, "good", "ALL WELL"),
        ({"problems": ["a", "b"]}, Contact.ANSWERED, None, "bad", "2 PROBLEMS"),
        (
            {"of": [job("a", state="failed"), job("b", lost=2), job("c", lost=1)]},
            *(Contact.ANSWERED, None, "bad", "1 FAILED  2 LOSSY"),
        ),
        ({"of": [job("a", is_stale=True)]}, Contact.ANSWERED, None, "warn", "1 STALE"),
        (
            {"disk_free_bytes": 400_000_000},
            *(Contact.ANSWERED, None, "warn", "DISK ALMOST FULL"),
        ),
        (
            {"disk_free_bytes": 0, "of": [job("a", lost=1)]},
            *(Contact.ANSWERED, None, "bad", "1 LOSSY  DISK ALMOST FULL"),
        ),
        (
            {"of": [job("a", condition="waiting for disk: full")]},
            *(Contact.ANSWERED, None, "bad", "1 WAITING FOR DISK"),
        ),
        ({"state": "starting"}, Contact.ANSWERED, None, "info", "STARTING"),
        ({"state": "stopping"}, Contact.ANSWERED, None, "warn", "STOPPING"),
        ({"jobs_running": 3}, Contact.ANSWERED, None, "warn", "NOT ALL JOBS RUN"),
        (
            {"of": [job("a", state="starting"), job("b"), job("n/c", state="stopped")]},
            *(Contact.ANSWERED, None, "info", "STARTING"),
        ),
        (
            {"of": [job("a", state="starting", restarts=1), job("b", state="starting")]},
            *(Contact.ANSWERED, None, "warn", "NOT ALL JOBS RUN"),
        ),
        (
            {"of": [job("a", state="starting"), job("b", state="stopped")]},
            *(Contact.ANSWERED, None, "warn", "NOT ALL JOBS RUN"),
        ),
        ({"problems": ["a"]}, Contact.SILENT, 7, "warn", "NO ANSWER FOR 7 s"),
        ({}, Contact.GONE, 7, "bad", "SUPERVISOR GONE"),
        ({}, Contact.REFUSED, None, "bad", "CANNOT READ"),
    ],
)
def test_health_in_a_word(
    fields: dict[str, object], contact: Contact, silence: int | None, level: str, headline: str
) -> None:
    found = health(snapshot(**fields), contact, "why", silence)
    assert (found.level, found.headline) == (level, headline)


@pytest.mark.parametrize("width", [*range(20, 120), 160, 199])
def test_every_row_is_as_wide_as_its_headings(width: int) -> None:
    at, view = job_cells.table(width), View()
    headings = job_cells.headings(at, "jobs 1-9 of 12", view, UNICODE)
    states = [
        job("a name that is far too long for any column", state=state, exit_reason="because")
        for state in ("running", "backoff", "failed", "stopped", "starting")
    ]
    states.append(job("a", is_stale=True, lost=3, condition="waiting for disk"))
    rows = [job_cells.job_cells(Row(one.id, 1, one.id), one, at, view, UNICODE) for one in states]
    group = Row("\0source", 0, "sources", jobs=states)
    rows.append(job_cells.group_cells(group, at, view, UNICODE))
    lengths = {sum(len(span.text) for span in row) for row in rows}
    assert lengths == {len(headings)} == {width}


def test_a_narrow_table_leaves_out_what_is_wanted_least() -> None:
    def names(width: int) -> list[str]:
        return [column.order for column, _ in job_cells.table(width).columns]

    assert names(79)[-2:] == ["backpressure", "lost"]
    assert "backpressure" not in names(66)
    assert names(40) == ["in", "out"]


def test_states_are_told_by_letter_and_word() -> None:
    assert job_cells.state_of(job("a")) == ("R", "running", "good")
    assert job_cells.state_of(job("a", state="failed")) == ("F", "FAILED", "bad")
    assert job_cells.state_of(job("a", is_stale=True)) == ("S", "STALE", "warn")
    letters = [letter for letter, _, _ in (*job_cells.STATES.values(), job_cells.STALE)]
    assert len(set(letters)) == len(letters)


def test_only_changed_cells_are_repainted() -> None:
    def strip(text: str, style: Style | None = None) -> Strip:
        return Strip([Segment(text, style)])

    assert changed_runs(strip("rate  12 age 3"), strip("rate  13 age 3")) == [(7, 8)]
    assert changed_runs(strip("1-----2"), strip("3-----4")) == [(0, 7)]
    assert changed_runs(strip("1" + "-" * 20 + "2"), strip("3" + "-" * 20 + "4")) == [
        (0, 1),
        (21, 22),
    ]
    assert changed_runs(strip("中文x"), strip("中x文")) == [(2, 5)]
    assert changed_runs(strip("a"), strip("a", Style(bold=True))) == [(0, 1)]


def test_characters_suit_the_terminal() -> None:
    assert choose({"TERM": "xterm"}, "utf-8") is UNICODE
    assert choose({"TERM": "linux"}, "utf-8") is ASCII
    assert choose({"TERM": "xterm"}, "ANSI_X3.4-1968") is ASCII


@pytest.mark.parametrize("compared", [0, 1, 2, 5, 11])
@pytest.mark.parametrize(
    ("width", "height"), [(5, 2), (22, 5), (43, 6), (79, 14), (80, 23), (135, 46)]
)
def test_graphs_fill_their_place_exactly(width: int, height: int, compared: int) -> None:
    model = Model()
    shown = snapshot()
    shown.topics = [topic(f"a topic with a long name {n}", n, n * 1e6) for n in range(11)]
    model.apply(News(snapshot=shown), 1.0)
    model.view.compared = [one.topic for one in shown.topics[:compared]]
    lines = RateGraphs(model).lines(width, height)
    assert len(lines) == height
    assert {sum(len(span.text) for span in line.spans) for line in lines} <= {width}


def test_as_many_graphs_as_there_is_room_for_in_the_shape_of_screens() -> None:
    assert grid(1, 43, 6, 34) == (1, 1)
    assert grid(4, 80, 23, 34) == (2, 2)
    assert grid(3, 80, 14, 34)[0] == 2
    assert grid(2, 43, 14, 34) == (1, 2)
    assert grid(12, 20, 5, 34) == (1, 1)


def test_of_a_path_and_a_topic_the_end_stays() -> None:
    assert fit_end("/data/out/logs/x.log", 10, "~") == "~ogs/x.log"
    assert fit_end("x.log", 10, "~") == "x.log"
    assert fit_end("x.log", 0, "~") == ""
