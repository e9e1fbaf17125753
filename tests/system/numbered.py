"""A source of numbered rows that goes on until a test has had enough.

What a test does while rows go on takes longer on a busy host, so no number of tables is large
enough for all hosts and small enough to wait for.
"""

from tests.system.node import Node

# Numbers every row from what its file says was acknowledged: a row counts as taken when
# publish() has returned, and the number of tables is noted only after that.
PRODUCER = """
from pathlib import Path

import numpy as np
import pyarrow as pa

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.models import DAQJobStopError
from enrgdaq.daq.store.models import DAQJobMessageStorePyArrow, StorableDAQJobConfig


class NumbersConfig(StorableDAQJobConfig, kw_only=True):
    tables: int = 1_000_000
    rows: int
    progress: str
    per_second: float = 0.0


class DAQJobNumbers(DAQJob):
    config_type = NumbersConfig

    def start(self):
        progress = Path(self.config.progress)
        enough = progress.with_name("enough")
        done = int(progress.read_text()) if progress.exists() else 0
        rows = self.config.rows
        for table in range(done, self.config.tables):
            if enough.exists():
                break
            first = table * rows
            numbers = np.arange(first, first + rows)
            self.publish(
                DAQJobMessageStorePyArrow(
                    store_config=self.config.store_config,
                    table=pa.table({"n": numbers, "square": numbers.astype(float) ** 2}),
                )
            )
            new = progress.with_suffix(".new")
            new.write_text(str(table + 1))
            new.rename(progress)
            if self.config.per_second:
                self.sleep(1 / self.config.per_second)
        raise DAQJobStopError("all tables are out")
"""


def tables_sent(node: Node) -> int:
    """Tables that the source knows to be taken."""
    path = node.folder / "progress"
    return int(path.read_text()) if path.exists() else 0


def end(node: Node, job: str = "numbered", *, rows: int = 100, at_least: int = 0) -> int:
    """Let the source end when it has sent ``at_least`` so many tables of ``rows`` rows.

    Returns how many rows it has sent.
    """
    node.wait(lambda: tables_sent(node) >= at_least, what="enough tables", seconds=60)
    (node.folder / "enough").touch()
    node.wait_job(job, lambda found: found.state == "stopped", seconds=60)
    return tables_sent(node) * rows
