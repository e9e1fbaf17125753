"""Who may come in at this moment: the lists of a folder, read again when a file changes."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection
from typing import Final

from enrgdaq.errors import ConfigurationError
from enrgdaq.keys.files import AllowedKey, Role
from enrgdaq.keys.folder import KeyFolder

_LOG = logging.getLogger(__name__)
_READ_SECONDS: Final = 0.4


class CurrentKeys:
    """Raises :class:`ConfigurationError` when the folder cannot be trusted at the start.

    Later a file that is spoilt keeps only its own key out, and is logged; a folder into which
    others can write keeps everybody out until it is mended.
    """

    def __init__(self, folder: KeyFolder, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._turned_out: Counter[Role] = Counter()
        folder.check()
        self._seen = folder.signature()
        self._allowed = {key.public: key for key in folder.allowed()}
        self._revoked = {key.public: key.name for key in folder.revoked()}
        self._read_at = clock() + _READ_SECONDS

    def find(self, public: str) -> AllowedKey | None:
        """The key that may come in, if it may."""
        return self._allowed.get(public)

    def may_come(self, name: str, roles: Collection[Role]) -> bool:
        """Whether a key of this name may come in as one of these roles."""
        return any(key.name == name and key.role in roles for key in self._allowed.values())

    def revoked_name(self, public: str) -> str | None:
        """What a key was called that might come in once."""
        return self._revoked.get(public)

    def turned_out(self, roles: Collection[Role]) -> int:
        """How often a key of one of these roles has lost it so far."""
        return sum(self._turned_out[role] for role in roles)

    def look(self) -> None:
        """Read the lists again if they changed; costs little to be called often."""
        if self._clock() < self._read_at:
            return
        self._read_at = self._clock() + _READ_SECONDS
        seen = self._folder.signature()
        if seen == self._seen:
            return
        self._seen = seen
        allowed, revoked, mistakes = self._read()
        for mistake in mistakes:
            _LOG.error("%s; it lets nobody in until then", mistake)
        self._revoked = {key.public: key.name for key in revoked}
        before, self._allowed = self._allowed, {key.public: key for key in allowed}
        for public, key in before.items():
            if _role(self._allowed, public) != key.role:
                self._turned_out[key.role] += 1
                _LOG.warning("the key %r is %s no longer", key.name, key.role)
        for public, key in self._allowed.items():
            if _role(before, public) != key.role:
                _LOG.info("the key %r may come in as %s", key.name, key.role)

    def _read(self) -> tuple[list[AllowedKey], list[AllowedKey], list[str]]:
        mistakes: list[str] = []
        try:
            self._folder.check_folders()
        except ConfigurationError as error:
            return [], [], [str(error)]
        return self._folder.allowed(mistakes), self._folder.revoked(mistakes), mistakes


def _role(keys: dict[str, AllowedKey], public: str) -> Role | None:
    key = keys.get(public)
    return key.role if key else None
