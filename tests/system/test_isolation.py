"""What goes wrong in one place holds up and harms nothing elsewhere."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.system.node import Node, wait_until

STORE = 'daq_job_type = "DAQJobStoreCSV"\n'


def numbers_job(node: Node, file: str = "n.csv", *, backend: str = "csv", extra: str = "") -> None:
    node.add_code(
        "counting",
        """
import time
from pathlib import Path
from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.store.models import *

class DAQJobCounting(DAQJob):
    config_type = StorableDAQJobConfig

    def start(self):
        number = 0
        while self.sleep(0.002):
            self.publish(DAQJobMessageStoreTabular(
                store_config=self.config.store_config, keys=["n"], data=[[number]]))
            number += 1
            # In one piece: who reads an empty file takes what was sent for nothing.
            Path("sent.new").write_text(str(number))
            Path("sent.new").rename("sent")
""",
    )
    node.add(
        "numbers",
        f'daq_job_type = "DAQJobCounting"\n[store_config.{backend}]\nfile_path = "{file}"\n{extra}',
    )


def sent(node: Node) -> int:
    path = node.folder / "sent"
    return int(path.read_text()) if path.exists() else 0


def rows(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().splitlines()[1:]] if path.exists() else []


@pytest.mark.parametrize("how", ["closed", "stalled"])
def test_reader_of_the_log_that_leaves_or_stalls(node: Node, how: str) -> None:
    """``enrgdaq run 2>&1 | head -1``, or Ctrl-S in the terminal."""
    numbers_job(node)
    node.add("csv", STORE)
    node.add_code("chatty", _CHATTY)
    node.add("chatty", 'daq_job_type = "DAQJobChatty"')
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [*node.command(), "run"], cwd=node.folder, env=node.environment, stderr=writer
    )
    os.close(writer)
    if how == "closed":
        os.close(reader)
    try:
        wait_until(lambda: sent(node) > 50, what="data")
        wait_until(lambda: node.job("csv").state == "running", what="an answer")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        if how == "stalled":
            os.close(reader)
    assert rows(node.out / "n.csv") == list(range(sent(node)))


_CHATTY = """
from enrgdaq.daq.base import DAQJob
class DAQJobChatty(DAQJob):
    def start(self):
        while self.sleep(0.001):
            for _ in range(20):
                self.log.info("x" * 200)
"""


def test_second_supervisor_in_the_same_folder_is_refused(node: Node) -> None:
    numbers_job(node)
    node.add("csv", STORE)
    node.start()
    other = node.folder / "other"
    other.mkdir()
    (other / "supervisor.toml").write_text(f'[info]\nsupervisor_id = "{node.id}-2"\n')
    (other / "csv.toml").write_text(STORE)
    done = node.run("run", "--daq-job-config-path", "other")
    assert done.returncode == 2
    assert "another supervisor writes its statistics" in done.stderr
    assert not list(Path("/dev/shm").glob(f"*{node.id}-2"))
    (other / "supervisor.toml").write_text(
        f'out_dir = "out2"\n[info]\nsupervisor_id = "{node.id}-2"\n[restart]\nmax_restarts = 1\n'
    )
    process = subprocess.Popen(
        [*node.command(), "run", "--daq-job-config-path", "other"],
        cwd=node.folder,
        env=node.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        log = node.folder / "out2" / "logs" / f"{node.id}-2.log"
        wait_until(
            lambda: log.exists() and "another DAQJobStoreCSV writes in" in log.read_text(),
            what="the refusal",
        )
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert node.stop() == 0, node.log()
    assert rows(node.out / "n.csv") == list(range(sent(node)))


def test_one_file_has_one_kind_of_writer(node: Node) -> None:
    numbers_job(node, "same.csv")
    node.add(
        "other", 'daq_job_type = "DAQJobCounting"\n[store_config.raw]\nfile_path = "same.csv"\n'
    )
    node.add(
        "own", 'daq_job_type = "DAQJobCounting"\n[store_config.csv]\nfile_path = "stats.csv"\n'
    )
    node.add("hid", 'daq_job_type = "DAQJobCounting"\n[store_config.csv]\nfile_path = ".n.csv"\n')
    node.add("csv", STORE)
    node.add("raw", 'daq_job_type = "DAQJobStoreRaw"\n')
    done = node.run("check")
    assert done.returncode == 2
    assert "'same.csv' is also written by" in done.stderr
    assert "is written by the supervisor itself" in done.stderr
    assert "hidden files" in done.stderr


def test_store_of_another_kind_does_not_swallow_old_data(node: Node) -> None:
    numbers_job(node)
    node.add("store", STORE)
    node.start()
    wait_until(lambda: sent(node) > 20, what="data")
    pid = node.job("store").pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    before = sent(node)
    wait_until(lambda: sent(node) > before + 5, what="more data")
    node.kill_supervisor()
    (node.configs / "numbers.toml").unlink()
    node.add("store", 'daq_job_type = "DAQJobStoreRaw"\n')
    node.start()
    node.wait_job("store", lambda job: job.lost > 0)
    assert list((node.out / "set-aside").glob("*.record"))
    node.stop()


def test_few_rows_do_not_hold_up_many_bytes(node: Node) -> None:
    """A store that is owed little must not make others wait for its flush interval."""
    node.add_code(
        "mixed",
        """
import time
from pathlib import Path
from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.models import DAQJobStopError
from enrgdaq.daq.store.models import *

class DAQJobMixed(DAQJob):
    def start(self):
        raw = DAQJobStoreConfig(raw=DAQJobStoreConfigRaw(file_path="b.bin", overwrite=True))
        csv = DAQJobStoreConfig(csv=DAQJobStoreConfigCSV(file_path="r.csv"))
        for number in range(600):
            self.publish(DAQJobMessageStoreRaw(store_config=raw, data=bytes(100_000)))
            if number % 20 == 0:
                self.publish(DAQJobMessageStoreTabular(
                    store_config=csv, keys=["n"], data=[[number]]))
        raise DAQJobStopError("done")
""",
    )
    node.add("mixed", 'daq_job_type = "DAQJobMixed"\nring_size_mb = 2\n')
    node.add("csv", STORE + "flush_interval_seconds = 60\n")
    node.add("raw", 'daq_job_type = "DAQJobStoreRaw"\nflush_interval_seconds = 60\n')
    began = time.monotonic()
    node.start(wait_running=False)
    node.wait_job("mixed", lambda job: job.state == "stopped", seconds=40)
    assert time.monotonic() - began < 40
    assert node.stop() == 0, node.log()
    assert rows(node.out / "r.csv") == list(range(0, 600, 20))


def test_stop_waits_for_the_message_at_hand(node: Node) -> None:
    """A handler that publishes is never cut in the middle: its output would be there twice."""
    numbers_job(node)
    node.add_code(
        "relay",
        """
import time
from pathlib import Path
from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.store.models import *

class DAQJobRelay(DAQJob):
    config_type = StorableDAQJobConfig
    allowed_message_in_types = [DAQJobMessageStoreTabular]
    topics_to_subscribe = ["store.DAQJobStoreCSV"]

    def handle_message(self, message):
        if message.store_config.raw is not None:
            return True
        self.publish(DAQJobMessageStoreRaw(
            store_config=self.config.store_config, data=b"%d\\n" % message.data[0][0]))
        time.sleep(0.02)
        return True
""",
    )
    node.add(
        "relay",
        'daq_job_type = "DAQJobRelay"\n'
        '[store_config.raw]\nfile_path = "relayed"\noverwrite = false\n',
    )
    node.add("csv", STORE)
    node.add("raw", 'daq_job_type = "DAQJobStoreRaw"\n')
    node.start()
    node.wait_job("relay", lambda job: job.messages_out > 30)
    assert node.run("restart", "relay").returncode == 0
    before = node.job("relay").messages_out
    node.wait_job("relay", lambda job: job.messages_out > before + 30)
    node.client.stop("relay")
    node.wait_job("relay", lambda job: job.state == "stopped")
    relayed = node.job("relay").messages_out
    node.wait_job("raw", lambda job: job.queued_bytes == 0)
    node.stop()
    numbers = [int(line) for line in (node.out / "relayed").read_text().splitlines()]
    assert numbers == list(range(relayed))


def test_broken_journal_is_waited_for_and_loses_nothing(node: Node) -> None:
    numbers_job(node)
    node.add("csv", STORE)
    node.start()
    journal = node.out / ".n.csv.journal"
    node.wait(journal.exists, what="rows")
    node.client.stop("csv")
    node.wait_job("csv", lambda job: job.state == "stopped")
    good = journal.read_bytes()
    journal.write_bytes(b"{")
    node.client.start("csv")
    node.wait_job("csv", lambda job: "cannot be read" in job.condition)
    assert node.job("csv").lost == 0
    journal.write_bytes(good)
    node.wait_job("csv", lambda job: job.state == "running" and not job.condition)
    assert node.stop() == 0, node.log()
    assert rows(node.out / "n.csv") == list(range(sent(node)))


def test_store_whose_folder_cannot_be_made_waits_for_it(node: Node) -> None:
    blocked = node.folder / "blocked"
    blocked.write_text("not a folder")
    numbers_job(node)
    node.add("csv", STORE + 'out_dir = "blocked/out"\n')
    node.start()
    node.wait_job("csv", lambda job: "waiting for disk" in job.condition and job.restarts == 0)
    blocked.unlink()
    node.wait_job("csv", lambda job: job.state == "running" and not job.condition)
    assert node.stop() == 0, node.log()
    assert rows(blocked / "out" / "n.csv") == list(range(sent(node)))


_FORKING = """
import multiprocessing as mp
import os
from pathlib import Path

import pyarrow as pa

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.store.models import DAQJobMessageStorePyArrow, StorableDAQJobConfig
from enrgdaq.errors import TransportError

class DAQJobForking(DAQJob):
    config_type = StorableDAQJobConfig

    def row(self, number):
        table = pa.table({"n": [number]})
        self.publish(DAQJobMessageStorePyArrow(store_config=self.config.store_config, table=table))

    def in_child(self):
        for number in range(100):
            try:
                self.row(-1 - number)
            except TransportError as error:
                Path("refused").write_text(str(error))

    def start(self):
        child = mp.get_context("fork").Process(target=self.in_child)
        child.start()
        for number in range(1000):
            self.row(number)
        child.join()
        if os.fork() == 0:
            return
        Path("all").touch()
        while self.sleep(0.1):
            pass
"""


def test_a_process_that_a_job_forks_cannot_publish_or_end_it(node: Node) -> None:
    node.add_code("forking", _FORKING)
    node.add("source", 'daq_job_type = "DAQJobForking"\n[store_config.csv]\nfile_path = "n.csv"\n')
    node.add("csv", STORE)
    node.start()
    node.wait((node.folder / "all").exists, what="all rows")
    assert "forked by the job" in (node.folder / "refused").read_text()
    assert node.job("source").restarts == 0
    assert node.stop() == 0, node.log()
    assert rows(node.out / "n.csv") == list(range(1000))
