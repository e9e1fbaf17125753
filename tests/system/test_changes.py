"""Files change while acquisition runs: wholly right and carried out, or nothing has happened."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from enrgdaq.control.client import ControlClient
from enrgdaq.errors import ControlError
from tests.system.node import Node

STORE = 'daq_job_type = "DAQJobStoreCSV"\nflush_interval_seconds = 0.05\n'
TICKS = 'daq_job_type = "DAQJobTest"\nrand_min = 1\nrand_max = 9\ninterval_seconds = {}\n'
SOURCE = TICKS + '[store_config.csv]\nfile_path = "{}"\n'


@pytest.fixture
def orderly(node: Node) -> Iterator[Node]:
    """A node that is stopped in order at the end, and leaves nothing behind."""
    yield node
    if node.process is not None:
        assert node.stop() == 0, node.log()


@pytest.fixture
def running(orderly: Node) -> Node:
    node = orderly
    node.add("csv", STORE)
    node.add("one", SOURCE.format(0.02, "one.csv"))
    node.start()
    node.wait_job("csv", lambda job: job.messages_in > 0)
    return node


def events(node: Node, what: str) -> list[str]:
    return [event.text for event in node.client.events().events if event.what == what]


def rows(path: Path) -> int:
    return len(path.read_text().splitlines()) - 1 if path.exists() else 0


def test_a_source_added_while_running_is_stored_without_any_restart(running: Node) -> None:
    pids = {job.id: job.pid for job in running.snapshot().jobs}
    running.add("two", SOURCE.format(0.02, "two.csv"))
    said = running.run("add", "two.toml")
    assert said.returncode == 0, said.stderr
    assert "two is running" in said.stdout
    running.wait(lambda: rows(running.out / "two.csv") > 5, what="rows of the new job")
    now = {job.id: job.pid for job in running.snapshot().jobs}
    assert {name: now[name] for name in pids} == pids
    assert now["two"]
    assert events(running, "add")
    sent = running.wait_job("two", lambda job: job.messages_out > 5).messages_out
    assert running.stop() == 0, running.log()
    assert rows(running.out / "two.csv") >= sent
    assert rows(running.out / "one.csv") > 0


def test_a_store_added_while_running_is_owed_what_comes_from_then_on(orderly: Node) -> None:
    node = orderly
    node.add("memory", 'daq_job_type = "DAQJobStoreMemory"\n')
    node.add("one", SOURCE.format(0.02, "x.csv") + "[store_config.memory]\n")
    node.start()
    # A file that lies elsewhere is copied into the folder once it was found to be right.
    (node.folder / "late.toml").write_text(STORE)
    said = node.run("add", "./late.toml")
    assert said.returncode == 0, said.stderr
    assert (node.configs / "late.toml").read_text() == STORE
    node.wait_job("late", lambda job: job.messages_in > 5)
    node.kill_job("late")
    node.wait(lambda: rows(node.out / "x.csv") > 20, what="rows after the new store was killed")
    assert node.stop() == 0, node.log()
    node.start()
    node.wait_job("late", lambda job: job.messages_in > 0)
    assert node.stop() == 0, node.log()


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("bad.toml", 'daq_job_type = "DAQJobTst"', "did you mean DAQJobTest"),
        ("bad.toml", 'daq_job_type = "DAQJobTest"\ninterval_secs = 1', "unknown key"),
        ("bad.toml", "daq_job_type = ", "is not TOML"),
        ("bad.toml", 'daq_job_unique_id = "ONE"\n' + SOURCE.format(1, "b.csv"), "is also the name"),
        ("bad.toml", 'daq_job_unique_id = "one"\n' + SOURCE.format(1, "b.csv"), "is also the name"),
        ("bad.toml", STORE, "must not write the same files"),
        ("bad.toml", "ring_size_mb = 65536\n" + SOURCE.format(1, "b.csv"), "MiB free"),
        ("one.toml", SOURCE.format(1, "b"), "is there already"),
        ("../bad.toml", SOURCE.format(1, "b"), "cannot be a job's file"),
        ("supervisor.toml", SOURCE.format(1, "b"), "cannot be a job's file"),
        (".toml", SOURCE.format(1, "b"), "cannot be a job's file"),
    ],
)
def test_a_file_with_a_mistake_adds_nothing(
    running: Node, name: str, text: str, reason: str
) -> None:
    files = sorted(running.configs.iterdir())
    rings = len(running.snapshot().rings)
    with pytest.raises(ControlError, match=reason):
        running.client.add(name, text=text)
    assert sorted(running.configs.iterdir()) == files
    assert len(running.snapshot().rings) == rings
    assert [job.id for job in running.snapshot().jobs] == ["csv", "one"]
    assert events(running, "refused add")


def test_a_mistake_is_told_of_the_file_that_was_given(running: Node) -> None:
    extra = running.folder / "extra.toml"
    extra.write_text(SOURCE.format(0.02, "extra.csv").replace("rand_max = 9\n", ""))
    said = running.run("add", "./extra.toml")
    assert said.returncode != 0
    assert "enrgdaq: extra.toml: rand_max: missing" in said.stderr
    said = running.run("add", "sub/extra.toml")
    assert "sub/extra.toml: no such file" in said.stderr
    extra.write_text('daq_job_unique_id = "one"\n' + SOURCE.format(0.02, "extra.csv"))
    said = running.run("add", str(extra))
    assert f"{extra}: daq_job_unique_id: 'one' is also the name of the job" in said.stderr
    extra.write_text(SOURCE.format(0.02, "extra.csv"))
    said = running.run("add", "./extra.toml")
    assert said.returncode == 0, said.stderr
    # From then on it is the copy that counts.
    details = running.client.job_details("extra")
    assert details.config_file == str(running.configs / "extra.toml")
    assert not details.file_has_changed


def test_user_code_that_hangs_on_import_holds_nobody_up(running: Node) -> None:
    running.add_code(
        "slow",
        "import time\nfrom enrgdaq.daq.base import DAQJob\ntime.sleep(60)\n"
        "class DAQJobSlow(DAQJob):\n    pass\n",
    )
    path = running.client.address
    refusals: list[str] = []

    def add() -> None:
        with ControlClient(path, program="test") as other:
            try:
                other.add("slow.toml", text='daq_job_type = "DAQJobSlow"')
            except ControlError as error:
                refusals.append(str(error))

    thread = threading.Thread(target=add)
    thread.start()
    try:
        running.wait(lambda: _is_busy(running), what="the check to be under way")
        running.client.restart("one")
        running.wait_job("one", lambda job: job.state == "running" and job.restarts == 1)
        with pytest.raises(ControlError, match="another file is being checked"):
            running.client.check("one", SOURCE.format(1, "one.csv"))
        assert not refusals
    finally:
        thread.join()
    assert "it hangs" in refusals[0]


def _is_busy(node: Node) -> bool:
    return any(process.name() == "daq:check" for process in node.family())


def test_a_job_is_restarted_with_its_file_as_it_is_now(running: Node) -> None:
    before = running.job("one")
    running.add("one", SOURCE.format(0.01, "other.csv"))
    said = running.run("reload", "one")
    assert said.returncode == 0, said.stderr
    after = running.wait_job("one", lambda job: job.state == "running")
    assert after.pid != before.pid
    running.wait(lambda: rows(running.out / "other.csv") > 3, what="rows under the new name")
    assert running.job("csv").restarts == 0


def test_a_restart_says_that_the_file_has_changed_since(running: Node) -> None:
    said = running.run("restart", "one")
    assert said.returncode == 0, said.stderr
    assert "has changed" not in said.stdout
    running.add("one", SOURCE.format(0.01, "later.csv"))
    hint = "configs/one.toml has changed since: 'enrgdaq reload one' takes it"
    for arguments in (("restart", "one"), ("stop", "one"), ("start", "one")):
        said = running.run(*arguments)
        assert said.returncode == 0, said.stderr
        assert (hint in said.stdout) is (arguments[0] != "stop")
    assert running.client.job_details("one").file_has_changed
    assert hint in running.client.restart_all(["csv", "one"])
    running.wait_all("running")
    assert "has changed" not in running.run("reload", "one").stdout
    assert "has changed" not in running.client.restart("one")
    assert not running.client.job_details("one").file_has_changed
    running.wait_job("one", lambda job: job.state == "running")
    (running.configs / "one.toml").unlink()
    assert "has changed" not in running.client.restart("one")


def test_a_new_text_is_written_when_it_is_right(running: Node) -> None:
    path = running.configs / "one.toml"
    path.chmod(0o600)
    old, new = path.read_text(), SOURCE.format(0.01, "other.csv")
    assert "no mistakes" in running.client.check("one", new)
    assert path.read_text() == old
    running.client.reload("one", text=new, before=old)
    assert path.read_text() == new
    assert path.stat().st_mode & 0o777 == 0o600
    running.wait_job("one", lambda job: job.state == "running" and job.restarts == 1)
    assert running.client.job_details("one").config_text == new


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (SOURCE.format('"often"', "one.csv"), "interval_seconds"),
        (SOURCE.format(1, "/etc/one.csv"), "file_path"),
        ("x = ", "is not TOML"),
        ('daq_job_unique_id = "two"\n' + SOURCE.format(1, "one.csv"), "would be another job"),
        (STORE + 'out_dir = "elsewhere"', "takes effect only when acquisition is started anew"),
        ("ring_size_mb = 2\n" + SOURCE.format(1, "one.csv"), "ring_size_mb: takes effect only"),
    ],
)
def test_a_text_with_a_mistake_changes_nothing(running: Node, text: str, reason: str) -> None:
    path = running.configs / "one.toml"
    old, pid = path.read_text(), running.job("one").pid
    for call in (running.client.check, running.client.reload):
        with pytest.raises(ControlError, match=reason):
            call("one", text=text)  # type: ignore[operator]
    assert path.read_text() == old
    assert running.job("one").pid == pid
    assert sorted(p.name for p in running.configs.iterdir()) == [
        "csv.toml",
        "one.toml",
        "supervisor.toml",
    ]


def test_a_file_that_no_process_could_be_sent_changes_nothing(orderly: Node) -> None:
    node = orderly
    node.add_code(
        "noted",
        "from enrgdaq.daq.base import DAQJob\n"
        "from enrgdaq.daq.models import DAQJobConfig\n"
        "class NotedConfig(DAQJobConfig):\n    note: str = ''\n"
        "class DAQJobNoted(DAQJob):\n    config_type = NotedConfig\n"
        "    def start(self):\n        self.sleep(3600)\n",
    )
    old = 'daq_job_type = "DAQJobNoted"\n'
    node.add("one", old)
    node.add("two", old)
    node.start()
    pids = [job.pid for job in node.snapshot().jobs]
    path = node.configs / "one.toml"
    for call in (node.client.check, node.client.reload):
        with pytest.raises(ControlError, match=r"one.toml: .* too large: 184\d+ bytes, and 100000"):
            call("one", text=f'{old}note = "{"é" * 92_000}"\n')  # type: ignore[operator]
        with pytest.raises(ControlError, match=r"of 1500\d\d characters is too long, 150000 are"):
            call("one", text=f"{old}{'#' * 150_001}\n")  # type: ignore[operator]
    assert path.read_text() == old
    with pytest.raises(ControlError, match="cannot be sent"):
        node.client.reload("one", text=f"{old}note = {10**30}\n")
    path.write_text(f'{old}note = "{"e" * 184_000}"\n')
    said = node.run("reload", "one")
    assert said.returncode == 4
    assert "100000 are the limit" in said.stderr
    said = node.run("check")
    assert said.returncode == 2
    assert "100000 are the limit" in said.stderr
    assert [job.pid for job in node.snapshot().jobs] == pids


def test_a_file_that_somebody_else_has_changed_is_left_alone(running: Node) -> None:
    path = running.configs / "one.toml"
    before = path.read_text()
    path.write_text(SOURCE.format(0.5, "one.csv"))
    with pytest.raises(ControlError, match="changed by somebody else"):
        running.client.reload("one", text=SOURCE.format(1, "one.csv"), before=before)
    assert path.read_text() == SOURCE.format(0.5, "one.csv")


def test_a_job_that_cannot_start_with_its_new_file_goes_back_to_the_old_one(orderly: Node) -> None:
    node = orderly
    node.add_code(
        "picky",
        "from enrgdaq.daq.base import DAQJob\n"
        "from enrgdaq.daq.models import DAQJobConfig\n"
        "class PickyConfig(DAQJobConfig):\n    port: int = 1\n"
        "class DAQJobPicky(DAQJob):\n"
        "    config_type = PickyConfig\n"
        "    def __init__(self, config, **kwargs):\n"
        "        super().__init__(config, **kwargs)\n"
        "        if config.port == 13:\n            raise OSError('no such port')\n"
        "    def start(self):\n        self.stopping_event = self.sleep(3600)\n",
    )
    old = 'daq_job_type = "DAQJobPicky"\nport = 1\n'
    node.add("picky", old)
    node.start()
    node.client.reload("picky", text=old.replace("1", "13"), before=old)
    node.wait(lambda: events(node, "change taken back"), what="the change to be taken back")
    node.wait_job("picky", lambda job: job.state == "running")
    assert (node.configs / "picky.toml").read_text() == old
    assert node.client.job_details("picky").config_text == old


def test_secrets_stay_with_the_job(orderly: Node) -> None:
    node = orderly
    node.add_code(
        "login",
        "from enrgdaq.daq.base import DAQJob\n"
        "from enrgdaq.daq.models import DAQJobConfig\n"
        "class LoginConfig(DAQJobConfig):\n    password: str\n    place: str\n"
        "class DAQJobLogin(DAQJob):\n    config_type = LoginConfig\n",
    )
    node.add(
        "login",
        'daq_job_type = "DAQJobLogin"\npassword = "hunter2"\nplace = { env = "THE_PLACE" }\n',
    )
    node.environment["THE_PLACE"] = "hunter3"
    node.environment["SOME_TOKEN"] = "hunter4"  # noqa: S105 - of nobody
    node.environment["PLAIN"] = "seen"
    node.start()
    details = node.client.job_details("login")
    assert 'password = "********"' in details.config_text
    assert 'place = { env = "THE_PLACE" }' in details.config_text
    assert "PLAIN=seen" in details.environment
    assert "THE_PLACE=********" in details.environment
    assert "SOME_TOKEN=********" in details.environment
    assert "hunter" not in details.config_text + "".join(details.environment)
    assert os.path.isabs(details.config_file)  # noqa: PTH117 - a string from the wire


def test_several_jobs_are_restarted_together_or_not_at_all(running: Node) -> None:
    with pytest.raises(ControlError, match="no job is called"):
        running.client.restart_all(["one", "two"])
    assert running.job("one").restarts == 0
    assert running.client.restart_all(["one", "csv", "one"]) == "restarting one, csv"
    for name in ("one", "csv"):
        running.wait_job(name, lambda job: job.state == "running" and job.restarts == 1)
    assert events(running, "restart group") == ["restarting one, csv"]


def test_the_audit_outlives_the_supervisor(running: Node) -> None:
    running.client.restart("one")
    running.wait_job("one", lambda job: job.state == "running" and job.restarts == 1)
    assert running.stop() == 0
    running.start()
    found = running.client.events().events
    assert [event.number for event in found] == sorted({event.number for event in found})
    assert [event.what for event in found].count("supervisor started") == 2
    (restart,) = [event for event in found if event.what == "restart"]
    assert restart.user
    said = running.run("events").stdout
    assert "restarting one" in said
    assert f"by {restart.user}" in said


def test_listing_rings_makes_no_folders(orderly: Node) -> None:
    node = orderly
    said = node.run("rings", "list")
    assert said.stdout == "0 ring files\n", said.stderr
    assert not list(node.runtime.iterdir())
    assert not node.out.exists()
