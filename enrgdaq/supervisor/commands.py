"""What clients ask of a running supervisor, carried out and written down."""

import logging
from collections.abc import Callable

from enrgdaq.control import protocol
from enrgdaq.errors import ControlError
from enrgdaq.supervisor.audit import AuditTrail
from enrgdaq.supervisor.fleet import Fleet
from enrgdaq.supervisor.logs import LogBook
from enrgdaq.supervisor.snapshot import Reporter

_LOG = logging.getLogger(__name__)


class Commands:
    """Answers every request; what changes something is audited, refusals too.

    ``stop`` stops the supervisor for a reason and says whether it was not stopping already;
    ``state`` tells the supervisor's own state.
    """

    def __init__(
        self,
        fleet: Fleet,
        reporter: Reporter,
        book: LogBook,
        audit: AuditTrail,
        *,
        stop: Callable[[str], None],
        state: Callable[[], str],
    ) -> None:
        self._fleet = fleet
        self._reporter = reporter
        self._book = book
        self._audit = audit
        self._stop = stop
        self._state = state

    def answer(self, request: protocol.Request, caller: protocol.Caller) -> protocol.Answer:
        """The answer to any request."""
        try:
            if isinstance(request, protocol.COMMANDS):
                return self._command(request, caller)
            return self._report(request)
        except ControlError as error:
            return protocol.Refused(reason=str(error))

    def _command(self, request: protocol.Request, caller: protocol.Caller) -> protocol.Done:
        name = type(request).__name__
        job = getattr(request, "job", "")
        try:
            text = self._carry_out(request, caller)
        except ControlError as error:
            self._audit.note(f"refused {name}", job=job, text=str(error), caller=caller)
            raise
        self._audit.note(name, job=job, text=text, caller=caller)
        _LOG.info("%s, by %s", text, caller.user or "somebody")
        return protocol.Done(text=text)

    def _carry_out(self, request: protocol.Request, caller: protocol.Caller) -> str:
        if isinstance(request, protocol.RestartJob):
            return self._fleet.restart(request.job)
        if isinstance(request, protocol.StopJob):
            return self._fleet.stop(request.job)
        if isinstance(request, protocol.StartJob):
            return self._fleet.start(request.job)
        if self._state() == "stopping":
            raise ControlError("acquisition is being stopped already")
        self._stop(f"shutdown, asked for by {caller.user or 'somebody'}")
        return "stopping acquisition"

    def _report(self, request: protocol.Request) -> protocol.Answer:
        if isinstance(request, protocol.GetLogs):
            if request.job is not None:
                self._fleet.job(request.job)
            lines, missed = self._book.after(
                request.after, request.limit, job=request.job, level=request.level
            )
            return protocol.Logs(lines=lines, missed=missed)
        if isinstance(request, protocol.GetEvents):
            return protocol.Events(events=self._audit.after(request.after, request.limit))
        if isinstance(request, protocol.GetJobDetails):
            return self._reporter.details(self._fleet.job(request.job))
        return self._reporter.snapshot(self._state())
