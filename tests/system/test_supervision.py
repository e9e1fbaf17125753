"""Processes live, die and come back; nothing is left behind."""

import os
import re
import resource
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.system.jobs import STORE, job_code, sender, shm
from tests.system.node import Node, wait_until

SEED_JOB = """
import time
from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.models import DAQJobConfig
from enrgdaq.daq.store.models import (
    DAQJobMessageStoreTabular,
    DAQJobStoreConfig,
    DAQJobStoreConfigCSV,
)

class MyJobConfig(DAQJobConfig):
    my_setting: str
    interval_seconds: float = 1.0

class DAQJobMyJob(DAQJob):
    config_type = MyJobConfig
    config: MyJobConfig

    def start(self):
        while True:
            # Produce and route data
            self._put_message_out(
                DAQJobMessageStoreTabular(
                    store_config=DAQJobStoreConfig(csv=DAQJobStoreConfigCSV(file_path="my.csv")),
                    keys=["timestamp", "value"],
                    data=[[time.time(), 42.0]],
                )
            )
            time.sleep(self.config.interval_seconds)
"""
STUBBORN = """
while True:
    try:
        time.sleep(3600)
    except Exception:
        pass
"""


@pytest.fixture
def it(node: Node) -> Node:
    node.add("it", 'daq_job_type = "DAQJobIt"')
    return node


def test_job_of_the_seed_page_runs_and_stops_in_time(node: Node) -> None:
    node.add_code("my_job", SEED_JOB)
    node.add("my", 'daq_job_type = "DAQJobMyJob"\nmy_setting = "x"\ninterval_seconds = 3600\n')
    node.add("csv", STORE)
    node.start()
    node.wait_job("my", lambda job: job.messages_out == 1)
    began = time.monotonic()
    assert node.stop() == 0, node.log()
    assert time.monotonic() - began < 10
    assert (node.out / "my.csv").read_text().startswith("timestamp,value\n")


def test_prints_tracebacks_and_log_records_are_collected(it: Node) -> None:
    it.add_code(
        "it",
        job_code(
            'print("to stdout")\nprint("to stderr", file=sys.stderr)\n'
            'self.log.warning("a \\x1b[31mwarning")\nself.sleep(0.3)\nraise ValueError("broken")'
        ),
    )
    it.start(wait_running=False)
    it.wait(lambda: "ValueError: broken" in it.log(), what="a traceback")
    log = it.log()
    assert "PRINT   it: to stdout" in log
    assert "it: to stderr" in log
    assert "WARNING it: a warning" in log
    assert "Traceback (most recent call last):" in log
    it.wait_job("it", lambda job: job.exit_reason == "ValueError: broken")
    it.stop()


def test_text_that_is_not_text_ends_nobody(it: Node) -> None:
    it.add_code(
        "it",
        job_code(
            'self.log.info("not \\udcff a name")\nself.log.info("x" * 1_000_000)\n'
            'self.set_condition("waits for \\udcff")\n'
            'os.write(1, b"raw \\xff\\n" + b"y" * 100_000)\n'
            'self.sleep(1.5)\nraise ValueError("no \\udcff " + "z" * 1_000_000)'
        ),
    )
    it.start(wait_running=False)
    it.wait_job("it", lambda job: job.condition == "waits for \\udcff")
    it.wait_job("it", lambda job: job.exit_reason.startswith("ValueError: no \\udcff zzz"))
    log = it.log()
    assert "it: not \\udcff a name" in log
    assert "it: raw \ufffd" in log
    assert "UnicodeEncodeError" not in log
    assert max(map(len, log.splitlines())) < 5000
    it.stop()


def test_log_records_of_no_date_end_nobody(it: Node) -> None:
    it.add_code(
        "it",
        job_code(
            "for moment in (1e15, float('nan'), float('inf'), -1.0):\n"
            "    record = self.log.makeRecord('it', 30, '', 0, f'at {moment}', (), None)\n"
            "    record.created = moment\n"
            "    self.log.handle(record)\n"
            "self.sleep(3600)"
        ),
    )
    it.start()
    it.wait(lambda: "it: at -1.0" in it.log(), what="the last record")
    assert it.log().count("WARNING it: at ") == 4
    assert it.stop() == 0


def test_job_that_sends_nonsense_to_its_supervisor_is_started_again(it: Node) -> None:
    it.add_code(
        "it",
        job_code(
            "if self.instance_id == 0:\n"
            "    self._host._lifeline._socket.send(b'\\xc1 nonsense')\n"
            "self.sleep(3600)"
        ),
    )
    it.start(wait_running=False)
    job = it.wait_job("it", lambda job: job.restarts == 1 and job.state == "running")
    assert job.exit_reason == "killed: it sent what is no message on its lifeline"
    assert it.stop() == 0


def test_job_that_dies_on_import_later_is_reported(it: Node) -> None:
    it.add_code("it", job_code("self.sleep(3600)"))
    it.start()
    it.add_code("it", "raise RuntimeError('edited badly')\n" + job_code("pass"))
    it.kill_job("it")
    it.wait(lambda: "edited badly" in it.log(), what="the reason in the log")
    it.stop()


def test_an_edit_of_the_same_size_in_the_same_second_runs(it: Node) -> None:
    it.add_code("gains", "gain = 1")
    code = "from gains import gain\nself.set_condition(f'gain {gain}')\nself.sleep(3600)"
    it.add_code("it", job_code(code))
    it.start(wait_running=False)
    it.wait_job("it", lambda job: job.condition == "gain 1")
    for name, new in (("gains", "gain = 2"), ("it", job_code(code.replace("gain ", "Gain ")))):
        file = it.configs / "jobs" / f"{name}.py"
        edited_at = file.stat().st_mtime_ns
        it.add_code(name, new)
        os.utime(file, ns=(edited_at, edited_at))
    it.client.restart("it")
    it.wait_job("it", lambda job: job.condition == "Gain 2")
    assert sorted(path.name for path in file.parent.iterdir()) == ["gains.py", "it.py"]
    it.stop()


def test_job_that_always_crashes_is_failed_and_can_be_started_again(it: Node) -> None:
    it.add_code("it", job_code("raise ValueError('no device')"))
    (it.configs / "supervisor.toml").write_text(
        f'[info]\nsupervisor_id = "{it.id}"\n'
        "[restart]\nfirst_delay_seconds = 0.01\nlongest_delay_seconds = 0.01\nmax_restarts = 3\n"
    )
    it.start(wait_running=False)
    job = it.wait_job("it", lambda job: job.state == "failed")
    assert job.restarts == 3
    assert it.snapshot().supervisor.problems == ["it failed: ValueError: no device"]
    it.add_code("it", job_code("self.sleep(3600)"))
    it.client.start("it")
    it.wait_job("it", lambda job: job.state == "running")
    assert it.stop() == 0


def test_plain_return_of_start_means_again(it: Node) -> None:
    it.add_code("it", job_code("return"))
    it.start(wait_running=False)
    it.wait_job("it", lambda job: job.restarts >= 2)
    assert it.job("it").exit_reason == "start() returned"
    it.stop()


def test_stop_error_of_its_own_means_done(it: Node) -> None:
    it.add_code(
        "it",
        job_code(
            "from enrgdaq.daq.models import DAQJobStopError\nraise DAQJobStopError('all sent')"
        ),
    )
    it.start(wait_running=False)
    job = it.wait_job("it", lambda job: job.state == "stopped")
    assert (job.exit_reason, job.restarts) == ("all sent", 0)
    assert it.stop() == 0


def test_job_of_thousands_of_topics_ends_for_good(it: Node) -> None:
    it.add_code(
        "it",
        job_code(
            "from enrgdaq.daq.models import DAQJobMessage, DAQJobStopError\n"
            "for number in range(4000):\n"
            "    self.publish(DAQJobMessage(topics=[f'many.{number:0>60}']))\n"
            "raise DAQJobStopError('all is sent')"
        ),
    )
    it.add("sink", 'daq_job_type = "enrgdaq.daq.base:DAQJob"\ntopics_to_subscribe = ["many."]')
    it.start(wait_running=False)
    job = it.wait_job("it", lambda job: job.state == "stopped")
    assert (job.exit_reason, job.restarts, job.messages_out) == ("all is sent", 0, 4000)
    assert it.stop() == 0


def test_hung_process_is_killed_and_started_again(it: Node) -> None:
    it.configure(hung_after_seconds=1)
    it.add_code("it", job_code("self.sleep(3600)"))
    it.start()
    pid = it.job("it").pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    job = it.wait_job("it", lambda job: job.restarts == 1 and job.state == "running")
    assert job.exit_reason.startswith("hung: no heartbeat")
    assert it.stop() == 0


def test_supervisor_that_was_suspended_takes_nobody_for_dead(it: Node) -> None:
    it.configure(hung_after_seconds=1)
    it.add_code("it", job_code("self.sleep(3600)"))
    it.start()
    family = it.family()
    for process in family:
        process.suspend()
    time.sleep(2.5)  # longer than hung_after_seconds: this is the thing under test
    for process in reversed(family):
        process.resume()
    number = len(it.client.logs().lines)
    it.wait(lambda: it.job("it").state == "running", what="the job to be seen")
    assert it.job("it").restarts == 0
    assert number
    assert it.stop() == 0


def test_jobs_end_when_their_supervisor_is_killed(it: Node) -> None:
    it.add_code("it", job_code("self.sleep(3600)"))
    it.start()
    it.kill_supervisor()  # waits for all that it started
    it.start()
    assert it.stop() == 0


def test_what_a_job_has_started_ends_with_it(it: Node) -> None:
    it.add_code("it", job_code("child = subprocess.Popen(['sleep', '300'])\nself.sleep(3600)"))
    it.start()
    (child,) = it.wait(
        lambda: psutil.Process(it.job("it").pid).children(), what="the job's own process"
    )
    it.kill_job("it")
    wait_until(lambda: not child.is_running() or child.status() == "zombie", what="its end")
    assert it.stop() == 0


def forkserver_of(node: Node) -> psutil.Process:
    assert node.process is not None
    return next(
        p
        for p in psutil.Process(node.process.pid).children()
        if "enrgdaq.supervisor.forkserver" in " ".join(p.cmdline())
    )


def test_job_that_has_no_process_yet_is_restarted(it: Node) -> None:
    it.add_code("it", job_code("self.sleep(3600)"))
    it.start()
    it.client.stop("it")
    it.wait_job("it", lambda job: job.state == "stopped")
    forkserver = forkserver_of(it)
    forkserver.suspend()
    assert it.client.start("it") == "starting it"
    assert it.client.restart("it") == "restarting it"
    forkserver.resume()
    it.wait_job("it", lambda job: job.restarts == 2 and job.state == "running")
    assert it.stop() == 0


def test_killed_forkserver_is_replaced(it: Node) -> None:
    it.add_code("it", job_code("self.sleep(3600)"))
    it.start()
    forkserver_of(it).kill()
    it.wait_job("it", lambda job: job.restarts == 1 and job.state == "running")
    assert it.stop() == 0


def test_supervisor_without_descriptors_starts_jobs_when_it_has_some(node: Node) -> None:
    node.add_code("it", job_code("self.sleep(3600)"))
    for name in ("a", "b", "c"):
        node.add(name, 'daq_job_type = "DAQJobIt"')
    node.start()
    assert node.process is not None
    node.client.stop("b")
    node.wait_job("b", lambda job: job.state == "stopped")
    pids = {job.id: job.pid for job in node.snapshot().jobs}
    supervisor = node.process.pid
    before = resource.prlimit(supervisor, resource.RLIMIT_NOFILE)
    # Each new descriptor gets the lowest free number, which is beyond the limit.
    used = {int(path.name) for path in Path(f"/proc/{supervisor}/fd").iterdir()}
    lowest_free = min(set(range(max(used) + 2)) - used)
    resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (lowest_free, before[1]))
    assert "b cannot be started now" in node.client.start("b")
    node.client.restart("a")
    for name in ("a", "b"):
        job = node.wait_job(name, lambda job: job.state == "backoff")
        assert "Too many open files" in job.exit_reason
    resource.prlimit(supervisor, resource.RLIMIT_NOFILE, before)
    for name in ("a", "b"):
        node.wait_job(name, lambda job: job.state == "running")
    assert node.job("c").pid == pids["c"]
    assert node.job("a").pid != pids["a"]
    assert "forkserver" not in node.log()
    assert node.stop() == 0


def test_frozen_broker_is_replaced_and_statistics_go_on(node: Node) -> None:
    node.add("test", sender())
    node.add("csv", STORE)
    node.configure(hung_after_seconds=3)
    node.start()
    node.wait_job("test", lambda job: job.messages_out > 0)
    broker = next(p for p in node.family() if p.name() == "daq:broker")
    broker.suspend()
    node.wait(lambda: "the broker hangs" in node.log(), what="the verdict")
    before = node.job("test").messages_out
    node.wait_job("test", lambda job: job.messages_out > before)
    assert not broker.is_running()
    assert node.stop() == 0, node.log()


def test_killed_broker_is_replaced_and_statistics_go_on(node: Node) -> None:
    node.add("test", sender())
    node.add("csv", STORE)
    node.start()
    broker = next(p for p in node.family() if p.name() == "daq:broker")
    broker.kill()
    before = node.job("test").messages_out
    node.wait_job("test", lambda job: job.messages_out > before)
    assert node.job("test").restarts == 0
    assert node.stop() == 0


def test_second_supervisor_of_the_same_id_is_refused(it: Node) -> None:
    it.add_code("it", job_code("self.sleep(3600)"))
    it.start()
    done = it.run("run")
    assert done.returncode == 2
    assert "runs on this host already" in done.stderr
    assert it.job("it").state == "running"
    assert it.stop() == 0


def test_later_signal_stops_at_once(it: Node) -> None:
    it.configure(stop_grace_seconds=3600)
    it.add_code("it", job_code(STUBBORN))
    it.start()
    assert it.process is not None
    it.process.send_signal(signal.SIGTERM)
    it.wait_job("it", lambda job: job.state == "stopping")
    time.sleep(1.1)  # what follows sooner is the same request, passed on by a program in between
    it.process.send_signal(signal.SIGTERM)
    assert it.wait_ended(seconds=10) == 1


def test_signal_that_comes_twice_stops_in_order(it: Node) -> None:
    it.add_code(
        "it",
        # Its clean-up is over well before a job that does not end by itself is interrupted.
        job_code("try:\n    self.sleep(60)\nfinally:\n    time.sleep(0.2)\n    print('in order')"),
    )
    it.start()
    assert it.process is not None
    it.process.send_signal(signal.SIGINT)
    it.process.send_signal(signal.SIGINT)
    assert it.wait_ended() == 0
    assert "in order" in it.log()


def test_hang_up_below_nohup_is_nothing(it: Node) -> None:
    it.add_code("it", job_code("self.sleep(3600)"))
    it.prefix = ["nohup"]
    it.start()
    assert it.process is not None
    it.process.send_signal(signal.SIGHUP)
    it.client.restart("it")
    it.wait_job("it", lambda job: job.restarts == 1 and job.state == "running")
    assert it.stop() == 0


def test_stubborn_job_is_killed_in_time(it: Node) -> None:
    it.configure(stop_grace_seconds=2)
    it.add_code(
        "it",
        job_code(STUBBORN),
    )
    it.start()
    began = time.monotonic()
    assert it.stop() == 1
    assert time.monotonic() - began < 6


def test_a_loop_that_only_publishes_is_stopped_between_two_messages(it: Node) -> None:
    it.add_code(
        "it",
        job_code(
            "from enrgdaq.daq.models import DAQJobMessage\n"
            "print('begun', flush=True)\n"
            "while True:\n"
            "    self.publish(DAQJobMessage(topics=['nobody']))"
        ),
    )
    it.start()
    it.wait(lambda: "begun" in it.log(), what="the loop")
    assert it.stop() == 0


def test_files_and_folders_are_private(it: Node) -> None:
    it.add_code("it", job_code("self.sleep(3600)"))
    it.start()
    sockets = [p for p in (it.runtime / "enrgdaq" / it.id).rglob("*") if p.is_socket()]
    rings = list(shm(it).glob("*.ring"))
    assert sockets
    assert rings
    for path in (*rings, it.runtime / "enrgdaq" / it.id / "control"):
        assert path.stat().st_mode & 0o077 == 0, path
    for folder in (shm(it), it.runtime / "enrgdaq", it.runtime / "enrgdaq" / it.id):
        assert folder.stat().st_mode & 0o777 == 0o700
    it.stop()


def test_dead_stores_data_outlives_a_stop(node: Node) -> None:
    """A store that cannot write is still owed its rows after a stop, and gets them."""
    node.configure(stop_grace_seconds=2)
    node.add("test", sender())
    node.add("csv", STORE)
    node.start()
    node.wait_job("csv", lambda job: job.messages_in > 0)
    pid = node.job("csv").pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    sent = node.job("test").messages_out
    node.wait_job("test", lambda job: job.messages_out > sent + 20)
    assert node.stop() == 1
    kept = list((node.out / "state" / node.id).glob("*.ring"))
    assert len(kept) == 1
    assert "holds data for csv; the next start goes on with it" in node.log()
    listed = node.run("rings", "list").stdout
    assert "owed: csv" in listed
    assert listed.endswith("\n1 ring file\n")
    node.start()
    assert re.search(r"csv is owed [1-9][\d.]* k?B of test from an earlier run", node.log())
    assert node.stop() == 0
    total = sum(
        int(line.rsplit(": ", 1)[1].split()[3])
        for line in node.log().splitlines()
        if "supervisor: test: " in line and "messages in" in line
    )
    rows = (node.out / "test.csv").read_text().splitlines()[1:]
    assert len(rows) == len(set(rows)) == total
    assert not list((node.out / "state" / node.id).iterdir())


def test_twenty_idle_jobs_are_up_within_five_seconds(node: Node) -> None:
    for number in range(20):
        node.add(f"job{number}", 'daq_job_type = "DAQJobIt"')
    node.add_code("it", job_code("self.sleep(3600)"))
    began = time.monotonic()
    node.start()
    assert time.monotonic() - began < 5
    jobs = [psutil.Process(job.pid) for job in node.snapshot().jobs]
    private = [process.memory_full_info().uss / 1e6 for process in jobs]
    assert max(private) < 60, private
    assert node.stop() == 0
