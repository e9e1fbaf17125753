"""A warning for those whose rings would be deleted when they log out."""

import os
import pwd
from pathlib import Path
from typing import Final

_FIRST_ORDINARY_USER: Final = 1000
_LOGIND: Final = Path("/run/systemd/seats")
_LINGER: Final = Path("/var/lib/systemd/linger")
_SETTINGS: Final = Path("/etc/systemd/logind.conf")


def shared_memory_warning() -> list[str]:
    """A sentence when systemd-logind may delete this user's ``/dev/shm`` files at logout."""
    user = os.getuid()
    if user < _FIRST_ORDINARY_USER or not _LOGIND.exists():
        return []
    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:
        return []
    if (_LINGER / name).exists() or _is_off():
        return []
    return [
        f"systemd deletes the shared memory of {name} at logout (RemoveIPC), and with it rows"
        f" that no store has written yet; run once: loginctl enable-linger {name}"
    ]


def _is_off() -> bool:
    try:
        lines = _SETTINGS.read_text().splitlines()
    except OSError:
        return False
    return any(line.replace(" ", "").lower() == "removeipc=no" for line in lines)
