"""Locks by name hold whatever happens to the disk."""

import subprocess
import sys
from pathlib import Path

import pytest

from enrgdaq.errors import NameInUseError
from enrgdaq.transport.lock import NameLock

# A limit on the size of files refuses the write as a full disk does.
ON_A_FULL_DISK = """
import resource, sys
from pathlib import Path
from enrgdaq.transport.lock import NameLock
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
NameLock(Path(sys.argv[1])).acquire()
print("taken", flush=True)
sys.stdin.read()
"""


def test_lock_is_taken_on_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "name.lock"
    with subprocess.Popen(
        [sys.executable, "-c", ON_A_FULL_DISK, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdin is not None and holder.stdout is not None
        assert holder.stdout.readline() == b"taken\n"
        with pytest.raises(NameInUseError, match="unknown"):
            NameLock(path).acquire()
        holder.stdin.close()
    lock = NameLock(path)
    lock.acquire(wait_seconds=5.0)
    lock.release()
    assert not path.exists()
