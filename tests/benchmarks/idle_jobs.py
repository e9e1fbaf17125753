"""What a system with nothing to do costs: python -m tests.benchmarks.idle_jobs [JOBS] [SECONDS].

A real supervisor, two stores, and producers that send a row an hour.
"""

import contextlib
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.links import cpu_seconds, own_node_in

STORES = ("DAQJobStoreCSV", "DAQJobStoreRaw")
PRODUCER = """\
daq_job_type = "DAQJobTest"
rand_min = 1
rand_max = 9
interval_seconds = 3600.0
[store_config.csv]
file_path = "{name}.csv"
"""
_SETTLE_SECONDS = 3.0


def main() -> None:
    """Measure and print."""
    jobs, seconds = (int(word) for word in (*sys.argv[1:], *("20", "30")[len(sys.argv) - 1 :]))
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        node = stack.enter_context(own_node_in(folder, "node"))
        for kind in STORES:
            node.add(kind.removeprefix("DAQJobStore").lower(), f'daq_job_type = "{kind}"')
        for number in range(jobs - len(STORES)):
            node.add(f"source{number}", PRODUCER.format(name=f"source{number}"))
        node.start()
        time.sleep(_SETTLE_SECONDS)
        family = node.family()
        before, began = cpu_seconds(family), time.monotonic()
        time.sleep(seconds)
        share = (cpu_seconds(family) - before) / (time.monotonic() - began)
        print(f"{jobs} idle jobs, {len(family)} processes: {100 * share:.1f} % of a core")
        node.stop()


if __name__ == "__main__":
    main()
