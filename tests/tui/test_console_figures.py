"""Numbers, the graph's history, the band's word, the cells that are repainted."""

import pytest
from rich.segment import Segment
from rich.style import Style
from scripted_supervisor import NOW, job, snapshot
from textual.strip import Strip

from tui import formats
from tui.contact import Contact
from tui.health import health
from tui.history import History, ceiling, columns
from tui.symbols import ASCII, UNICODE, choose
from tui.widgets import job_cells
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


def test_history_keeps_two_minutes_and_forgets_topics() -> None:
    history = History()
    for second in range(400):
        history.add(NOW + second, [("a", second, 0.0), ("b", 1.0, 2.0)])
    assert len(history.samples("a")) == 124
    history.add(NOW + 400, [("a", 1.0, 0.0)])
    assert history.samples("b") == []


def test_the_same_snapshot_twice_is_one_sample() -> None:
    history = History()
    history.add(NOW, [("a", 1.0, 0.0)])
    history.add(NOW, [("a", 2.0, 0.0)])
    history.add(NOW - 5, [("a", 3.0, 0.0)])
    assert [sample.messages for sample in history.samples("a")] == [3.0]


def test_columns_hold_the_highest_value_and_know_gaps() -> None:
    points = [(float(second), float(second)) for second in range(60, 120)]
    assert columns(points, 119.0, 12) == [None] * 6 + [69.0, 79.0, 89.0, 99.0, 109.0, 119.0]
    # Finer than the samples: a value stands for three seconds, then nothing is known.
    assert columns([(0.0, 5.0)], 5.0, 6, seconds=6.0) == [5.0, 5.0, 5.0, 5.0, None, None]


def test_columns_stand_still_within_a_column() -> None:
    points = [(100.0, 1.0), (110.0, 2.0)]
    assert columns(points, 110.1, 60) == columns(points, 111.9, 60)


@pytest.mark.parametrize(("value", "top"), [(0, 1), (1, 1), (1.1, 2), (2100, 5000), (0.03, 0.05)])
def test_the_scale_goes_in_steps(value: float, top: float) -> None:
    assert ceiling(value) == pytest.approx(top)


@pytest.mark.parametrize(
    ("fields", "contact", "silence", "level", "headline"),
    [
        ({}, Contact.ANSWERED, None, "good", "ALL WELL"),
        ({"problems": ["a", "b"]}, Contact.ANSWERED, None, "bad", "2 PROBLEMS"),
        ({"state": "starting"}, Contact.ANSWERED, None, "info", "STARTING"),
        ({"state": "stopping"}, Contact.ANSWERED, None, "warn", "STOPPING"),
        ({"jobs_running": 3}, Contact.ANSWERED, None, "warn", "NOT ALL JOBS RUN"),
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


@pytest.mark.parametrize("width", [74, 79, 80, 109, 110, 119, 160, 199])
@pytest.mark.parametrize("state", ["running", "backoff", "failed", "stopped", "starting"])
def test_every_row_is_as_wide_as_its_headings(width: int, state: str) -> None:
    at = job_cells.columns(width)
    one = job("a name that is far too long for any column", state=state, exit_reason="because")
    cells = job_cells.cells(one, at, is_first=True, cut="~")
    length = sum(len(span.text) for span in cells)
    assert length == len(job_cells.headings(at, "1-9 of 12", "~")) <= width


def test_states_that_need_attention_are_in_capitals() -> None:
    words = {
        state: job_cells.state_of(job("a", state=state))[0]
        for state in ("running", "failed", "backoff")
    }
    assert words == {"running": "running", "failed": "FAILED", "backoff": "BACKOFF"}
    assert job_cells.state_of(job("a", is_stale=True)) == ("STALE", "warn")


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
