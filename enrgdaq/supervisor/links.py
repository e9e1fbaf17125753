"""The jobs that link this node to others, made from ``[federation]``.

They are jobs like all others: supervised, restarted, shown; only their files are not written by
anybody.
"""

from pathlib import Path
from typing import Any, Final

import msgspec

from enrgdaq.daq.spec import ClassRef
from enrgdaq.daq.topics import Topic
from enrgdaq.federation.endpoints import WANTED_FILE
from enrgdaq.keys import keys_folder
from enrgdaq.models import SupervisorConfig
from enrgdaq.supervisor.exposure import has_mirror
from enrgdaq.supervisor.places import known_places

UPLINK: Final = "uplink"
MIRROR: Final = "mirror"


def link_jobs(config: SupervisorConfig, config_path: Path) -> dict[str, tuple[ClassRef, Any]]:
    """Class and settings of the jobs that ``[federation]`` asks for, by their names."""
    links = config.federation
    if links is None:
        return {}
    state = known_places(config).state
    shared = {
        "keys_dir": str(keys_folder(config_path, config.keys_dir)),
        "insecure": links.insecure,
        "verbosity": config.verbosity.value,
    }
    jobs: dict[str, tuple[ClassRef, Any]] = {}
    if has_mirror(config, config_path):
        mirror: dict[str, Any] = {
            **shared,
            "daq_job_type": "DAQJobMirror",
            "listen": links.server_xsub_url,
            "positions_dir": str(state / "positions"),
        }
        if links.mirror_size_mb is not None:
            mirror["ring_size_mb"] = links.mirror_size_mb
        jobs[MIRROR] = ClassRef(name="DAQJobMirror", module="enrgdaq.federation.mirror"), mirror
    if links.remote_server_xsub_url is not None:
        folder = state / UPLINK
        uplink: dict[str, Any] = {
            **shared,
            "daq_job_type": "DAQJobUplink",
            "server": links.remote_server_xsub_url,
            "out_dir": str(folder),
            "when_behind": links.when_behind,
            "spool_size_mb": links.spool_size_mb,
            "flush_interval_seconds": 0.05,
            "topics_to_subscribe": _wanted_last(folder),
        }
        if links.server_key is not None:
            uplink["server_key"] = links.server_key
        jobs[UPLINK] = ClassRef(name="DAQJobUplink", module="enrgdaq.federation.uplink"), uplink
    return jobs


def _wanted_last(folder: Path) -> list[str]:
    """What the hub wanted when it was last heard; all that stores take before the first time."""
    try:
        return msgspec.json.decode((folder / WANTED_FILE).read_bytes(), type=list[str])
    except (OSError, msgspec.MsgspecError):
        return [Topic.STORE]
