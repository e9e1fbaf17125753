"""Notices when something goes wrong and when it is well again: once each, for the audit."""

from typing import Final

from enrgdaq.supervisor.audit import AuditTrail

_TOLD_OTHERWISE: Final = {"failed", "backoff"}
"""The end of a process is an event of its own."""


class Alarms:
    """What is wrong, compared with a second ago. Keys are (job, kind of trouble)."""

    def __init__(self, audit: AuditTrail) -> None:
        self._audit = audit
        self._raised: set[tuple[str, str]] = set()

    def look(self, alarms: dict[tuple[str, str], str]) -> None:
        """Write down what is new and what is over."""
        now = {key: text for key, text in alarms.items() if key[1] not in _TOLD_OTHERWISE}
        for key in now.keys() - self._raised:
            self._audit.note("alarm", job=key[0], text=now[key])
        for job, kind in self._raised - now.keys():
            self._audit.note("alarm over", job=job, text=kind)
        self._raised = set(now)
