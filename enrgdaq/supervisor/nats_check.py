"""``[federation]`` with ``engine = "nats"``, checked before anything starts."""

import importlib.util
from pathlib import Path

from enrgdaq.daq.config_check import Mistake
from enrgdaq.errors import ConfigurationError
from enrgdaq.federation.jetstream.login import check_server, login_of
from enrgdaq.keys.exposure import is_loopback
from enrgdaq.models import FederationNatsConfig, SupervisorFederationConfig
from enrgdaq.supervisor.links import nats_settings

_SECTION = "federation.nats"
_STAR_KEYS = ("send_to", "remote_server_xsub_url")


def check_nats(
    links: SupervisorFederationConfig, config_path: Path, file: str
) -> tuple[list[Mistake], list[str]]:
    """Mistakes and warnings about links over NATS; whether streams are right, the link says."""
    mistakes: list[Mistake] = []
    warnings: list[str] = []

    def wrong(key: str, text: str) -> None:
        mistakes.append(Mistake(file=file, key=key, text=text))

    settings = links.nats
    if links.engine != "nats":
        if settings is not None:
            wrong(_SECTION, 'has no effect without engine = "nats" in [federation]')
        return mistakes, warnings
    if importlib.util.find_spec("nats") is None:
        wrong("federation.engine", "'nats' needs its client: run pip install 'enrgdaq[nats]'")
    for key in _STAR_KEYS:
        if getattr(links, key):
            wrong(f"federation.{key}", 'is for a star; with engine = "nats" take it out')
    if settings is None:
        wrong(_SECTION, 'is missing: write the section with servers = ["nats://HOST:4222"]')
        return mistakes, warnings
    if not (settings.send or links.receive):
        wrong(_SECTION, "neither sends nor receives: set send or, in [federation], receive to true")
    for key, text in _losses(settings):
        wrong(f"{_SECTION}.{key}", text)
    if settings.retention == "limits" and not settings.remove_read and not settings.max_age_hours:
        warnings.append(
            f"{file}: [{_SECTION}] keeps what was read until max_size_mb, and then takes no more:"
            " set remove_read = true, or max_age_hours"
        )
    try:
        login = login_of(nats_settings(settings, config_path))
        login.check()
        has_nkeys = importlib.util.find_spec("nkeys") is not None
        if settings.nkey_seed_file is not None and not has_nkeys:
            wrong(f"{_SECTION}.nkey_seed_file", "needs nkeys: run pip install 'enrgdaq[nats]'")
        open_to = [host for url in settings.servers if not is_loopback(host := _host(url))]
        is_known = login.is_encrypted and (settings.nkey_seed_file or settings.tls_cert)
        if open_to and not is_known and not links.insecure:
            wrong(
                f"{_SECTION}.servers",
                f"{open_to[0]} is reached over the network: use TLS (tls_ca, or tls://) and"
                " nkey_seed_file or tls_cert; or, where everybody there may read and send data,"
                " write insecure = true in [federation]",
            )
    except ConfigurationError as error:
        wrong(_SECTION, str(error))
    return mistakes, warnings


def _losses(settings: FederationNatsConfig) -> list[tuple[str, str]]:
    if settings.may_lose_unread:
        return []
    found = []
    if settings.discard == "old":
        found.append(("discard", "'old' loses unread data when a stream is full"))
    if settings.max_age_hours:
        found.append(("max_age_hours", "loses what was not read in time"))
    mend = "; write may_lose_unread = true if that is meant"
    return [(key, text + mend) for key, text in found]


def _host(url: str) -> str:
    return check_server(url)[0]
