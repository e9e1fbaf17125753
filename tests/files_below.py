"""Files in folders that others write and remove meanwhile."""

import os
from pathlib import Path


def files_below(folder: Path, pattern: str) -> list[Path]:
    """Those that match, as far as they can be seen; a file found may be gone when it is opened.

    pathlib's globs fail on a folder that goes while they look into it (3.11); `os.walk` goes on.
    """
    found = (Path(parent, name) for parent, _, names in os.walk(folder) for name in names)
    return [path for path in found if path.match(pattern)]
