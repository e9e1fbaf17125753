"""Options by which a command reaches a supervisor on another host.

Parsing a command line loads no ZeroMQ: a console starts its supervisor before that.
"""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from enrgdaq.errors import ConfigurationError

if TYPE_CHECKING:
    from enrgdaq.control.address import RemoteAddress
    from enrgdaq.keys import KeyFolder


def add_attach_option(parser: argparse._ActionsContainer, text: str, *, bare: bool = False) -> None:
    """``--attach``; with ``bare`` also without an address."""
    if bare:
        parser.add_argument("--attach", nargs="?", const="", metavar="tcp://HOST:PORT", help=text)
    else:
        parser.add_argument("--attach", metavar="tcp://HOST:PORT", help=text)


def add_key_options(parser: argparse._ActionsContainer) -> None:
    """Which keys to use with ``--attach tcp://…``."""
    parser.add_argument(
        "--key", metavar="NAME", help="with --attach: your key (default: the only one here)"
    )
    parser.add_argument(
        "--server-key",
        metavar="FILE",
        help="with --attach: public key of the other side, a file or a name in the folder of keys"
        " (default: the only one there)",
    )
    parser.add_argument(
        "--insecure",
        action="store_true",
        help="with --attach: no keys, for a supervisor with insecure = true",
    )


def remote_address(
    options: argparse.Namespace, open_keys: "Callable[[], KeyFolder]"
) -> "RemoteAddress | None":
    """Where ``--attach`` leads; ``None`` without an address.

    Raises :class:`ConfigurationError` with the mend when a key is missing.
    """
    if not options.attach:
        if options.key or options.server_key or options.insecure:
            raise ConfigurationError("--key, --server-key and --insecure go with --attach tcp://…")
        return None
    from enrgdaq.control.address import RemoteAddress, remote_endpoint

    endpoint = remote_endpoint(options.attach)
    if options.insecure:
        return RemoteAddress(endpoint=endpoint, own=None, server=None)
    keys = open_keys()
    return RemoteAddress(
        endpoint=endpoint, own=keys.secret(options.key), server=keys.server(options.server_key)
    )
