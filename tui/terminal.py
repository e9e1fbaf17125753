"""The terminal under the interface: given back as it was found, even in a hurry.

Textual does this on an orderly way out. This is for the ways that are not: a dropped connection,
a signal while the terminal takes no more output.
"""

import contextlib
import os
import select
import termios
from typing import Any

# Paste marks off, wrap on, size reports off, key protocol off, main screen, cursor on, focus
# reports off.
_RESET = b"\x1b[?2004l\x1b[?7h\x1b[?2048l\x1b[<u\x1b[?1049l\x1b[?25h\x1b[?1004l"

PATIENCE_SECONDS = 0.3


class Terminal:
    """Remembers the state of the terminal at ``keyboard`` and ``screen`` (file descriptors)."""

    def __init__(self, keyboard: int = 0, screen: int = 2) -> None:
        self._keyboard = keyboard
        self._screen = screen
        self._attributes: list[Any] | None = None
        with contextlib.suppress(termios.error):
            self._attributes = termios.tcgetattr(keyboard)

    @property
    def is_hung_up(self) -> bool:
        """Whether there was a terminal and its other end has gone.

        Reading from such a terminal returns at once, for ever: Textual's input thread would
        spin.
        """
        return self._attributes is not None and not os.isatty(self._keyboard)

    def restore(self) -> None:
        """Put the terminal back; a stalled one is waited for no longer than a moment."""
        if self._attributes is None:
            return
        with contextlib.suppress(termios.error, OSError):
            termios.tcsetattr(self._keyboard, termios.TCSANOW, self._attributes)
        with contextlib.suppress(OSError):
            if select.select((), (self._screen,), (), PATIENCE_SECONDS)[1]:
                os.set_blocking(self._screen, False)
                try:
                    os.write(self._screen, _RESET)
                finally:
                    os.set_blocking(self._screen, True)

    def abandon(self, code: int) -> None:
        """End the process now: no event loop, no thread and no exit handler is waited for."""
        self.restore()
        os._exit(code)
