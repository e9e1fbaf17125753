"""What clients ask of a running supervisor, carried out and written down."""

import logging
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from enrgdaq.control import protocol
from enrgdaq.control.server import Later
from enrgdaq.errors import ControlError
from enrgdaq.keys import Role
from enrgdaq.supervisor import changed_files
from enrgdaq.supervisor.audit import AuditTrail
from enrgdaq.supervisor.changes import Change, Changes
from enrgdaq.supervisor.fleet import Fleet
from enrgdaq.supervisor.logs import LogBook
from enrgdaq.supervisor.network import Network
from enrgdaq.supervisor.presence import Presence
from enrgdaq.supervisor.problems import node_problems
from enrgdaq.supervisor.snapshot import Reporter
from enrgdaq.supervisor.spokes import split_name

_LOG = logging.getLogger(__name__)


class Commands:
    """Answers every request; what changes something is audited, refusals too.

    ``stop`` stops the supervisor for a reason and says whether it was not stopping already;
    ``state`` tells the supervisor's own state, ``network`` knows other nodes: a job that is
    named ``node/job`` is asked about there.
    """

    def __init__(
        self,
        fleet: Fleet,
        reporter: Reporter,
        book: LogBook,
        audit: AuditTrail,
        changes: Changes,
        *,
        stop: Callable[[str], None],
        state: Callable[[], str],
        network: Network,
    ) -> None:
        self._fleet = fleet
        self._reporter = reporter
        self._book = book
        self._audit = audit
        self._changes = changes
        self._stop = stop
        self._state = state
        self._network = network
        self._presence = Presence()

    def answer(
        self, request: protocol.Request, caller: protocol.Caller, role: Role
    ) -> protocol.Answer | Later:
        """The answer to any request, as far as the role goes."""
        if isinstance(request, protocol.Leave):
            if self._presence.leave(caller):
                self._audit.note("console left", caller=caller)
            return protocol.Done()
        if self._presence.note(caller):
            self._audit.note("console attached", caller=caller)
        try:
            if role != "operator" and type(request) not in protocol.READS:
                raise ControlError(f"{caller.user} is {role}; only an operator may do this")
            if (node := _node_of(request)) and not isinstance(request, protocol.GetLogs):
                return self._forward(node, request, caller)
            if isinstance(request, Change):
                return self._change(request, caller)
            if type(request) in protocol.COMMANDS:
                return self._command(request, caller)
            return self._report(request)
        except ControlError as error:
            return self._refuse(request, caller, error)

    def _forward(
        self, node: str, request: protocol.Request, caller: protocol.Caller
    ) -> protocol.Answer | Later:
        """Ask the node whose job it is."""
        if self._network.spokes is None:
            raise ControlError(f"no node is called {node!r}: this one is no hub")

        def done(answer: protocol.Answer) -> protocol.Answer:
            if isinstance(answer, protocol.Refused):
                return self._refuse(request, caller, ControlError(f"{node}: {answer.reason}"))
            if isinstance(answer, protocol.Done):
                return self._done(request, caller, f"{node}: {answer.text}")
            return answer

        return self._network.spokes.ask(node, _at_home(request), caller, done)

    def tick(self) -> None:
        """Notice who has gone without a word."""
        for caller in self._presence.take_gone():
            self._audit.note("console silent", caller=caller)

    def _command(self, request: protocol.Request, caller: protocol.Caller) -> protocol.Done:
        return self._done(request, caller, self._carry_out(request, caller))

    def _change(self, request: Change, caller: protocol.Caller) -> Later:
        later = Later()

        def done(outcome: str | ControlError) -> None:
            if isinstance(outcome, ControlError):
                later.give(self._refuse(request, caller, outcome))
            else:
                later.give(self._done(request, caller, outcome))

        self._changes.begin(request, done)
        return later

    def _done(self, request: protocol.Request, caller: protocol.Caller, text: str) -> protocol.Done:
        what = protocol.COMMANDS.get(type(request))
        if what is not None:
            self._audit.note(what, job=_subject(request), text=text, caller=caller)
            _LOG.info("%s, by %s", text, caller.user or "somebody")
        return protocol.Done(text=text)

    def _refuse(
        self, request: protocol.Request, caller: protocol.Caller, error: ControlError
    ) -> protocol.Refused:
        what = protocol.COMMANDS.get(type(request))
        if what is not None:
            text = str(error)
            self._audit.note(f"refused {what}", job=_subject(request), text=text, caller=caller)
        return protocol.Refused(reason=str(error))

    def _carry_out(self, request: protocol.Request, caller: protocol.Caller) -> str:
        if isinstance(request, protocol.RestartJob):
            return self._fleet.restart(request.job) + self._hints([request.job])
        if isinstance(request, protocol.RestartJobs):
            return self._fleet.restart_all(request.jobs) + self._hints(request.jobs)
        if isinstance(request, protocol.StopJob):
            return self._fleet.stop(request.job)
        if isinstance(request, protocol.StartJob):
            return self._fleet.start(request.job) + self._hints([request.job])
        if self._state() == "stopping":
            raise ControlError("acquisition is being stopped already")
        self._stop(f"shutdown, asked for by {caller.user or 'somebody'}")
        return "stopping acquisition"

    def _hints(self, names: list[str]) -> str:
        return changed_files.hints(map(self._fleet.job, names))

    def _report(self, request: protocol.Request) -> protocol.Answer:
        if isinstance(request, protocol.GetLogs):
            if request.job is not None and not _node_of(request):
                self._fleet.job(request.job)
            lines, missed = self._book.after(
                request.after, request.limit, job=request.job, level=request.level
            )
            return protocol.Logs(lines=lines, missed=missed)
        if isinstance(request, protocol.GetEvents):
            return protocol.Events(events=self._audit.after(request.after, request.limit))
        if isinstance(request, protocol.GetJobDetails):
            return self._reporter.details(self._fleet.job(request.job))
        if isinstance(request, protocol.GetHistory):
            return self._reporter.history(request.topics)
        snapshot = self._reporter.snapshot(self._state(), self._presence.names())
        snapshot.supervisor.remote = self._network.remote_status()
        snapshot.nodes = self._network.nodes()
        snapshot.supervisor.problems += [
            text for node in snapshot.nodes for text in node_problems(node)
        ]
        return snapshot


def _node_of(request: protocol.Request) -> str:
    """The node whose jobs a request is about; empty for this one."""
    names = getattr(request, "jobs", None) or [getattr(request, "job", None) or ""]
    found = {split_name(name)[0] for name in names}
    if len(found) > 1:
        raise ControlError("jobs of several nodes: ask for those of one node at a time")
    return found.pop()


def _at_home(request: protocol.Request) -> protocol.Request:
    """A request with the names that its jobs have on their own node."""
    if isinstance(request, protocol.RestartJobs):
        return protocol.RestartJobs(jobs=[split_name(name)[1] for name in request.jobs])
    named: Any = request
    renamed: protocol.Request = replace(named, job=split_name(named.job)[1])
    return renamed


def _subject(request: protocol.Request) -> str:
    """The job, or the file, that a request is about."""
    if isinstance(request, protocol.AddJob):
        return request.file.removesuffix(".toml")
    return getattr(request, "job", "")
