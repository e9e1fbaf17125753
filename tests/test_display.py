"""What the command line prints."""

import tomllib

import pytest

from enrgdaq.control.status import RingConsumerStatus, RingStatus
from enrgdaq.daq.registry import BUILT_IN, load_class
from enrgdaq.daq.spec import ClassRef
from enrgdaq.display import (
    duration,
    number,
    ring_lines,
    size,
    table,
)
from enrgdaq.explanations import job_type_template, job_type_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (2.54, "2.5 s"),
        (59, "59 s"),
        (60, "1 min"),
        (7500, "2 h 05 min"),
        (270_000, "3 d 03 h"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_numbers_and_sizes() -> None:
    assert [number(n) for n in (0, 0.25, 12.0, 4567.8)] == ["0", "0.2", "12", "4 568"]
    assert [size(n) for n in (0, 999, 1500, 2.5e9)] == ["0 B", "999 B", "1.5 kB", "2.5 GB"]


def test_table_puts_numbers_to_the_right() -> None:
    lines = table(["JOB", "N"], [["a", "5"], ["long", "1000"]])
    assert lines == ["JOB      N", "a        5", "long  1000"]


def test_rings_say_how_full_they_are_and_for_whom() -> None:
    def ring(producer: str, head: int, is_old: bool = False, **lags: int) -> RingStatus:
        return RingStatus(
            producer=producer,
            uuid=producer,
            capacity=8_000_000,
            head=head,
            is_old=is_old,
            consumers=[
                RingConsumerStatus(name=name, cursor=head - lag, lag_bytes=lag, skipped=0)
                for name, lag in lags.items()
            ],
        )

    rings = [
        ring("adc", 9_000_000, csv=2_000_000, root=20_000),
        ring("hv", 5_000, csv=0),
        ring("idle", 0, csv=0),
        ring("adc", 900_000, is_old=True, root=800_000),
    ]
    assert ring_lines(rings) == [
        "RING                SIZE  FULL  FURTHEST BEHIND        BY",
        "adc               8.0 MB  25 %  csv                2.0 MB",
        "hv                8.0 MB   0 %  -                     0 B",
        "adc, earlier run  8.0 MB  10 %  root             800.0 kB",
    ]
    assert ring_lines(rings[2:3]) == []


def test_cells_make_a_terminal_do_nothing() -> None:
    assert table(["JOB"], [["\x1b[31mred\x07"], ["a"]]) == ["JOB", "red", "a"]


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_shipped_type_explains_itself(name: str) -> None:
    job_class = load_class(ClassRef(name=name, module=BUILT_IN[name]))
    text = job_type_text(name, job_class)
    assert "daq_job_type: text; required" in text
    template = job_type_template(name, job_class)
    assert tomllib.loads(template)["daq_job_type"] == name
    # What is commented out must be TOML as well once the mark is taken away.
    keys = [line[2:] for line in template.splitlines() if line.startswith("# ") and " = " in line]
    for key in keys:
        if key.split(" = ")[0].isidentifier():
            tomllib.loads(key)
