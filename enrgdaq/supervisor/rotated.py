"""Text files that are rotated by size and never stop the one who writes them."""

from logging import Formatter, LogRecord
from logging.handlers import RotatingFileHandler
from pathlib import Path


class RotatedFile(RotatingFileHandler):
    """Lines into ``path``, ``path.1`` ...; lines that a full disk refuses are counted."""

    def __init__(self, path: Path, *, max_bytes: int, files: int) -> None:
        super().__init__(path, maxBytes=max_bytes, backupCount=files - 1, encoding="utf-8")
        self.setFormatter(Formatter("%(message)s"))
        self.refused = 0

    def write_line(self, line: str) -> None:
        """Append one line."""
        self.emit(LogRecord("", 0, "", 0, line, (), None))

    def handleError(self, record: LogRecord) -> None:  # noqa: N802 - name given by logging
        """A full or lost disk must not stop data taking."""
        self.refused += 1
