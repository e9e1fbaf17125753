"""Where the rows of a file come from, in words that stay with it."""

import msgspec

from enrgdaq import __version__
from enrgdaq.daq.store.models import DAQJobMessageStore


def provenance(message: DAQJobMessageStore) -> dict[str, str]:
    """What is known of the producer of a file's first rows."""
    info = message.daq_job_info
    found = {"software": f"ENRGDAQ {__version__}"}
    if info is not None:
        found["job"] = info.unique_id or ""
        found["job_type"] = info.daq_job_type
        if info.supervisor_info is not None:
            found["supervisor"] = info.supervisor_info.supervisor_id
    if message.timestamp is not None:
        found["started"] = message.timestamp.isoformat(timespec="milliseconds")
    if message.tag is not None:
        found["tag"] = message.tag
    found["store_config"] = msgspec.json.encode(message.store_config).decode()
    return found
