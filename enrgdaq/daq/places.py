"""Names of the files in a supervisor's runtime folder that jobs use."""

import hashlib
from pathlib import Path


def routes_path(runtime: Path) -> Path:
    """Who takes which topics."""
    return runtime / "routes"


def bell_path(runtime: Path, unique_id: str) -> Path:
    """A job's bell. A digest, since Unix socket paths are short and job names need not be."""
    return runtime / f"bell-{hashlib.blake2b(unique_id.encode(), digest_size=6).hexdigest()}"


def relay_path(runtime: Path, node: str) -> Path:
    """Where the link to another node goes through the hub's own port."""
    return runtime / f"link-{hashlib.blake2b(node.encode(), digest_size=6).hexdigest()}"


def lock_path(runtime: Path, unique_id: str) -> Path:
    """The lock of a job's name."""
    return runtime / f"{unique_id}.lock"
