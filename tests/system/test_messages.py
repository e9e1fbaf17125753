"""Messages between jobs of one's own: in order, once, and never a reason to hang."""

from tests.system.node import Node

SHARED = """
from pathlib import Path

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.models import DAQJobConfig, DAQJobMessage, DAQJobStopError

class Reading(DAQJobMessage, kw_only=True):
    number: int

class SenderConfig(DAQJobConfig, kw_only=True):
    count: int
    padding: int = 0

class DAQJobSender(DAQJob):
    config_type = SenderConfig

    def start(self):
        for number in range(self.config.count):
            self.publish(Reading(topics=["readings.lab"], number=number))
        raise DAQJobStopError("all sent")

class DAQJobReceiver(DAQJob):
    allowed_message_in_types = [Reading]
    topics_to_subscribe = ["readings"]

    def handle_message(self, message):
        if super().handle_message(message):
            with Path("received").open("a") as file:
                print(message.number, message.daq_job_info.unique_id, file=file)
        return True
"""


def lines(node: Node) -> list[str]:
    path = node.folder / "received"
    return path.read_text().splitlines() if path.exists() else []


def add(node: Node, code: str = "", *, count: int = 100, receiver: str = "DAQJobReceiver") -> None:
    node.add_code("shared", SHARED + code)
    node.add("sender", f'daq_job_type = "DAQJobSender"\ncount = {count}\nring_size_mb = 1\n')
    node.add("receiver", f'daq_job_type = "{receiver}"\n')


def test_messages_of_ones_own_arrive_in_order(node: Node) -> None:
    add(node)
    node.start(wait_running=False)
    node.wait(lambda: len(lines(node)) >= 100, what="all readings")
    assert node.stop() == 0, node.log()
    assert lines(node) == [f"{number} sender" for number in range(100)]


def test_message_at_which_a_job_crashes_three_times_is_put_aside(node: Node) -> None:
    add(
        node,
        """
class DAQJobFragile(DAQJobReceiver):
    def handle_message(self, message):
        if message.number == 5:
            raise ValueError("cannot stand 5")
        return super().handle_message(message)
""",
        count=10,
        receiver="DAQJobFragile",
    )
    node.start(wait_running=False)
    node.wait(lambda: len(lines(node)) >= 9, what="the other readings")
    job = node.wait_job("receiver", lambda job: job.state == "running" and job.lost == 1)
    assert job.restarts == 3
    assert [int(line.split()[0]) for line in lines(node)] == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    (aside,) = node.folder.rglob("set-aside/*.record")
    assert aside.read_bytes().startswith(b"ENRGASIDE1\n")
    assert any("receiver lost 1 message" in p for p in node.snapshot().supervisor.problems)
    assert node.stop() == 0, node.log()


def test_monitor_that_may_skip_holds_nobody_up_and_counts(node: Node) -> None:
    add(
        node,
        """
class DAQJobSlow(DAQJobReceiver):
    def handle_message(self, message):
        while not Path("go").exists() and not self.stopping:
            self.sleep(0.01)
        return super().handle_message(message)
""",
        count=50_000,
        receiver="DAQJobSlow",
    )
    node.add("receiver", 'daq_job_type = "DAQJobSlow"\nwhen_behind = "skip"\n')
    node.start(wait_running=False)
    sender = node.wait_job("sender", lambda job: job.state == "stopped", seconds=60)
    assert sender.exit_reason == "all sent"
    (node.folder / "go").touch()
    node.wait(lambda: any(line.startswith("49999 ") for line in lines(node)), what="the last one")
    job = node.wait_job("receiver", lambda job: job.queued_bytes == 0)
    numbers = [int(line.split()[0]) for line in lines(node)]
    assert numbers == sorted(set(numbers))
    assert job.lost >= 50_000 - len(numbers) > 0
    assert job.lost <= 50_000 - len(numbers) + 1
    assert node.stop() == 0, node.log()


def test_consumer_that_holds_makes_the_producer_wait(node: Node) -> None:
    add(
        node,
        """
class DAQJobGated(DAQJobReceiver):
    def handle_message(self, message):
        while not Path("go").exists() and not self.stopping:
            self.sleep(0.01)
        return super().handle_message(message)
""",
        count=20_000,
        receiver="DAQJobGated",
    )
    node.start(wait_running=False)
    node.wait_job("sender", lambda job: job.backpressure_seconds > 0.5)
    (node.folder / "go").touch()
    node.wait_job("sender", lambda job: job.state == "stopped", seconds=60)
    node.wait(lambda: len(lines(node)) == 20_000, what="all readings", seconds=60)
    assert node.stop() == 0, node.log()
    assert [int(line.split()[0]) for line in lines(node)] == list(range(20_000))


def test_operator_may_stop_a_store_while_data_comes_in(node: Node) -> None:
    node.add(
        "test",
        'daq_job_type = "DAQJobTest"\nrand_min = 1\nrand_max = 9\ninterval_seconds = 0.001\n'
        '[store_config.csv]\nfile_path = "a.csv"\n',
    )
    node.add("csv", 'daq_job_type = "DAQJobStoreCSV"')
    node.start()
    node.wait_job("csv", lambda job: job.messages_in > 50)
    node.client.stop("csv")
    node.wait_job("csv", lambda job: job.state == "stopped")
    node.wait_job("csv", lambda job: job.queued_bytes > 0)
    node.client.start("csv")
    node.wait_job("csv", lambda job: job.state == "running")
    node.client.stop("test")
    node.wait_job("test", lambda job: job.state == "stopped")
    sent = node.job("test").messages_out
    assert node.stop() == 0, node.log()
    rows = (node.out / "a.csv").read_text().splitlines()[1:]
    assert len(rows) == len(set(rows)) == sent


def test_job_that_can_handle_nothing_keeps_its_data_waiting(node: Node) -> None:
    add(
        node,
        """
class DAQJobNever(DAQJobReceiver):
    def handle_message(self, message):
        raise ValueError("never")
""",
        count=20,
        receiver="DAQJobNever",
    )
    node.start(wait_running=False)
    node.wait(lambda: "is at fault, not its data" in node.log(), what="the verdict")
    restarts = node.job("receiver").restarts
    node.wait_job("receiver", lambda job: job.restarts > restarts + 3)
    assert node.job("receiver").lost == 3
    assert len(list((node.out / "set-aside").glob("*.record"))) == 3
    assert node.stop() == 1
    assert "holds data for receiver" in node.log()


def test_telemetry_that_is_too_much_is_counted(node: Node) -> None:
    add(
        node,
        """
class DAQJobTalker(DAQJob):
    config_type = DAQJobConfig

    def start(self):
        while self.sleep(0.05):
            for number in range(200):
                self.publish(Reading(topics=["stats.lab"], number=number))

class DAQJobSlowListener(DAQJobReceiver):
    topics_to_subscribe = ["stats.lab"]

    def handle_message(self, message):
        while not self.stopping:
            self.sleep(0.1)
        return True
""",
        receiver="DAQJobSlowListener",
    )
    node.add("talker", 'daq_job_type = "DAQJobTalker"\n')
    node.start(wait_running=False)
    node.wait_job("receiver", lambda job: job.telemetry_dropped > 0)
    assert node.stop() == 0, node.log()
