"""What ``supervisor.toml`` opens to the network, checked before anything starts."""

from pathlib import Path
from typing import Final

from enrgdaq.daq.config_check import Mistake
from enrgdaq.errors import ConfigurationError, NoKeyError
from enrgdaq.federation.endpoints import host_and_port
from enrgdaq.keys import KeyFolder, keys_folder
from enrgdaq.keys.exposure import is_loopback, own_key
from enrgdaq.keys.files import SecretKey
from enrgdaq.models import SupervisorCNCConfig, SupervisorConfig, SupervisorFederationConfig

_SECTION: Final = "cnc"


def keys_of(config_path: Path, config: SupervisorConfig) -> KeyFolder:
    """The keys of a folder of configs."""
    return KeyFolder(keys_folder(config_path, config.keys_dir))


def remote_control(config: SupervisorConfig) -> SupervisorCNCConfig | None:
    """The section ``[cnc]`` where it asks for a TCP endpoint."""
    return config.cnc if config.cnc is not None and config.cnc.is_server else None


def control_key(cnc: SupervisorCNCConfig, keys: KeyFolder, name: str) -> SecretKey | None:
    """See :func:`enrgdaq.keys.exposure.own_key`."""
    return own_key(keys, name, section=_SECTION, host=cnc.server_host, insecure=cnc.insecure)


def has_mirror(config: SupervisorConfig, config_path: Path) -> bool:
    """Whether this node is a hub that others can link to: one without a key stays closed."""
    links = config.federation
    if links is None or not links.is_server:
        return False
    return links.insecure or keys_of(config_path, config).has_secret(config.supervisor_id)


def check_exposure(
    config: SupervisorConfig, config_path: Path, file: str
) -> tuple[list[Mistake], list[str]]:
    """Mistakes and warnings about TCP.

    Without keys an address that others reach is a mistake. On loopback it is a warning, and the
    endpoint stays closed: every account of this host could command the node, which the local
    socket does not let them; files from before keys keep working.
    """
    mistakes: list[Mistake] = []
    warnings: list[str] = []
    check = _Check(config, config_path, file, mistakes, warnings)
    cnc, links = remote_control(config), config.federation
    if cnc is not None:
        check.server("cnc", "server_host", cnc.server_host, cnc.server_port, cnc.insecure)
    if links is not None and links.is_server:
        data = [] if links.engine == "nats" else ["server_xsub_url"]
        for key in (*data, "server_xpub_url"):
            check.endpoint(key, getattr(links, key), links.insecure)
    if links is not None:
        check.spoke(links)
    return mistakes, warnings


class _Check:
    """Looks at one way in or out after the other."""

    def __init__(
        self,
        config: SupervisorConfig,
        config_path: Path,
        file: str,
        mistakes: list[Mistake],
        warnings: list[str],
    ) -> None:
        self._name = config.supervisor_id
        self._keys = keys_of(config_path, config)
        self._file = file
        self._mistakes = mistakes
        self._warnings = warnings

    def server(self, section: str, key: str, host: str, port: int, insecure: bool) -> None:
        """What listens for others."""
        file = self._file
        try:
            own = own_key(self._keys, self._name, section=section, host=host, insecure=insecure)
            if own is None:
                what = "commands this node" if section == "cnc" else "sends data to this node"
                self._warnings.append(
                    f"{file}: [{section}] is insecure: whoever reaches {host} {what}"
                )
            elif not self._keys.allowed():
                self._warnings.append(
                    f"{file}: [{section}]: nobody may come in yet; see 'enrgdaq keys allow --help'"
                )
        except NoKeyError as error:
            if is_loopback(host):
                self._warnings.append(f"{file}: {error}. Until then its port {port} stays closed")
            else:
                self._wrong(f"{section}.{key}", error)
        except ConfigurationError as error:
            self._wrong("keys_dir", error)

    def endpoint(self, key: str, url: str, insecure: bool) -> None:
        """A URL of the hub."""
        try:
            host, port = host_and_port(url, 0)
        except ConfigurationError as error:
            self._wrong(f"federation.{key}", error)
        else:
            self.server("federation", key, host, port, insecure)

    def spoke(self, links: SupervisorFederationConfig) -> None:
        """What goes to a hub."""
        for key in ("remote_server_xsub_url", "remote_server_xpub_url"):
            url = getattr(links, key)
            if url is None:
                continue
            try:
                host_and_port(url, 0)
                if not links.insecure:
                    self._keys.secret(self._name)
                    self._keys.server(links.server_key)
            except ConfigurationError as error:
                self._wrong(f"federation.{key}", error)

    def _wrong(self, key: str, error: ConfigurationError) -> None:
        mistake = Mistake(file=self._file, key=key, text=str(error))
        if mistake not in self._mistakes:
            self._mistakes.append(mistake)
