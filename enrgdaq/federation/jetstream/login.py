"""Where the servers are, and how this node proves who it is."""

import random
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from enrgdaq.errors import ConfigurationError
from enrgdaq.keys.files import check_private
from enrgdaq.models import FederationNatsConfig

DEFAULT_PORT: Final = 4222
_SCHEMES: Final = ("nats", "tls")
_LONGEST_SEED: Final = 512


def check_server(url: str) -> tuple[str, bool]:
    """Host of ``nats://HOST:PORT`` or ``tls://HOST:PORT``, and whether that asks for TLS.

    Raises :class:`ConfigurationError`, also where a password stands in it.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    is_plain = not (parts.path or parts.query or parts.fragment) if host else False
    if host is None or parts.scheme not in _SCHEMES or not is_plain:
        raise ConfigurationError(f"{url!r} is no server; write nats://HOST:PORT or tls://HOST:PORT")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(
            f"the address of {host} has a password in it, which everybody could read; use"
            " nkey_seed_file"
        )
    return host, parts.scheme == "tls"


@dataclass(frozen=True)
class Login:
    """Servers and files. What is secret is read when it is needed, and never kept."""

    servers: Sequence[str]
    nkey_seed_file: Path | None = None
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None

    @property
    def is_encrypted(self) -> bool:
        """Whether TLS is asked for."""
        has_file = any((self.tls_ca, self.tls_cert, self.tls_key))
        return has_file or any(check_server(server)[1] for server in self.servers)

    def in_turn(self) -> list[str]:
        """The servers, in an order of chance: nodes are to spread over them."""
        return random.sample(list(self.servers), len(self.servers))

    def check(self) -> None:
        """Raise :class:`ConfigurationError` for what can be seen to be wrong before connecting."""
        for server in self.servers:
            check_server(server)
        if self.nkey_seed_file is not None:
            check_private(self.nkey_seed_file)
            _check_seed(self.nkey_seed_file)
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ConfigurationError("tls_cert and tls_key belong together: write both or none")
        if self.tls_key is not None:
            check_private(self.tls_key)
        self._context()

    def options(self) -> dict[str, Any]:
        """What the client of NATS is told. Raises :class:`ConfigurationError` as :meth:`check`."""
        self.check()
        options: dict[str, Any] = {}
        context = self._context()
        if context is not None:
            options["tls"] = context
        if self.nkey_seed_file is not None:
            options["nkeys_seed"] = str(self.nkey_seed_file)
        return options

    def _context(self) -> ssl.SSLContext | None:
        if not self.is_encrypted:
            return None
        try:
            context = ssl.create_default_context(cafile=self.tls_ca)
            if self.tls_cert is not None and self.tls_key is not None:
                context.load_cert_chain(self.tls_cert, self.tls_key, password=_no_password)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(
                f"tls_ca, tls_cert, tls_key: {error.strerror or error}: name files in PEM that"
                " this node can read, the key without a password"
            ) from error
        return context


def login_of(settings: FederationNatsConfig) -> Login:
    """Servers and files of ``[federation.nats]``."""

    def path(name: str | None) -> Path | None:
        return Path(name) if name is not None else None

    return Login(
        settings.servers,
        nkey_seed_file=path(settings.nkey_seed_file),
        tls_ca=path(settings.tls_ca),
        tls_cert=path(settings.tls_cert),
        tls_key=path(settings.tls_key),
    )


def _check_seed(path: Path) -> None:
    try:
        with path.open("rb") as file:
            seed = file.read(_LONGEST_SEED + 1).strip()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    # The text is not told: it may be a secret of another kind.
    if not seed.startswith(b"SU") or len(seed) > _LONGEST_SEED or not seed.isalnum():
        raise ConfigurationError(f"{path}: is no seed of a user, as 'nk -gen user' makes them")


def _no_password() -> str:
    return ""
