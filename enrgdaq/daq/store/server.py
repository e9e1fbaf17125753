"""The connection of a store to its server, made again in the background when it breaks."""

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from enrgdaq.errors import ServerAwayError

_DELAYS: Final = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before each attempt since the last success. An attempt costs nothing that counts, and
rows that wait for the next one may have been there already."""
_PATIENCE_SECONDS: Final = 0.25


class Closable(Protocol):
    """A connection."""

    def close(self) -> None:
        """End it."""


ConnectionT = TypeVar("ConnectionT", bound=Closable)


class ServerLink(Generic[ConnectionT]):
    """A connection that its user never waits for.

    Attempts run on a thread of their own: an address that swallows packets must not stop a
    store from reading its rings. Everything else runs on the store's thread.
    """

    def __init__(
        self, address: str, connect: Callable[[], ConnectionT], log: logging.Logger
    ) -> None:
        self.address = address
        self._connect = connect
        self._log = log
        self._changed = threading.Condition()
        self._connection: ConnectionT | None = None
        self._reason = ""
        self._failures = 0
        self._is_trying = False
        self._is_closed = False

    def get(self) -> ConnectionT:
        """The connection. Raises :class:`ServerAwayError` at once while there is none.

        Only the first attempt is waited for, a quarter of a second: a server on the same
        host answers in less.
        """
        with self._changed:
            if self._connection is None and not self._is_trying:
                self._begin()
            self._changed.wait_for(
                lambda: self._connection is not None or self._reason, _PATIENCE_SECONDS
            )
            if self._connection is None:
                raise self._away()
            return self._connection

    def lost(self, error: Exception) -> ServerAwayError:
        """Close the connection and make a new one; returns what to raise."""
        with self._changed:
            connection, self._connection = self._connection, None
            self._reason = _one_line(error)
            self._failures += 1
            away = self._away()
            if not self._is_trying:
                self._begin()
        _close(connection)
        return away

    def worked(self) -> None:
        """The server has done what it was asked: the next loss is tried again at once."""
        self._failures = 0
        self._reason = ""

    def close(self) -> None:
        """End the connection, and the attempts at the next one; idempotent."""
        with self._changed:
            self._is_closed = True
            connection, self._connection = self._connection, None
            self._changed.notify_all()
        _close(connection)

    def _away(self) -> ServerAwayError:
        return ServerAwayError(f"{self.address}: {self._reason or 'does not answer'}")

    def _begin(self) -> None:
        self._is_trying = not self._is_closed
        if self._is_trying:
            threading.Thread(target=self._try_until_done, name="connect", daemon=True).start()

    def _try_until_done(self) -> None:
        while True:
            with self._changed:
                delay = _DELAYS[min(self._failures, len(_DELAYS) - 1)]
                self._changed.wait_for(lambda: self._is_closed, delay)
                if self._is_closed:
                    return
            made, reason = self._attempt()
            with self._changed:
                if made is not None and not self._is_closed:
                    self._connection = made
                    self._is_trying = False
                    self._changed.notify_all()
                    return
                self._failures += 1
                self._reason = reason
                self._changed.notify_all()
            _close(made)

    def _attempt(self) -> tuple[ConnectionT | None, str]:
        try:
            return self._connect(), ""
        except Exception as error:  # noqa: BLE001 - whatever it is, the next attempt may do better
            self._log.debug("no connection to %s", self.address, exc_info=True)
            return None, _one_line(error)


def _close(connection: Closable | None) -> None:
    if connection is not None:
        with contextlib.suppress(Exception):  # it is broken already
            connection.close()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
