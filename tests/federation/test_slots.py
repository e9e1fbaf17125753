"""A file of two slots, cut and spoiled in every place."""

from pathlib import Path

import pytest

from enrgdaq.federation.slots import SlotFile


def test_the_last_write_counts_whatever_its_size(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert SlotFile(path).read() == b""
    file = SlotFile(path)
    for size in (0, 10, 3_000, 9_000, 5, 40_000, 1, 2):
        file.write(b"x" * size)
        assert SlotFile(path).read() == b"x" * size
    later = SlotFile(path)
    assert later.read() == b"xx"
    later.write(b"later")
    assert SlotFile(path).read() == b"later"
    path.unlink()
    later.write(b"again")
    assert SlotFile(path).read() == b"again"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("writes", [1, 2])
def test_a_write_that_was_cut_leaves_the_one_before(tmp_path: Path, writes: int) -> None:
    path = tmp_path / "file"
    file = SlotFile(path)
    for _ in range(writes):
        file.write(b"before")
    before = path.read_bytes()
    file.write(b"after it")
    after = path.read_bytes()
    changed = [place for place, byte in enumerate(after) if byte != before[place]]
    for place in range(changed[0], changed[-1] + 1):
        path.write_bytes(after[:place] + before[place:])
        assert SlotFile(path).read() == b"before"
        path.write_bytes(before[: changed[0]] + before[changed[0] : place] + after[place:])
        assert SlotFile(path).read() in (b"before", b"after it")


def test_a_file_of_something_else_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b'{"ring": 10}' * 100)
    file = SlotFile(path)
    assert file.read() == b""
    file.write(b"x" * 300)
    assert SlotFile(path).read() == b"x" * 300
