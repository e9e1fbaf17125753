"""Nothing from outside can talk to the terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_supervisor import job, snapshot

from tui.incoming import cleaned, cleaned_details, named
from tui.model import Model
from tui.text import LONGEST, clean, clean_lines
from tui.widgets.line_view import Line, LineView, Span


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain text, äöü 中文 ✓", "plain text, äöü 中文 ✓"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]52;c;cm0gLXJm\x1b\\after", "after"),
        ("\x9b31mred", "red"),
        ("\x9d0;title\x9cafter", "after"),
        ("\x1bPdevice\x1b\\after", "after"),
        ("\x1b]0;never ends", "0;never ends"),
        ("\x1b\x1b[0m[31mx", "[31mx"),
        ("\x1bcreset", "reset"),
        ("a\tb\r\nc", "a b  c"),
        ("a\x00\x08\x7f\x85b", "a b"),
        ("\u202egnp.exe", "gnp.exe"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("\ud800lone", "lone"),
    ],
)
def test_what_is_left_of_a_string(raw: str, shown: str) -> None:
    assert clean(raw) == shown


@given(
    st.text(alphabet=st.characters() | st.sampled_from("\x1b[]m;\x07\\\x9b\x9c\x9d"), max_size=80)
)
def test_nothing_unprintable_is_ever_left(raw: str) -> None:
    assert clean(raw).isprintable()


def test_a_long_line_is_cut_and_a_nasty_one_costs_little() -> None:
    assert len(clean("x" * 10_000_000)) == LONGEST
    assert clean("\x9d\x1b]" * 1_000_000).isprintable()


def test_lines_stay_lines() -> None:
    assert clean_lines("a = 1\n\x1b[2Jb = 2\n") == "a = 1\nb = 2\n"


def test_every_string_of_a_snapshot_is_cleaned() -> None:
    raw = snapshot(
        [job("\x1b[2Jx", exit_reason="\x1b]0;t\x07died")], id="\x9b1mnode", problems=["\x1b[5mbad"]
    )
    raw.topics[0].topic = "store\x07"
    raw.rings[0].consumers[0].name = "cs\x1b[0mv"
    shown, _ = named(raw)
    assert (shown.jobs[0].id, shown.jobs[0].exit_reason) == ("x", "died")
    assert (shown.supervisor.id, shown.supervisor.problems) == ("node", ["bad"])
    assert shown.topics[0].topic == "store"
    assert shown.rings[0].consumers[0].name == "csv"


def test_also_what_is_in_a_table_is_cleaned() -> None:
    assert cleaned({"a\x1b[0m": ["b\x07", 1]}) == {"a": ["b", 1]}


def test_what_nobody_has_cleaned_is_cleaned_when_it_is_drawn() -> None:
    class Careless(LineView):
        def lines(self, width: int, height: int) -> list[Line]:
            return [Line([Span("job \x1b[2J\x9b31m\ud800!")])]

    view = Careless(Model())
    assert view._strip(view.lines(10, 1)[0], 10).text == "job !     "


def test_names_that_look_alike_are_told_apart() -> None:
    shown, real = named(snapshot([job("csv"), job("csv\x1b[0m"), job("csv\x00")]))
    assert [one.id for one in shown.jobs] == ["csv", "csv~2", "csv~3"]
    assert real == {"csv": "csv", "csv~2": "csv\x1b[0m", "csv~3": "csv\x00"}


def test_a_jobs_file_keeps_its_lines() -> None:
    from enrgdaq.control.protocol import JobDetails

    details = JobDetails(
        job=job("a"), config_file="a\n.toml", config_text="x = 1\ny = '\x1b[1m'", topics_in=[]
    )
    assert cleaned_details(details).config_text == "x = 1\ny = ''"
    assert cleaned_details(details).config_file == "a .toml"
