"""What a console showed last, kept for the next one of the same account."""

import contextlib
import os
import re
from pathlib import Path

import msgspec

from enrgdaq.control.address import Address
from tui.view import View


class RememberedView:
    """A small file in the account's state folder. It is never a reason to fail."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = b""

    def load(self) -> View:
        """The view as it was left; the usual one when nothing usable is there."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=View)
        except (OSError, msgspec.MsgspecError):
            return View()

    def save(self, view: View) -> None:
        """Write it down, if it is not what stands there already."""
        encoded = msgspec.json.encode(view)
        if encoded == self._written:
            return
        # Also when it cannot be written: not twice a second for ever.
        self._written = encoded
        unfinished = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            unfinished.write_bytes(encoded)
            unfinished.replace(self._path)


def remembered(address: Address) -> RememberedView:
    """The view of the supervisor that is reached there, in ``$XDG_STATE_HOME/enrgdaq``."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    if isinstance(address, Path):
        name = address.parent.name
    else:
        name = re.sub(r"[^A-Za-z0-9.-]", "_", address.endpoint.removeprefix("tcp://"))
    return RememberedView(Path(state) / "enrgdaq" / f"console-{name}.json")
