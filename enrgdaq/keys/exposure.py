"""Whether an address may be listened on, and with which key."""

import ipaddress
from typing import Final

from enrgdaq.errors import NoKeyError
from enrgdaq.keys.files import SecretKey
from enrgdaq.keys.folder import KeyFolder

DEFAULT_CONTROL_PORT: Final = 1638


def own_key(
    keys: KeyFolder, name: str, *, section: str, host: str, insecure: bool
) -> SecretKey | None:
    """The key of this node; ``None`` where ``insecure`` says that nobody is asked for one.

    Raises :class:`NoKeyError` when there is none, and :class:`ConfigurationError` when the
    folder of keys cannot be trusted.
    """
    if insecure:
        return None
    if not keys.has_secret(name):
        raise NoKeyError(
            f"[{section}] listens on {host}, but this node has no key: run 'enrgdaq keys new"
            f" {name}', then 'enrgdaq keys allow' for those who are to come in; or, where"
            f" everybody who reaches {host} may come in, write insecure = true"
        )
    keys.check()
    return keys.secret(name)


def is_loopback(host: str) -> bool:
    """Whether only this host can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
