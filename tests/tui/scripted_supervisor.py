"""A supervisor that says what a test wants, on a real control socket."""

import os
import shutil
import tempfile
import threading
from logging import getLevelNamesMapping
from pathlib import Path

import zmq

from enrgdaq.control import protocol
from enrgdaq.control.history import History
from enrgdaq.control.server import ControlServer
from enrgdaq.control.status import (
    JobStatus,
    RingConsumerStatus,
    RingStatus,
    Snapshot,
    SupervisorStatus,
    TopicStatus,
)

NOW = 1_760_000_000.0


def job(name: str, kind: str = "source", state: str = "running", **fields: object) -> JobStatus:
    """A healthy job; say what is different."""
    runs = state in {"running", "starting", "stopping"}
    gives, takes = kind in {"source", "processor"}, kind != "source"
    values: dict[str, object] = {
        "id": name,
        "type": "DAQJobTest",
        "kind": kind,
        "state": state,
        "is_stale": False,
        "condition": "",
        "pid": 4000 + sum(map(ord, name)) if runs else None,
        "restarts": 0,
        "exit_reason": "",
        "messages_in": 120_000 if takes else 0,
        "messages_out": 90_000 if gives else 0,
        "bytes_in": 480_000_000 if takes else 0,
        "bytes_out": 360_000_000 if gives else 0,
        "rate_in": 1234.0 if takes and runs else 0.0,
        "rate_out": 981.0 if gives and runs else 0.0,
        "rate_bytes_in": 4.9e6 if takes and runs else 0.0,
        "rate_bytes_out": 3.9e6 if gives and runs else 0.0,
        "age_seconds": 0.4,
        "backpressure_seconds": 0.0,
        "lost": 0,
        "unrouted": 0,
        "queued_bytes": 0,
        "latency_avg_ms": 0.4,
        "latency_p95_ms": 1.1,
        "latency_p99_ms": 2.4,
        "cpu_percent": 3.0,
        "rss_mb": 88.0,
        "private_mb": 21.0,
        "next_start_seconds": None,
    }
    return JobStatus(**{**values, **fields})  # type: ignore[arg-type]


def jobs() -> list[JobStatus]:
    """A small experiment."""
    return [
        job("digitizer", type="DAQJobCAENDigitizer"),
        job("hv", type="DAQJobCAENHV", rate_out=1.0, rate_bytes_out=80.0),
        job("weather", type="DAQJobXiaomiMijia", rate_out=0.1, age_seconds=42.0),
        job("trigger", "processor", type="DAQJobCoincidence"),
        job("csv", "store", type="DAQJobStoreCSV"),
        job("hdf5", "store", type="DAQJobStoreHDF5"),
        job("health", "monitor", type="DAQJobHealthcheck", rate_in=12.0),
    ]


def topic(name: str, messages: float, size: float) -> TopicStatus:
    """A topic with these rates."""
    return TopicStatus(
        topic=name,
        messages=int(messages * 100),
        bytes=int(size * 100),
        rows=0,
        rate_messages=messages,
        rate_bytes=size,
        rate_rows=0.0,
    )


def ring(producer: str, **lags: int) -> RingStatus:
    """A ring of 64 MB with consumers that lag by so many bytes."""
    return RingStatus(
        producer=producer,
        uuid=f"uuid-{producer}",
        capacity=64_000_000,
        head=10**9,
        is_old=False,
        consumers=[
            RingConsumerStatus(name=name, cursor=10**9 - lag, lag_bytes=lag, skipped=0)
            for name, lag in lags.items()
        ],
    )


def snapshot(of: list[JobStatus] | None = None, **fields: object) -> Snapshot:
    """A snapshot of these jobs; ``fields`` go into the supervisor's part."""
    listed = jobs() if of is None else of
    values: dict[str, object] = {
        "id": "detector-1",
        "tags": [],
        "pid": os.getpid(),
        "version": "0.1.0",
        "state": "running",
        "started": NOW - 3 * 86400 - 4 * 3600,
        "now": NOW,
        "config_path": "configs",
        "out_dir": "out",
        "log_path": "out/log/enrgdaq.log",
        "jobs_running": sum(1 for one in listed if one.state == "running"),
        "jobs_total": len(listed),
        "problems": [],
        "rate_messages": 1963.0,
        "rate_bytes": 7.8e6,
        "disk_free_bytes": 1_200_000_000_000,
        "memory_free_bytes": 13_000_000_000,
        "log_dropped": 0,
    }
    return Snapshot(
        supervisor=SupervisorStatus(**{**values, **fields}),  # type: ignore[arg-type]
        jobs=listed,
        topics=[
            topic("store.DAQJobStoreCSV", 982.0, 3.9e6),
            topic("store.DAQJobStoreHDF5", 981.0, 3.9e6),
            topic("alert", 0.0, 0.0),
        ],
        rings=[
            ring("digitizer", csv=41_000_000, hdf5=300_000),
            ring("hv", csv=0, hdf5=0),
            ring("trigger", csv=60_000_000),
        ],
    )


def lines(count: int, first: int = 0) -> list[protocol.LogLine]:
    """Log lines with these numbers."""
    levels = ("INFO", "INFO", "WARNING", "INFO", "ERROR", "DEBUG")
    return [
        protocol.LogLine(
            number=number,
            time=NOW - 60 + number % 60,
            level=levels[number % len(levels)],
            job=("digitizer", "csv", "")[number % 3],
            text=f"line {number} of the log",
        )
        for number in range(first, first + count)
    ]


def event(number: int, what: str, name: str, text: str, user: str = "") -> protocol.Event:
    """An event; those of people come from a terminal."""
    return protocol.Event(
        number=number,
        time=NOW - 100 + number,
        what=what,
        job=name,
        text=text,
        user=user,
        terminal="/dev/pts/7" if user else "",
    )


def events() -> list[protocol.Event]:
    """What has happened so far."""
    return [
        event(1, "supervisor started", "", "configs"),
        event(2, "console attached", "", "", "alice"),
        event(3, "crashed", "hv", "exit code 1"),
        event(4, "restart", "hv", "restarting hv (process 77)", "alice"),
    ]


class ScriptedSupervisor:
    """Answers in a thread until it is closed. Its attributes are the script."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="edq"))
        self.snapshot = snapshot()
        self.lines = lines(20)
        self.details_text = "daq_job_type = 'DAQJobTest'\n"
        self.has_changed_file = False
        self.refusal = ""
        self.refusal_of_logs = ""
        self.is_mute = False
        self.asked_snapshots = 0
        self.history = History()
        self.asked_histories: list[list[str]] = []
        self.commands: list[tuple[str, str]] = []
        self.reloads: list[tuple[str, str | None, str | None]] = []
        self.adds: list[protocol.AddJob] = []
        self.events = events()
        self.after_shutdown = self.close_soon
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._server = ControlServer(self._context, self.folder)
        self.path = self._server.path
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def close_soon(self) -> None:
        """End, as a supervisor does that was told to."""
        self._ended.set()

    def close(self) -> None:
        """End and clear away; idempotent."""
        self._ended.set()
        self._thread.join()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _work(self) -> None:
        while not self._ended.is_set():
            if self.is_mute:
                self._ended.wait(0.02)
            elif self._server.socket.poll(20):
                self._server.answer(self._answer)
        self._server.close()
        self._context.destroy(linger=0)

    def _answer(self, request: protocol.Request, _: protocol.Caller, role: str) -> protocol.Answer:
        match request:
            case protocol.GetSnapshot():
                self.asked_snapshots += 1
                return self.snapshot
            case protocol.GetHistory(topics=topics):
                self.asked_histories.append(topics)
                return protocol.Histories(topics=self.history.packed(topics))
            case protocol.GetLogs(after=after, limit=limit, job=name, level=level):
                if self.refusal_of_logs and name is not None:
                    return protocol.Refused(reason=self.refusal_of_logs)
                grades = getLevelNamesMapping()
                later = [
                    line
                    for line in self.lines
                    if line.number > after
                    and name in {None, line.job}
                    and grades[line.level] >= grades[level]
                ]
                return protocol.Logs(lines=later[-limit:] if after < 0 else later[:limit])
            case protocol.GetJobDetails(job=name):
                return self._details(name)
            case protocol.GetEvents(after=after):
                return protocol.Events(events=[one for one in self.events if one.number > after])
            case protocol.Leave():
                return protocol.Done()
            case _:
                return self._obey(request)

    def _obey(self, request: protocol.Request) -> protocol.Answer:
        match request:
            case protocol.CheckJob(job=name, text=text):
                return self._judge("check", name, text)
            case protocol.ReloadJob(job=name, text=text, before=before):
                self.reloads.append((name, text, before))
                return self._judge("reload", name, text or "")
            case protocol.AddJob(file=file, text=text):
                self.adds.append(request)
                return self._judge("add", file, text or "")
            case protocol.RestartJobs(jobs=names):
                return self._command("restart group", " ".join(names))
            case protocol.RestartJob(job=name):
                return self._command("restart", name)
            case protocol.StopJob(job=name):
                return self._command("stop", name)
            case protocol.StartJob(job=name):
                return self._command("start", name)
            case protocol.Shutdown():
                answer = self._command("shutdown", "")
                self.after_shutdown()
                return answer
            case _:
                return protocol.Refused(reason="not in the script")

    def _judge(self, what: str, name: str, text: str) -> protocol.Answer:
        """A file is wrong when it says so."""
        self.commands.append((what, name))
        if "wrong" in text:
            return protocol.Refused(reason=f"{name}.toml: rate: wrong\n{name}.toml: also wrong")
        return protocol.Done(text=f"{what} accepted")

    def _command(self, what: str, name: str) -> protocol.Answer:
        self.commands.append((what, name))
        if self.refusal:
            return protocol.Refused(reason=self.refusal)
        return protocol.Done(text=f"{what} accepted")

    def _details(self, name: str) -> protocol.Answer:
        for one in self.snapshot.jobs:
            if one.id == name:
                return protocol.JobDetails(
                    job=one,
                    config_file=f"configs/{name}.toml",
                    config_text=self.details_text,
                    file_has_changed=self.has_changed_file,
                    topics_in=["store.DAQJobStoreCSV"],
                    exits=[
                        protocol.ExitRecord(time=NOW - 600, reason="exit code 1", ran_seconds=77)
                    ],
                    last_errors=["ValueError: no answer from 10.0.0.7"],
                )
        return protocol.Refused(reason=f"no job is called {name}")
