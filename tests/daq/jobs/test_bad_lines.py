"""The side file says when and why, stays printable, and stays small."""

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from enrgdaq.daq.jobs.bad_lines import BadLineFile, escape, format_bad_line

WHEN = dt.datetime(2025, 3, 1, 12, 0, 0, 250_000, tzinfo=dt.UTC)


def test_a_line_holds_time_reason_and_escaped_bytes():
    line = format_bad_line(WHEN, "2 fields, expected 3", b"\x1b[2J\\1\t\xff")
    assert line == "2025-03-01T12:00:00.250Z\t2 fields, expected 3\t\\x1b[2J\\\\1\\t\\xff\n"


@given(data=st.binary(max_size=100), reason=st.text(max_size=50))
def test_any_bytes_make_one_printable_line(data, reason):
    line = format_bad_line(WHEN, reason, data)
    assert line.endswith("\n")
    assert line[:-1].replace("\t", "").isprintable()
    assert line.isascii()
    assert line.count("\t") == 2


@given(data=st.binary())
def test_escaped_bytes_can_be_had_back(data):
    assert escape(data).encode().decode("unicode_escape").encode("latin-1") == data


def test_the_file_is_rotated_once_and_never_grows_beyond_its_limit(tmp_path):
    path = tmp_path / "sub" / "bad.txt"
    file = BadLineFile(path, 2000)
    for number in range(500):
        file.append(WHEN, "reason", b"%03d" % number)
    assert sorted(p.name for p in path.parent.iterdir()) == ["bad.txt", "bad.txt.1"]
    assert path.stat().st_size <= 2000
    assert path.with_name("bad.txt.1").stat().st_size <= 2000
    # The latest lines are there, without a gap.
    kept = path.with_name("bad.txt.1").read_text() + path.read_text()
    numbers = [int(line.split("\t")[2]) for line in kept.splitlines()]
    assert numbers == list(range(numbers[0], 500))


def test_a_huge_line_is_cut_and_says_so(tmp_path):
    file = BadLineFile(tmp_path / "bad.txt", 10_000)
    file.append(WHEN, "reason", b"x" * 100_000)
    assert (tmp_path / "bad.txt").read_text().endswith("x... (100000 bytes)\n")
