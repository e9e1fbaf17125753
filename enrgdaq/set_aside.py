"""``enrgdaq set-aside``: what a message that could not be written holds, and its rows again."""

import argparse
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from enrgdaq.daq.aside_file import AsideRecord, read_aside
from enrgdaq.errors import CodecError
from enrgdaq.text import clean
from enrgdaq.transport import codec
from enrgdaq.transport.ring import RecordKind

_DESCRIPTION: Final = """\
Show what is in a message that a store could not write, or a job crashed at: where it was to go,
and how many rows or bytes it holds. With --save they are written to a file of their own: an
Arrow table as a stream that pyarrow.ipc.open_stream reads, rows as JSON, bytes as they are.

Such files lie in set-aside/ below the out_dir of a store. Why a message was put aside is in the
log. When it is dealt with, remove the file.
"""
_EPILOG: Final = """\
examples:
  enrgdaq set-aside out/set-aside/*.record
  enrgdaq set-aside out/set-aside/csv_digitizer_1f2e3d4c_1088.record --save rows.arrow
"""


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Be one of the program's commands."""
    command = commands.add_parser(
        "set-aside",
        help="show or save what is in a message that was put aside",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a .record file")
    command.add_argument("--save", type=Path, metavar="NEW_FILE", help="write the one file's rows")
    command.set_defaults(run=lambda options: run(options.files, options.save))


def run(files: list[Path], save: Path | None) -> int:
    """Show files, or save the payload of one; returns the exit code."""
    if save is not None and len(files) != 1:
        sys.stderr.write("enrgdaq set-aside: --save takes the rows of one file\n")
        return 2
    code = 0
    for path in files:
        try:
            record = read_aside(path)
            sys.stdout.write(f"{clean(str(path))}\n{_in_words(record)}\n")
            if save is not None:
                _save(record, save)
                sys.stdout.write(f"  saved in {save}\n")
        except OSError as error:
            sys.stderr.write(f"{error.filename}: {error.strerror}\n")
            code = 1
        except CodecError as error:
            sys.stderr.write(f"{error}\n")
            code = 1
    return code


def _in_words(record: AsideRecord) -> str:
    # Without the messages' classes, which may be in somebody's jobs folder.
    tag, fields = codec.decode_unknown(record.header)
    if isinstance(fields, dict):
        fields = {name: value for name, value in fields.items() if value is not None}
    said = msgspec.json.encode(fields).decode()
    return f"  {clean(tag.partition(':')[2])}: {said}\n  holds {clean(_amount(record))}"


def _amount(record: AsideRecord) -> str:
    if record.kind == RecordKind.ARROW:
        table = _table(record.payload)
        columns = ", ".join(f"{field.name} {field.type}" for field in table.schema)
        return f"{table.num_rows} rows of {columns}"
    if record.kind == RecordKind.ROWS:
        return f"rows: {_rows_json(record.payload).decode():.300}"
    return f"{len(record.payload)} bytes"


def _save(record: AsideRecord, file: Path) -> None:
    data = record.payload
    if record.kind == RecordKind.ROWS:
        data = _rows_json(data)
    with file.open("xb") as new:
        new.write(data)


def _rows_json(payload: bytes) -> bytes:
    return msgspec.json.encode(codec.decode_plain(payload))


def _table(payload: bytes) -> Any:
    import pyarrow as pa

    try:
        with pa.ipc.open_stream(payload) as stream:
            return stream.read_all()
    except pa.ArrowException as error:
        raise CodecError(f"its table cannot be read: {error}") from error
