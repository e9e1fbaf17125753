"""What the supervisor must know of links, without importing them."""

from urllib.parse import urlsplit

from enrgdaq.errors import ConfigurationError

UPLINK = "uplink"
MIRROR = "mirror"
DEFAULT_LINK_PORT = 1639
DEFAULT_NODES_PORT = 1640
WANTED_FILE = "wanted.json"
"""What the hub wanted last, in the link's folder: for a start while it is away."""


def downlink_name(node: str) -> str:
    """The hub's job that sends to a node."""
    return f"downlink.{node}"


def host_and_port(url: str, default_port: int) -> tuple[str, int]:
    """``tcp://HOST:PORT``; ``*`` is all addresses of this host.

    Raises :class:`ConfigurationError` for what is no such address.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or default_port
    except ValueError:
        host, port = None, 0
    if host is None or parts.scheme != "tcp" or parts.path or parts.query or parts.username:
        raise ConfigurationError(f"{url!r} is no address; write tcp://HOST:PORT")
    return "0.0.0.0" if host == "*" else host, port  # noqa: S104 - it is asked for


def endpoint(url: str, default_port: int) -> str:
    """The same in full, to connect to."""
    host, port = host_and_port(url, default_port)
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
