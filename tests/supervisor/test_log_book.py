"""The book of log lines: what is asked for, and what is gone."""

import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from enrgdaq.supervisor.logs import LogBook, last_lines


@pytest.fixture
def book(tmp_path: Path) -> Iterator[LogBook]:
    made = LogBook(tmp_path / "it.log", echo=False)
    for number in range(6):
        made.add(("a", "b")[number % 2], ("INFO", "PRINT", "ERROR")[number % 3], f"{number}", 0.0)
    yield made
    made.close()


def test_lines_by_number_job_and_level(book: LogBook) -> None:
    def texts(number: int, limit: int, job: str | None = None, level: str = "DEBUG") -> str:
        return "".join(line.text for line in book.after(number, limit, job=job, level=level)[0])

    assert texts(-1, 10) == "012345"
    assert texts(-1, 2) == "45"
    assert texts(3, 10) == "345"
    assert texts(0, 2) == "01"
    assert texts(-1, 10, job="a") == "024"
    assert texts(-1, 10, level="WARNING") == "25"
    assert texts(-1, 1, level="WARNING") == "5"
    assert texts(-1, 10, job="b", level="ERROR") == "5"
    assert texts(-1, 10, level="INFO") == "012345"
    assert texts(6, 10) == ""


def test_who_reads_everything_is_told_what_is_gone(book: LogBook) -> None:
    for number in range(30_000):
        book.add("a", "INFO", str(number), 0.0)
    lines, missed = book.after(4, 5)
    assert missed == lines[0].number - 5 > 0
    # Nobody knows whose the lines were that are gone.
    assert book.after(4, 5, job="a")[1] == 0
    assert book.after(-1, 5)[1] == 0


@pytest.mark.parametrize(
    "odd", [1e15, 253_402_300_799.9999999, -1.0, math.nan, math.inf, -math.inf]
)
def test_a_moment_that_is_none_becomes_that_of_the_arrival(book: LogBook, odd: float) -> None:
    before = time.time()
    book.add("a", "INFO", "odd", odd)
    (line,), _ = book.after(-1, 1)
    assert before <= line.time <= time.time()
    assert book.path.read_text().splitlines()[-1].endswith("INFO    a: odd")


def test_last_lines_of_the_file_by_job(book: LogBook) -> None:
    def texts(limit: int, job: str | None = None) -> list[str]:
        return [line.rpartition(": ")[2] for line in last_lines(book.path, limit, job)]

    assert texts(2) == ["4", "5"]
    assert texts(2, "a") == ["2", "4"]
    assert texts(9, "") == []
    for _ in range(700):
        book.add("b", "INFO", "x" * 4000, 0.0)
    # Of a longer file only the end is read, and no half of a line is shown.
    assert texts(9, "a") == []
    assert 400 < len(texts(1000)) < 600
    assert set(texts(1000)) == {"x" * 4000}
