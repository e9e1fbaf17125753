"""The ``enrgdaq`` command and a supervisor that runs."""

import re
import signal

import pytest

from enrgdaq.errors import ControlError
from tests.system.jobs import STORE, job_code, sender, shm
from tests.system.node import Node, wait_until


@pytest.fixture
def it(node: Node) -> Node:
    node.add("it", 'daq_job_type = "DAQJobIt"')
    return node


def test_commands(node: Node) -> None:
    node.add("test", sender())
    node.add("csv", STORE)
    assert node.run("status").returncode == 3
    never = node.run("logs")
    assert (never.returncode, never.stdout) == (3, "")
    assert "no supervisor of configs is running" in never.stderr
    assert "last" not in never.stderr
    node.start()
    assert node.run("restart", "test").returncode == 0
    job = node.wait_job("test", lambda job: job.state == "running")
    assert job.restarts == 1
    assert "test is stopped" in node.run("stop", "test").stdout
    assert node.run("stop", "test").returncode == 4
    assert node.run("start", "test").stdout.endswith("test is running\n")
    done = node.run("restart", "nobody")
    assert done.returncode == 4
    assert "no job is called 'nobody'; there are" in done.stderr
    assert node.run("logs", "--lines", "5").stdout.count("\n") == 5
    status = node.run("status").stdout
    assert "store.DAQJobStoreCSV" in status
    assert re.search(r"^RING +SIZE +FULL +FURTHEST BEHIND +BY\ntest +\d", status, re.MULTILINE)
    assert node.run("shutdown").stdout.endswith("stopped\n")
    assert not (node.runtime / "enrgdaq" / node.id / "control").exists()
    assert not shm(node).exists()
    assert node.wait_ended() == 0
    events = (node.out / "logs" / f"{node.id}.audit.jsonl").read_text().splitlines()
    assert any('"what":"restart"' in line and '"user":' in line for line in events)
    for words, what, file in (
        ("logs -n 3", "log", f"{node.id}.log"),
        ("events -n 2", "events", f"{node.id}.audit.jsonl"),
    ):
        said = node.run(*words.split())
        assert said.returncode == 3
        assert said.stderr.endswith(f"; its last {what}: {node.out / 'logs' / file}\n")
        assert said.stdout.count("\n") == int(words[-1])
        assert re.search(r"supervisor:? +stopped", said.stdout)
    for lines in ("0", "-3", "many"):
        assert "give 1 or more" in node.run("logs", f"-n{lines}").stderr


def test_status_as_json_has_all_that_scripts_need(node: Node) -> None:
    import json

    node.add("test", sender())
    node.add("csv", STORE)
    node.start()
    node.wait_job("csv", lambda job: job.messages_in > 0)
    found = json.loads(node.run("status", "--json").stdout)
    assert set(found) == {"supervisor", "jobs", "topics", "rings", "links", "nodes"}
    keys = (
        "id type state pid restarts exit_reason messages_in messages_out bytes_in bytes_out"
        " rate_in rate_out age_seconds backpressure_seconds lost"
    )
    assert set(keys.split()) <= set(found["jobs"][0])
    ring = next(ring for ring in found["rings"] if ring["producer"] == "test")
    assert {"producer", "capacity", "head", "consumers"} <= set(ring)
    assert {"name", "cursor", "lag_bytes"} <= set(ring["consumers"][0])
    node.stop()


def test_nothing_that_a_job_says_reaches_the_terminal_raw(it: Node) -> None:
    it.add_code(
        "it",
        job_code(
            "import logging\n"
            "from enrgdaq.daq.models import DAQJobMessage\n"
            "logging.addLevelName(35, '\x1b[35mODD')\n"
            "self.log.log(35, 'of an odd level')\n"
            "self.set_condition('\x1b[31mred')\n"
            "self.publish(DAQJobMessage(topics=['x\x1b[5mBLINK\x07']))\n"
            "if self.instance_id == 0:\n"
            "    self.sleep(1.5)\n"
            "    raise ValueError('\x1b[32mgreen')\n"
            "self.sleep(3600)"
        ),
    )
    it.add("sink", 'daq_job_type = "enrgdaq.daq.base:DAQJob"\ntopics_to_subscribe = [""]')
    it.start()
    job = it.wait_job("it", lambda job: job.restarts == 1 and bool(job.condition))
    assert (job.condition, job.exit_reason) == ("red", "ValueError: green")
    assert "xBLINK" in [topic.topic for topic in it.snapshot().topics]
    assert it.run("restart", "no\x1b[31mbody").returncode == 4
    it.add("odd", 'daq_job_type = "DAQJobIt"\n"\\u001b[31mkey" = 1\n')
    it.add("file\x1b[31m", "x = ")
    said = [
        it.run(*words.split())
        for words in ("status", "events", "logs", "check", "reload it", "restart x\x1b[31my")
    ]
    texts = "".join(done.stdout + done.stderr for done in said)
    for shown in ("it: red", "xBLINK", "ODD", "key: unknown key", "file.toml: is not TOML"):
        assert shown in texts
    assert all(c == "\n" or c.isprintable() for c in texts), texts
    assert it.stop() == 0


def test_stop_of_a_supervisor_that_answers_no_more(it: Node) -> None:
    it.add_code("it", job_code("self.sleep(3600)"))
    it.start()
    assert it.process is not None
    it.process.send_signal(signal.SIGSTOP)
    with pytest.raises(ControlError, match="no answer within"):
        it.client.snapshot()
    it.process.send_signal(signal.SIGCONT)
    wait_until(lambda: it.job("it").state == "running", what="an answer")
    assert it.stop() == 0
