"""Path rules: date of the record, tag, parts; never out of the folder."""

import datetime as dt
from pathlib import Path

import pytest

from enrgdaq.daq.store.paths import data_path
from enrgdaq.errors import StoreError

OUT = Path("out")
MIDNIGHT = dt.datetime(2026, 1, 31, 23, 59, 59, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("file_path", "options", "expected"),
    [
        ("a.csv", {}, "out/a.csv"),
        ("sub/a.csv", {"add_date": True}, "out/sub/2026-01-31_a.csv"),
        ("a.csv", {"tag": "hv"}, "out/a_hv.csv"),
        ("a.csv.zst", {"tag": "hv"}, "out/a_hv.csv.zst"),
        ("a.csv", {"add_date": True, "tag": "hv", "part": 2}, "out/2026-01-31_a_hv.part2.csv"),
        ("noext", {"tag": "x"}, "out/noext_x"),
    ],
)
def test_rule(file_path: str, options: dict[str, object], expected: str) -> None:
    given = {"add_date": False, **options}
    assert data_path(OUT, file_path, timestamp=MIDNIGHT, **given) == Path(expected)  # type: ignore[arg-type]


def test_date_is_the_records_own_in_utc() -> None:
    east = dt.timezone(dt.timedelta(hours=3))
    local = dt.datetime(2026, 2, 1, 1, 0, tzinfo=east)
    path = data_path(OUT, "a.csv", add_date=True, timestamp=local)
    assert path.name == "2026-01-31_a.csv"


@pytest.mark.parametrize(
    "file_path", ["../a.csv", "/etc/passwd", "a/../../b", "", "x\x00y", "x\ny"]
)
def test_paths_stay_in_the_folder(file_path: str) -> None:
    with pytest.raises(StoreError):
        data_path(OUT, file_path, add_date=False, timestamp=MIDNIGHT)


@pytest.mark.parametrize("tag", ["../x", "a/b", "", "é", "x" * 81])
def test_tags_are_words(tag: str) -> None:
    with pytest.raises(StoreError):
        data_path(OUT, "a.csv", add_date=False, timestamp=MIDNIGHT, tag=tag)
