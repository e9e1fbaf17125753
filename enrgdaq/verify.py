"""``enrgdaq verify``: are finished files what their sidecars say they are?"""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from enrgdaq.daq.store.sidecar import SIDECAR_SUFFIX, Sidecar, digest, sidecar_path

_DESCRIPTION: Final = """\
Check finished files against the sidecars (NAME.json) that their stores wrote beside them: size,
SHA-256, that the file opens with its library, and number of rows. Changes nothing.

A store finishes a file when it rolls to the next one, and when its day or period is over; ROOT
files are finished when they appear. Files that are still written to have no sidecar: a
folder's are left out, one that is named is a mistake.
"""
_EPILOG: Final = """\
exit code: 0 when all files are right, 1 otherwise

examples:
  enrgdaq verify out/                           all finished files below a folder
  enrgdaq verify out/2026-01-31_charges.root --json
"""
_PROGRESS_BYTES: Final = 256 << 20


class Verdict(msgspec.Struct, kw_only=True):
    """What was found of one file."""

    file: str
    is_right: bool
    bytes: int = 0
    rows: int | None = None
    problems: list[str] = []


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Be one of the program's commands."""
    verify = commands.add_parser(
        "verify",
        help="check finished files against their sidecars",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verify.add_argument("paths", nargs="+", type=Path, metavar="FILE", help="a file or folder")
    verify.add_argument("--json", action="store_true", help="one JSON object a line and file")
    verify.set_defaults(run=lambda options: run(options.paths, as_json=options.json))


def finished_files(paths: list[Path]) -> Iterator[Path]:
    """The files named, and those below folders that have a sidecar."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for sidecar in sorted(path.rglob(f"*{SIDECAR_SUFFIX}")):
            if _read(sidecar) is not None:
                yield sidecar.with_name(sidecar.name.removesuffix(SIDECAR_SUFFIX))


def verify(path: Path, note: Callable[[int], None] = lambda _: None) -> Verdict:
    """Check one file. ``note`` is told how many bytes are read."""
    sidecar = _read(sidecar_path(path))
    if sidecar is None:
        problem = f"has no sidecar {sidecar_path(path).name}: not finished, or it was lost"
        return Verdict(file=str(path), is_right=False, problems=[problem])
    problems = []
    length, checksum, rows = 0, "", None
    try:
        length, checksum = digest(path, note=note)
        if length != sidecar.bytes:
            problems.append(f"{length} bytes, and the sidecar says {sidecar.bytes}")
        if checksum != sidecar.sha256:
            problems.append(
                f"SHA-256 {checksum[:12]}…, and the sidecar says {sidecar.sha256[:12]}…"
            )
        rows = _COUNTS[sidecar.format](path) if sidecar.format in _COUNTS else None
        if None not in (rows, sidecar.rows) and rows != sidecar.rows:
            problems.append(f"{rows} rows, and the sidecar says {sidecar.rows}")
    except Exception as error:  # noqa: BLE001 - a broken file may raise anything in its library
        problems.append(f"cannot be read: {' '.join(str(error).split())[:200]}")
    return Verdict(
        file=str(path), is_right=not problems, bytes=length, rows=rows, problems=problems
    )


def run(paths: list[Path], *, as_json: bool) -> int:
    """Check files and say what was found; returns the exit code."""
    from enrgdaq.display import table

    verdicts = []
    for path in finished_files(paths):
        verdicts.append(verify(path, _progress(path)))
        if as_json:
            sys.stdout.write(msgspec.json.encode(verdicts[-1]).decode() + "\n")
    if not verdicts:
        sys.stderr.write("nothing to verify: no finished files here\n")
        return 1
    wrong = [verdict for verdict in verdicts if not verdict.is_right]
    if not as_json:
        cells = [
            [v.file, "-" if v.rows is None else f"{v.rows}", f"{v.bytes}", "; ".join(v.problems)]
            for v in verdicts
        ]
        for cell in cells:
            cell[3] = cell[3] or "right"
        lines = table(["FILE", "ROWS", "BYTES", "VERDICT"], cells)
        lines += ["", f"{len(verdicts)} files, {len(wrong)} wrong"]
        sys.stdout.write("\n".join(lines) + "\n")
    return int(bool(wrong))


def _progress(path: Path) -> Callable[[int], None]:
    if not sys.stderr.isatty():
        return lambda _: None
    size = path.stat().st_size if path.exists() else 0

    def note(done: int) -> None:
        if size > _PROGRESS_BYTES:
            sys.stderr.write(f"\r{path.name}: {100 * done // size} %\x1b[K")
            sys.stderr.write("\r\x1b[K" if done >= size else "")
            sys.stderr.flush()

    return note


def _read(path: Path) -> Sidecar | None:
    """A sidecar; ``None`` for what is none, such as other JSON of a user's."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(path.read_bytes(), type=Sidecar)
    return None


def _csv_rows(path: Path) -> int:
    import pyarrow.csv as pacsv
    import zstandard

    with path.open("rb") as file:
        stream: Any = file
        if path.suffix == ".zst":
            stream = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        parse = pacsv.ParseOptions(newlines_in_values=True)
        return sum(batch.num_rows for batch in pacsv.open_csv(stream, parse_options=parse))


def _hdf5_rows(path: Path) -> int:
    import h5py

    from enrgdaq.daq.store.hdf5.group import newest_commit

    rows = 0

    def visit(_: str, item: Any) -> None:
        nonlocal rows
        if isinstance(item, h5py.Group) and "_commits" in item:
            rows += newest_commit(item).rows

    with h5py.File(path, "r", locking=False) as file:
        file.visititems(visit)
    return rows


def _root_rows(path: Path) -> int:
    import uproot

    with uproot.open(path) as file:
        trees = file.items(filter_classname="TTree", cycle=False)
        return sum(int(tree.num_entries) for _, tree in trees)


_COUNTS: Final[dict[str, Callable[[Path], int]]] = {
    "csv": _csv_rows,
    "hdf5": _hdf5_rows,
    "root": _root_rows,
}
