"""Where a supervisor is reached: its local socket, or TCP with a key."""

from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from enrgdaq.errors import ConfigurationError
from enrgdaq.keys import PublicKey, SecretKey
from enrgdaq.keys.exposure import DEFAULT_CONTROL_PORT


class RemoteAddress(Struct, frozen=True, kw_only=True):
    """A TCP endpoint, our key and the server's; no keys for one that asks for none."""

    endpoint: str
    own: SecretKey | None
    server: PublicKey | None

    def __str__(self) -> str:
        return self.endpoint


Address = Path | RemoteAddress


def remote_endpoint(text: str) -> str:
    """``tcp://HOST:PORT`` in full. Raises :class:`ConfigurationError` for what is none."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port or DEFAULT_CONTROL_PORT
    except ValueError:
        host, port = None, 0
    if host is None or parts.scheme != "tcp" or parts.path or parts.query or parts.username:
        raise ConfigurationError(
            f"{text!r} is no address of a supervisor; write tcp://HOST:PORT, the port is"
            f" {DEFAULT_CONTROL_PORT} unless its supervisor.toml says another"
        )
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
