"""A job's file on its way through an editor: read, edited, compared. Knows no Textual."""

import difflib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from enrgdaq.daq.secrets import masked_text
from tui.text import clean

LARGEST = 150_000  # characters; what the control protocol takes

Editor = Callable[[Path], int]
"""Has a file edited, and returns when that is over: with 0 when it is to count."""


@dataclass(frozen=True)
class Edit:
    """A job's file as it was read, and as somebody wants it."""

    job: str
    path: Path
    before: str
    text: str


class EditError(Exception):
    """The file cannot be edited; the text says why."""


def read_file(path: Path) -> str:
    """The text of a file, with the rights of whoever uses this console.

    Raises :class:`EditError`.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise EditError(f"{path} cannot be read by your account: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise EditError(f"{path} is not UTF-8 text") from error
    if len(text) > LARGEST:
        raise EditError(f"{path} is too large to be edited here: {len(text)} characters")
    return text


def edited(text: str, name: str, edit: Editor) -> str:
    """The text as an editor left it; unchanged when the editor was given up.

    The file is in a folder of its own that nobody else can look into, and goes with it.
    Raises :class:`EditError`.
    """
    with tempfile.TemporaryDirectory(prefix="enrgdaq-edit-") as folder:
        file = Path(folder) / Path(name).name
        file.write_bytes(text.encode())
        try:
            code = edit(file)
        except OSError as error:
            raise EditError(f"the editor cannot be started: {error}") from error
        return read_file(file) if code == 0 else text


def editor_command(environment: Mapping[str, str]) -> list[str]:
    """``$VISUAL``, ``$EDITOR``, or the first of the usual ones that is there.

    Raises :class:`EditError` when there is none.
    """
    for name in ("VISUAL", "EDITOR"):
        try:
            words = shlex.split(environment.get(name, ""))
        except ValueError as error:
            raise EditError(f"${name} cannot be understood: {error}") from error
        if words:
            return words
    for usual in ("sensible-editor", "nano", "vi"):
        if shutil.which(usual, path=environment.get("PATH")):
            return [usual]
    raise EditError("no editor: set EDITOR to one before you start the console")


def run_editor(file: Path) -> int:
    """Have a file edited on this terminal; the exit code of the editor."""
    return subprocess.run([*editor_command(os.environ), str(file)], check=False).returncode


def difference(edit: Edit) -> list[str]:
    """What the edit changes, as a unified diff that is fit to be shown: secrets are masked."""
    name = edit.path.name
    shown = _diff(masked_text(edit.before), masked_text(edit.text), name)
    if not shown:
        return [f" {name}: what differs is secret, and not shown"]
    return [clean(line) for line in shown]


def waiting_files(folder: Path, used: Iterable[str]) -> list[str]:
    """Files of a folder of configs that no job was made of; none if it cannot be looked into."""
    taken = {Path(path).name for path in used} | {"supervisor.toml"}
    try:
        return sorted(path.name for path in folder.glob("*.toml") if path.name not in taken)
    except OSError:
        return []


def found_file(folder: Path, waiting: Iterable[str], name: str) -> Path:
    """The file that somebody means who asks for a job of it.

    One that waits in the folder of configs goes by its plain name; anything else counts from where
    the console was started, as for any command, and then from the folder of configs. Raises
    :class:`EditError`.
    """
    try:
        path = Path(name).expanduser()
        here, there = path.absolute(), folder / path
        if name not in waiting and here.is_file():
            return here
        # What this account cannot see in the folder of configs, the supervisor may.
        if path.name == name or there.is_file():
            return there
    except (OSError, RuntimeError) as error:
        raise EditError(f"{name} cannot be looked for: {error}") from error
    raise EditError(f"{name}: no such file, from where this console was started or in the configs")


def _diff(before: str, after: str, name: str) -> list[str]:
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), f"{name} (now)", f"{name} (new)", lineterm="", n=2
    )
    return list(lines)
