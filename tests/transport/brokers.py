"""A broker in a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_BROKER = """
import sys
from pathlib import Path
from enrgdaq.transport.broker import run_broker
run_broker(Path(sys.argv[1]))
"""


@contextmanager
def broker(runtime: Path) -> Iterator[None]:
    """A broker that dies of SIGKILL at the end."""
    with subprocess.Popen([sys.executable, "-c", _BROKER, str(runtime)]) as process:
        try:
            yield
        finally:
            process.kill()
