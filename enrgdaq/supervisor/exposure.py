"""What ``supervisor.toml`` opens to the network, checked before anything starts."""

from pathlib import Path
from typing import Final

from enrgdaq.daq.config_check import Mistake
from enrgdaq.errors import ConfigurationError, NoKeyError
from enrgdaq.keys import KeyFolder, keys_folder
from enrgdaq.keys.exposure import is_loopback, own_key
from enrgdaq.keys.files import SecretKey
from enrgdaq.models import SupervisorCNCConfig, SupervisorConfig

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


def check_exposure(
    config: SupervisorConfig, config_path: Path, file: str
) -> tuple[list[Mistake], list[str]]:
    """Mistakes and warnings about TCP.

    Without keys an address that others reach is a mistake. On loopback it is a warning, and the
    endpoint stays closed: every account of this host could command the node, which the local
    socket does not let them; files from before keys keep working.
    """
    cnc = remote_control(config)
    if cnc is None:
        return [], []
    keys, host = keys_of(config_path, config), cnc.server_host
    try:
        own = control_key(cnc, keys, config.supervisor_id)
        if own is None:
            return [], [f"{file}: [cnc] is insecure: whoever reaches {host} commands this node"]
        if not keys.allowed():
            return [], [f"{file}: [cnc]: nobody may come in yet; see 'enrgdaq keys allow --help'"]
    except NoKeyError as error:
        if is_loopback(host):
            return [], [f"{file}: {error}. Until then its port {cnc.server_port} stays closed"]
        return [Mistake(file=file, key="cnc.server_host", text=str(error))], []
    except ConfigurationError as error:
        return [Mistake(file=file, key="keys_dir", text=str(error))], []
    return [], []
