"""The jobs that link this node to others, made from ``[federation]``.

They are jobs like all others: supervised, restarted, shown; only their files are not written by
anybody.
"""

from pathlib import Path
from typing import Any, Final

import msgspec

from enrgdaq.daq.places import relay_path
from enrgdaq.daq.spec import ClassRef
from enrgdaq.daq.topics import Topic
from enrgdaq.federation.endpoints import MIRROR, UPLINK, WANTED_FILE, downlink_name
from enrgdaq.keys import keys_folder
from enrgdaq.models import FederationNatsConfig, SupervisorConfig, SupervisorFederationConfig
from enrgdaq.supervisor.exposure import has_mirror
from enrgdaq.supervisor.places import known_places

_FLUSH_SECONDS: Final = 0.05
_NATS_FLUSH_MB: Final = 32.0
"""A flush ends with waiting until all is stored: of 8 MiB in large messages a fifth of its time."""

LinkJob = tuple[ClassRef, dict[str, Any]]


def link_jobs(config: SupervisorConfig, config_path: Path) -> dict[str, LinkJob]:
    """Class and settings of the jobs that ``[federation]`` asks for, by their names."""
    links = config.federation
    if links is None:
        return {}
    places = known_places(config)
    if links.engine == "nats":
        return _nats_jobs(config, links, config_path)
    shared: dict[str, Any] = {
        "keys_dir": str(keys_folder(config_path, config.keys_dir)),
        "insecure": links.insecure,
        "verbosity": config.verbosity.value,
    }
    mirror = {**shared, **_mirror(links, places.state)}
    sender = _sending(links)
    server = {} if links.server_key is None else {"server_key": links.server_key}
    jobs: dict[str, LinkJob] = {}
    if has_mirror(config, config_path):
        sockets = {node: f"ipc://{relay_path(places.runtime, node)}" for node in links.send_to}
        listen = {"listen": links.server_xsub_url, "send_to": sockets}
        jobs[MIRROR] = _job("mirror", "DAQJobMirror", {**mirror, **listen})
        for node, path in sockets.items():
            to_node = {**shared, **sender, "server": path, "insecure": True, "not_from": node}
            name = downlink_name(node)
            jobs[name] = _sender(places.state / name, to_node)
    if links.remote_server_xsub_url is not None:
        to_hub = {**shared, **server, "server": links.remote_server_xsub_url}
        jobs[UPLINK] = _sender(places.state / UPLINK, {**sender, **to_hub})
        if links.receive:
            jobs[MIRROR] = _job("receiver", "DAQJobReceiver", {**mirror, **to_hub})
    return jobs


def nats_settings(settings: FederationNatsConfig, config_path: Path) -> FederationNatsConfig:
    """The settings with full paths: files lie beside ``supervisor.toml``."""
    paths = {
        key: str((config_path / Path(name).expanduser()).absolute())
        for key in ("nkey_seed_file", "tls_ca", "tls_cert", "tls_key")
        if (name := getattr(settings, key)) is not None
    }
    return msgspec.structs.replace(settings, **paths)


def _nats_jobs(
    config: SupervisorConfig, links: SupervisorFederationConfig, config_path: Path
) -> dict[str, LinkJob]:
    if links.nats is None:
        return {}
    places = known_places(config)
    settings = nats_settings(links.nats, config_path)
    shared: dict[str, Any] = {
        "nats": {k: v for k, v in msgspec.to_builtins(settings).items() if v is not None},
        "verbosity": config.verbosity.value,
    }
    jobs: dict[str, LinkJob] = {}
    if settings.send:
        sender = {**shared, **_sending(links), "flush_size_mb": _NATS_FLUSH_MB}
        job = _job("jetstream.uplink", "DAQJobNatsUplink", sender)
        jobs[UPLINK] = _with_folder(places.state / UPLINK, job)
    if links.receive:
        mirror = {**shared, **_mirror(links, places.state)}
        jobs[MIRROR] = _job("jetstream.receiver", "DAQJobNatsReceiver", mirror)
    return jobs


def _sending(links: SupervisorFederationConfig) -> dict[str, Any]:
    return {
        "when_behind": links.when_behind,
        "spool_size_mb": links.spool_size_mb,
        "flush_interval_seconds": _FLUSH_SECONDS,
    }


def _mirror(links: SupervisorFederationConfig, state: Path) -> dict[str, Any]:
    found: dict[str, Any] = {"positions_dir": str(state / "positions")}
    if links.mirror_size_mb is not None:
        found["ring_size_mb"] = links.mirror_size_mb
    return found


def _sender(folder: Path, settings: dict[str, Any]) -> LinkJob:
    return _with_folder(folder, _job("uplink", "DAQJobUplink", settings))


def _with_folder(folder: Path, job: LinkJob) -> LinkJob:
    job_class, settings = job
    ours = {"out_dir": str(folder), "topics_to_subscribe": _wanted_last(folder)}
    return job_class, {**settings, **ours}


def _job(module: str, name: str, settings: dict[str, Any]) -> LinkJob:
    job_class = ClassRef(name=name, module=f"enrgdaq.federation.{module}")
    return job_class, {**settings, "daq_job_type": name}


def _wanted_last(folder: Path) -> list[str]:
    """What the other end wanted last; all that is for stores before it was heard first."""
    try:
        return msgspec.json.decode((folder / WANTED_FILE).read_bytes(), type=list[str])
    except (OSError, msgspec.MsgspecError):
        return [Topic.STORE]
