"""Leads from the keys `e` and `+` over editor, check and question to a command."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from enrgdaq.control.status import JobStatus, Snapshot
from tui.decisions import Order
from tui.editing import (
    Edit,
    EditError,
    Editor,
    difference,
    edited,
    found_file,
    read_file,
    waiting_files,
)
from tui.model import Model
from tui.news import Command, Result
from tui.screens.prompt import PromptScreen
from tui.screens.review import Answer, ReviewScreen
from tui.tree import node_of

Push = Callable[..., Any]
Say = Callable[[str, str], None]


class FileChanges:
    """One edit at a time for each job; what was typed is kept until it is taken or given up."""

    def __init__(
        self,
        model: Model,
        *,
        push: Push,
        say: Say,
        send: Callable[[Command], None],
        edit: Editor,
    ) -> None:
        self._model = model
        self._push = push
        self._say = say
        self._send = send
        self._edit = edit
        self._edits: dict[str, Edit] = {}

    def edit(self, job: JobStatus) -> None:
        """Open the job's file in an editor, and have what was made of it checked."""
        path = Path(job.file)
        if node := node_of(job.id):
            self._say(
                f"{path.name} is on {node}: edit it there, or in a console of its own", "warn"
            )
            return
        try:
            before = read_file(path)
        except EditError as error:
            self._say(str(error), "bad")
            return
        self._go_on(Edit(job.id, path, before, before))

    def add(self, snapshot: Snapshot) -> None:
        """Ask for a file, and start a job from it."""
        folder = Path(snapshot.supervisor.config_path)
        there = waiting_files(folder, (job.file for job in snapshot.jobs if not node_of(job.id)))
        heading = "start a job from the file"
        if there:
            heading += f" ({', '.join(there[:4])}{' ...' if len(there) > 4 else ''})"
        first = there[0] if len(there) == 1 else ""
        self._push(
            PromptScreen(heading, first, lambda _: None),
            lambda name: self._add(folder, there, name.strip()) if name else None,
        )

    def heard(self, result: Result) -> bool:
        """What came of a command; False if it was none of these."""
        command = result.command
        if command.order is Order.CHECK:
            self._heard_of_check(command.job, result)
        elif command.order is Order.RELOAD:
            edit = self._edits.get(command.job)
            if result.ok:
                self._edits.pop(command.job, None)
                self._say(result.text, "good")
            elif edit is not None:
                self._show_mistakes(edit, result.text)
            else:
                self._say(result.text, "bad")
        elif command.order is Order.ADD:
            if result.ok:
                self._say(result.text, "good")
            else:
                lines = [f" {line}" for line in result.text.splitlines()]
                self._push(ReviewScreen(self._model, f"not started   {command.file}", lines, "bad"))
        else:
            return False
        return True

    def _go_on(self, edit: Edit) -> None:
        """Edit what there is so far."""
        try:
            text = edited(edit.text, edit.path.name, self._edit)
        except EditError as error:
            self._say(str(error), "bad")
            return
        if text == edit.before:
            self._edits.pop(edit.job, None)
            self._say(f"{edit.job}: file left as it is", "dim")
            return
        self._edits[edit.job] = replace(edit, text=text)
        self._say(f"{edit.job}: checking its file ...", "plain")
        self._send(Command(Order.CHECK, edit.job, text=text))

    def _heard_of_check(self, job: str, result: Result) -> None:
        edit = self._edits.get(job)
        if edit is None:
            return
        if not result.ok:
            self._show_mistakes(edit, result.text)
            return
        screen = ReviewScreen(
            self._model,
            f"right: restart {job} with it?   {edit.path}",
            difference(edit),
            "plain",
            yes="write it and restart",
            again=True,
        )
        self._push(screen, lambda answer: self._decided(edit, answer))

    def _show_mistakes(self, edit: Edit, text: str) -> None:
        lines = [f" {line}" for line in text.splitlines()]
        heading = f"nothing was changed   {edit.path}"
        screen = ReviewScreen(self._model, heading, lines, "bad", again=True)
        self._push(screen, lambda answer: self._decided(edit, answer))

    def _decided(self, edit: Edit, answer: Answer | None) -> None:
        if answer is Answer.YES:
            self._say(f"{edit.job}: reload ...", "plain")
            self._send(Command(Order.RELOAD, edit.job, text=edit.text, before=edit.before))
        elif answer is Answer.AGAIN:
            self._go_on(edit)
        else:
            self._edits.pop(edit.job, None)
            self._say(f"{edit.job}: file left as it is", "dim")

    def _add(self, folder: Path, there: list[str], name: str) -> None:
        try:
            path = found_file(folder, there, name)
            # One of the folder of configs is there already; anything else is sent along.
            text = None if path.parent.resolve() == folder else read_file(path)
        except EditError as error:
            self._say(str(error), "bad")
            return
        self._say(f"{path.name}: checking ...", "plain")
        self._send(Command(Order.ADD, file=str(path), text=text))
