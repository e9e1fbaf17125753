"""Rings of no supervisor."""

from pathlib import Path

from enrgdaq.transport.ring import RingFile, RingIdentity


def make_ring(path: Path, capacity: int, *, is_mirror: bool = False) -> RingFile:
    """A new ring of ``capacity`` bytes, of a producer that is called ``source``."""
    identity = RingIdentity(
        uuid="0" * 32,
        producer="source",
        supervisor_id="test",
        config_path="",
        out_dir="",
        capacity=capacity,
        made_ns=0,
        is_mirror=is_mirror,
    )
    return RingFile.create(path, identity)
