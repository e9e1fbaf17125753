"""What is known of a job before it starts, found by importing its class in another process."""

import msgspec

from enrgdaq.daq.config_check import Mistake


class FileUse(msgspec.Struct, frozen=True, kw_only=True):
    """A file below a store's folder, and how it is written."""

    store: str
    file_path: str
    mode: str


class JobFacts(msgspec.Struct, kw_only=True):
    """What the supervisor must know of a job, and only its class can say."""

    unique_id: str
    type_name: str
    kind: str
    """``source processor store monitor``"""
    topics_in: list[str]
    takes_messages: bool
    """Whether it holds rows in rings."""
    is_mirror: bool = False
    """Whether its ring holds records of other nodes."""
    may_skip: bool
    """Whether it rather loses messages than holds producers up."""
    stores_wanted: list[str]
    """Topics of the stores that its config asks for."""
    files: list[FileUse]
    """The files that its config asks stores to write."""
    out_dir: str | None
    ring_size_mb: int | None
    use_shm: bool
    restart_offset_seconds: float
    stale_after_seconds: float | None


class CheckResult(msgspec.Struct, kw_only=True):
    """What is known of a job after its check."""

    facts: JobFacts | None = None
    mistakes: list[Mistake] = []
