"""Path rules: date of the record, tag, parts; never out of the folder."""

import datetime as dt
from pathlib import Path

import pytest

from enrgdaq.daq.store.paths import check_place, data_path, roll_path
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
    "file_path",
    [
        "../a.csv",
        "/etc/passwd",
        "a/../../b",
        "",
        "x\x00y",
        "x\ny",
        "/".join(["d" * 100] * 45),
        "run.csv.json",
    ],
)
def test_paths_stay_in_the_folder(file_path: str) -> None:
    with pytest.raises(StoreError):
        data_path(OUT, file_path, add_date=False, timestamp=MIDNIGHT)


@pytest.mark.parametrize("tag", ["../x", "a/b", "", "é", "x" * 81])
def test_tags_are_words(tag: str) -> None:
    with pytest.raises(StoreError):
        data_path(OUT, "a.csv", add_date=False, timestamp=MIDNIGHT, tag=tag)


def test_a_time_without_a_date_in_utc_is_refused() -> None:
    far_east = dt.timezone(dt.timedelta(hours=14))
    with pytest.raises(StoreError, match="has no date in UTC"):
        data_path(OUT, "a.csv", add_date=True, timestamp=dt.datetime(1, 1, 1, tzinfo=far_east))


def test_a_name_is_bounded_with_its_tag() -> None:
    longest = data_path(
        OUT, "n" * 132 + ".csv", add_date=True, timestamp=MIDNIGHT, tag="t" * 63, part=999
    )
    assert len(f".{roll_path(longest, 9999).name}.journal.new") <= 255
    with pytest.raises(StoreError, match="longer than 200 bytes"):
        data_path(OUT, "n" * 133 + ".csv", add_date=False, timestamp=MIDNIGHT, tag="t" * 63)


def test_a_file_and_a_folder_of_one_name(tmp_path: Path) -> None:
    check_place(tmp_path / "a.csv", [tmp_path / "b.csv", tmp_path / "a.csv"])
    check_place(tmp_path / "sub" / "a.csv", [])
    for one, other in (("a.csv", "a.csv/b.csv"), ("a.csv/b.csv", "a.csv")):
        with pytest.raises(StoreError, match="one would have to be a folder"):
            check_place(tmp_path / one, [tmp_path / other])
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="is a file, not a folder"):
        check_place(tmp_path / "file" / "sub" / "a.csv", [])
    with pytest.raises(StoreError, match="is a folder"):
        check_place(tmp_path / "folder", [])
