"""A supervisor that claims to have many jobs and topics: python many_jobs.py JOBS TOPICS.

Prints the path of its control socket, and answers until it is ended. Real jobs would measure the
machine that runs them, not the console.
"""

import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tui"))

from scripted_supervisor import ScriptedSupervisor, job, ring, snapshot, topic

from enrgdaq.control.status import Snapshot


def crowd(jobs: int, topics: int) -> Snapshot:
    """A snapshot in which no figure is as it was."""
    kinds = ("source", "source", "source", "processor", "store", "monitor")
    listed = [job(f"job{number:03d}", kinds[number % len(kinds)]) for number in range(jobs)]
    for one in listed:
        one.rate_in *= random.uniform(0.5, 2)
        one.rate_out *= random.uniform(0.5, 2)
        one.age_seconds = random.uniform(0, 60)
        one.cpu_percent = random.uniform(0, 100)
    made = snapshot(listed, now=time.time(), started=time.time() - 5000)
    made.topics = [
        topic(f"store.topic{number:03d}", random.uniform(1, 1000), random.uniform(1, 1e6))
        for number in range(topics)
    ]
    made.rings = [
        ring(one.id, store=random.randrange(10**7)) for one in listed if one.kind == "source"
    ]
    return made


def main() -> None:
    """Serve until somebody ends this."""
    jobs, topics = map(int, sys.argv[1:3])
    supervisor = ScriptedSupervisor()
    supervisor.snapshot = crowd(jobs, topics)
    print(supervisor.path, flush=True)
    try:
        while True:
            time.sleep(0.4)
            supervisor.snapshot = crowd(jobs, topics)
    except KeyboardInterrupt:
        pass
    finally:
        supervisor.close()


if __name__ == "__main__":
    main()
