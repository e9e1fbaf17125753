"""Cuts the power under a writer, on paper: what the disk may hold then, and what comes of it.

A writer runs once with all its calls recorded. After a cut at one of them the disk has what
was synced by then; of what was written since, any page may be there or not, a length may be
old or new, and names in folders have changed in their order up to some moment, as in a file
system with a journal. From such disks, drawn at random, the writer goes on.

Run as a program: ``python -m tests.daq.store.power_cuts FORMAT FOLDER CUTS SEED``. Prints
one JSON line.
"""

import json
import os
import random
import struct
import sys
from pathlib import Path
from typing import Any, NamedTuple

from tests.daq.store.kill_cycles import FORMATS, POSITIONS, Life, finish_root, warm_up
from tests.daq.store.syscall_killer import (
    ORIG_RAX,
    PAGE,
    R10,
    RDI,
    RDX,
    RSI,
    Registers,
    TracedChild,
    can_trace,
    run_until_killed,
)

RECORDS = 25
RELEASED = "released"
_CREATES, _EMPTIES = 0o100, 0o1000
_HERE = 0xFFFFFF9C  # AT_FDCWD in the lower half of a register


class Change(NamedTuple):
    """One call's effect. Names are paths; ``data``: bytes, a length or another name."""

    kind: str
    name: str
    file: int = -1
    offset: int = 0
    data: Any = b""


class Recorder:
    """What a traced child does to the files below a folder."""

    def __init__(self, folder: Path) -> None:
        self.changes: list[Change] = []
        self._folder = folder
        self._names: dict[str, int] = {}
        self._files = 0
        self._pid = 0

    def record(self, child: TracedChild) -> None:
        """Let the child run to its end."""
        self._pid = child.pid
        while (registers := child.next_call()) is not None:
            found = self._effect(registers)
            if found is not None and child.finish_call() >= 0:
                self._note(found)

    def _note(self, change: Change) -> None:
        self._names = renamed(self._names, change)
        self.changes.append(change)

    def _effect(self, call: Registers) -> Change | None:
        number = call[ORIG_RAX]
        change: Change | None = None
        if number in (1, 18):
            offset = call[R10] if number == 18 else self._place_of(call[RDI])
            change = self._written(call[RDI], offset, self._memory(call[RSI], call[RDX]))
        elif number in (20, 296, 328):
            words = self._memory(call[RSI], 16 * call[RDX])
            pieces = [self._memory(*piece) for piece in struct.iter_unpack("<QQ", words)]
            offset = self._place_of(call[RDI]) if number == 20 else call[R10]
            change = self._written(call[RDI], offset, b"".join(pieces))
        elif number in (74, 75):
            change = Change("sync", self._open_name(call[RDI]))
        elif number == 77:
            change = Change("length", self._open_name(call[RDI]), data=call[RSI])
        elif number == 76:
            change = Change("length", self._path(_HERE, call[RDI]), data=call[RSI])
        elif number == 257 and call[RDX] & (_CREATES | _EMPTIES):
            change = self._opened(self._path(call[RDI], call[RSI]), call[RDX])
        elif number in (82, 86):
            names = self._path(_HERE, call[RDI]), self._path(_HERE, call[RSI])
            change = Change("rename" if number == 82 else "link", names[0], data=names[1])
        elif number == 83:
            change = self._made(self._path(_HERE, call[RDI]))._replace(kind="folder")
        elif number in (84, 87):
            change = Change("unlink", self._path(_HERE, call[RDI]))
        elif number == 263:
            change = Change("unlink", self._path(call[RDI], call[RSI]))
        if change is None or not change.name.startswith(str(self._folder)):
            return None
        return change._replace(file=self._names.get(change.name, change.file))

    def _written(self, descriptor: int, offset: int, data: bytes) -> Change:
        return Change("write", self._open_name(descriptor), offset=offset, data=data)

    def _opened(self, name: str, flags: int) -> Change | None:
        if name not in self._names:
            return self._made(name) if flags & _CREATES else None
        return Change("length", name, data=0) if flags & _EMPTIES else None

    def _made(self, name: str) -> Change:
        self._files += 1
        return Change("make", name, self._files)

    def _open_name(self, descriptor: int) -> str:
        return str(Path(f"/proc/{self._pid}/fd/{descriptor}").readlink())

    def _place_of(self, descriptor: int) -> int:
        text = Path(f"/proc/{self._pid}/fdinfo/{descriptor}").read_text()
        return int(text.split()[1])

    def _path(self, folder: int, address: int) -> str:
        name = self._memory(address, PAGE).partition(b"\0")[0].decode()
        above = "" if folder & 0xFFFFFFFF == _HERE else self._open_name(folder)
        return os.path.normpath(os.path.join(above, name))  # noqa: PTH118 - not resolved

    def _memory(self, address: int, length: int) -> bytes:
        with Path(f"/proc/{self._pid}/mem").open("rb", buffering=0) as memory:
            memory.seek(address)
            return memory.read(length)


def renamed(names: dict[str, int], change: Change) -> dict[str, int]:
    """Names, of files and folders, after a change."""
    if change.kind in ("make", "folder"):
        return {**names, change.name: change.file}
    if change.kind == "link":
        return {**names, change.data: names[change.name]}
    if change.kind == "unlink":
        return {name: file for name, file in names.items() if name != change.name}
    if change.kind == "rename":
        inside = change.name + "/"
        moved = {n: f for n, f in names.items() if n == change.name or n.startswith(inside)}
        kept = {n: f for n, f in names.items() if n not in moved and n != change.data}
        return kept | {change.data + n[len(change.name) :]: f for n, f in moved.items()}
    return names


def disk_after(changes: list[Change], chance: random.Random) -> dict[str, tuple[int, bytes]]:
    """Name -> file and content, drawn from all that a cut after these changes may leave."""
    names: list[dict[str, int]] = [{}]
    unsynced: dict[str, int] = {}  # folder -> first change of its names that may be undone
    contents: dict[int, bytearray] = {}
    since: dict[int, list[Change]] = {}
    for change in changes:
        now = renamed(names[-1], change)
        if now is not names[-1]:
            where = {change.data or change.name}
            where |= {change.name} if change.kind == "rename" else set()
            for name in where:
                unsynced.setdefault(str(Path(name).parent), len(names) - 1)
            names.append(now)
        if change.kind == "sync" and change.name in {str(Path(n).parent) for n in now}:
            unsynced.pop(change.name, None)
        elif change.kind == "sync":
            _apply(contents, since.pop(change.file, []))
        elif change.kind in ("write", "length"):
            since.setdefault(change.file, []).append(change)
    durable = names[chance.randint(min([len(names) - 1, *unsynced.values()]), len(names) - 1)]
    for left in since.values():
        _apply(contents, [part for change in left for part in _some_pages(change, chance)])
    folders = {change.file for change in changes if change.kind == "folder"}
    return {n: (f, bytes(contents.get(f, b""))) for n, f in durable.items() if f not in folders}


def _apply(contents: dict[int, bytearray], changes: list[Change]) -> None:
    for change in changes:
        content = contents.setdefault(change.file, bytearray())
        if change.kind == "length":
            del content[change.data :]
            content.extend(bytes(change.data - len(content)))
            continue
        end = change.offset + len(change.data)
        content.extend(bytes(max(0, end - len(content))))
        content[change.offset : end] = change.data


def _some_pages(change: Change, chance: random.Random) -> list[Change]:
    if change.kind == "length":
        return [change] if chance.random() < 0.5 else []
    found = []
    at, end = change.offset, change.offset + len(change.data)
    while at < end:
        stop = min(end, (at // PAGE + 1) * PAGE)
        if chance.random() < 0.5:
            data = change.data[at - change.offset : stop - change.offset]
            found.append(change._replace(offset=at, data=data))
        at = stop
    return found


def released_after(changes: list[Change]) -> bytes:
    """What the writer had released; that is told by us, not by the disk."""
    told = [c.data for c in changes if c.kind == "write" and c.name.endswith(f"/{RELEASED}")]
    return bytes(told[-1]) if told else POSITIONS.pack(0, 0)


def lay_out(disk: dict[str, tuple[int, bytes]], before: Path, folder: Path) -> None:
    """Make the files of a disk below a new folder."""
    folder.mkdir()
    made: dict[int, Path] = {}
    for name, (file, content) in disk.items():
        path = folder / Path(name).relative_to(before)
        path.parent.mkdir(parents=True, exist_ok=True)
        if file in made:
            path.hardlink_to(made[file])
        else:
            path.write_bytes(content)
        made[file] = path
    for path in folder.rglob(".*.journal"):
        # A real disk keeps its inodes.
        of = path.with_name(path.name.removeprefix(".").removesuffix(".journal"))
        journal = json.loads(path.read_bytes())
        journal["inode"] = of.stat().st_ino if of.exists() else 0
        path.write_text(json.dumps(journal))


def main() -> int:
    """See the module."""
    format_name, place, cuts, seed = sys.argv[1:]
    work = Path(place)
    if not can_trace():
        sys.stdout.write(json.dumps({"skip": "cannot trace processes here"}))
        return 0
    warm_up(work / "warm", format_name)
    first = work / "first"
    first.mkdir()
    (first / RELEASED).write_bytes(POSITIONS.pack(0, 0))

    def write(folder: Path, seed: int) -> None:
        def make(folder: Path, rows: Any) -> Any:
            return FORMATS[format_name](folder, rows, syncs=True)

        Life(folder, make, seed, RECORDS).live()
        finish_root(folder, lambda work, _: work() or False)

    recorder = Recorder(first)
    recorder.record(TracedChild(lambda: write(first, int(seed))))
    chance = random.Random(int(seed))
    ends = []
    for cut in range(int(cuts)):
        changes = recorder.changes[: chance.randint(0, len(recorder.changes))]
        folder = work / f"cut{cut}"
        disk = disk_after([c for c in changes if not c.name.endswith(RELEASED)], chance)
        lay_out(disk, first, folder)
        (folder / RELEASED).write_bytes(released_after(changes))
        if run_until_killed(lambda f=folder, n=cut: write(f, n), 60):  # type: ignore[misc]
            raise TimeoutError("the life after a cut did not end")
        ends.append(list(POSITIONS.unpack((folder / RELEASED).read_bytes())))
    syncs = sum(change.kind == "sync" for change in recorder.changes)
    answer = {"released": ends, "changes": len(recorder.changes), "syncs": syncs}
    sys.stdout.write(json.dumps(answer))
    return 0


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(main())
