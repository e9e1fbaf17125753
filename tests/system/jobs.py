"""What the system's tests run."""

import os
from pathlib import Path

from tests.system.node import Node

STORE = 'daq_job_type = "DAQJobStoreCSV"\n'


def job_code(body: str, name: str = "DAQJobIt") -> str:
    """A file with a job whose start does this."""
    indented = body.replace("\n", "\n        ")
    return (
        "import os, signal, sys, time, subprocess\n"
        "from enrgdaq.daq.base import DAQJob\n"
        f"class {name}(DAQJob):\n    def start(self):\n        {indented}\n"
    )


def sender(file: str = "test.csv") -> str:
    """A job that makes rows for a CSV file."""
    return f"""
    daq_job_type = "DAQJobTest"
    rand_min = 1
    rand_max = 10
    interval_seconds = 0.01
    [store_config.csv]
    file_path = "{file}"
    """


def shm(node: Node) -> Path:
    """Where its rings lie."""
    return Path(f"/dev/shm/enrgdaq-{os.getuid()}-{node.id}")
