"""Commands to a running supervisor, here or on another host; each returns its exit code."""

import argparse
import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from enrgdaq.control.attaching import remote_address
from enrgdaq.control.client import ControlClient
from enrgdaq.errors import ConfigurationError, ControlError, NotRunningError
from enrgdaq.keys import KeyFolder
from enrgdaq.text import clean, clean_text

if TYPE_CHECKING:
    from enrgdaq.supervisor.places import Places

MOST_LINES: Final = 5_000
_WAIT_SECONDS: Final = 20.0


def _client(options: argparse.Namespace) -> ControlClient:
    """The running supervisor. Raises :class:`NotRunningError` when there is none."""
    from enrgdaq.supervisor.background import find_running

    remote = remote_address(options, lambda: open_keys(options))
    if remote is not None:
        return ControlClient(remote, program="enrgdaq")
    found = find_running(options.daq_job_config_path)
    if found is None:
        raise NotRunningError(
            f"no supervisor of {options.daq_job_config_path} is running; start one with"
            " 'enrgdaq run' or 'enrgdaq-console'"
        )
    return ControlClient(found.socket_path, program="enrgdaq")


def status(options: argparse.Namespace) -> int:
    """What runs, once or every second."""
    from enrgdaq.display import status_text

    with _client(options) as client:
        while True:
            snapshot = client.snapshot()
            if options.json:
                print(msgspec.json.encode(_plain(snapshot)).decode(), flush=True)
            else:
                if options.watch and sys.stdout.isatty():
                    print("\x1b[H\x1b[2J", end="")
                print(status_text(snapshot), flush=True)
            if not options.watch:
                return 0
            time.sleep(1.0)


def _plain(snapshot: msgspec.Struct) -> dict[str, object]:
    found: dict[str, object] = msgspec.to_builtins(snapshot)
    found.pop("type", None)
    return found


def restart(options: argparse.Namespace) -> int:
    """Restart a job, and wait until it runs."""
    with _client(options) as client:
        before = _life(client, options.job)
        print(clean_text(client.restart(options.job)))
        return _wait(client, options.job, lambda s, life: s == "running" and life > before)


def stop(options: argparse.Namespace) -> int:
    """Stop a job, and wait until it has."""
    with _client(options) as client:
        print(clean_text(client.stop(options.job)))
        return _wait(client, options.job, lambda state, life: state == "stopped")


def start(options: argparse.Namespace) -> int:
    """Start a job, and wait until it runs or is done."""
    with _client(options) as client:
        before = _life(client, options.job)
        print(clean_text(client.start(options.job)))
        # A job that is quickly done, such as a replay, may have stopped again already.
        return _wait(
            client,
            options.job,
            lambda state, life: state == "running" or (state == "stopped" and life > before),
        )


def reload(options: argparse.Namespace) -> int:
    """Restart a job with its file as it is now."""
    with _client(options) as client:
        before = _life(client, options.job)
        print(clean_text(client.reload(options.job)))
        return _wait(client, options.job, lambda s, life: s == "running" and life > before)


def add(options: argparse.Namespace) -> int:
    """Start a job from one more file."""
    file: Path = options.file
    with _client(options) as client:
        known = {job.id for job in client.snapshot().jobs}
        folder = Path(client.snapshot().supervisor.config_path)
        try:
            # One that lies elsewhere is sent along, and written once it was found to be right.
            is_here = not options.attach and file.resolve().parent == folder
            is_elsewhere = file.exists() and not is_here
            text = file.read_bytes().decode("utf-8-sig") if is_elsewhere else None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{file}: cannot be read: {error}") from error
        if text is None and not is_here and str(file) != file.name:
            raise ConfigurationError(f"{file}: no such file")
        print(clean_text(client.add(file.name, text=text, origin=str(file))))
        name = next(job.id for job in client.snapshot().jobs if job.id not in known)
        return _wait(client, name, lambda state, _: state in ("running", "stopped"))


def events(options: argparse.Namespace) -> int:
    """Who did what when; what the last run noted when none runs."""
    from enrgdaq.display import event_text

    limit = min(options.lines, MOST_LINES)

    def show_last(places: "Places") -> Path:
        from enrgdaq.supervisor.audit import read_events

        for event in read_events(places.audit_file)[-limit:]:
            print(event_text(event))
        return places.audit_file

    with _client_or_last(options, "events", show_last) as client:
        for event in client.events(limit=limit).events:
            print(event_text(event))
    return 0


def _client_or_last(
    options: argparse.Namespace, what: str, show_last: "Callable[[Places], Path]"
) -> ControlClient:
    """The running supervisor. Where there is none, what the last one left is shown before the
    error; ``show_last`` returns the file that it is in."""
    try:
        return _client(options)
    except NotRunningError as error:
        from enrgdaq.supervisor.config import supervisor_of
        from enrgdaq.supervisor.places import known_places

        file = show_last(known_places(supervisor_of(options.daq_job_config_path)))
        sys.stdout.flush()
        if not file.exists():
            raise
        raise NotRunningError(f"{error}; its last {what}: {file}") from error


def _life(client: ControlClient, job: str) -> int:
    return next((j.restarts for j in client.snapshot().jobs if j.id == job), -1)


def _wait(client: ControlClient, job: str, is_there: Callable[[str, int], bool]) -> int:
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        status = next(j for j in client.snapshot().jobs if j.id == job)
        if is_there(status.state, status.restarts):
            reason = f" ({status.exit_reason})" if status.state == "stopped" else ""
            print(clean(f"{job} is {status.state}{reason}"))
            return 0
        time.sleep(0.05)
    print(f"{job} is {status.state} after {_WAIT_SECONDS:g} s", file=sys.stderr)
    return 1


def shutdown(options: argparse.Namespace) -> int:
    """Stop acquisition, and wait until the supervisor has ended."""
    from enrgdaq.supervisor.background import find_running

    with _client(options) as client:
        print(clean_text(client.shutdown()))
        address = client.address
        if isinstance(address, Path):
            # Its lock is the last thing that a supervisor gives back.
            lock = address.with_name("supervisor.lock")

        def has_ended() -> bool:
            try:
                if isinstance(address, Path):
                    return find_running(options.daq_job_config_path) is None and not lock.exists()
                client.snapshot()
            except NotRunningError:
                return True
            except ControlError:
                # It closes its socket at this very moment; look again.
                return False
            return False

        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if has_ended():
                print("stopped")
                return 0
            time.sleep(0.05)
    print("still stopping after 60 s", file=sys.stderr)
    return 1


def logs(options: argparse.Namespace) -> int:
    """The newest lines; those of the last run when none runs."""
    from enrgdaq.supervisor.logs import format_line, last_lines

    limit = min(options.lines, MOST_LINES)

    def show_last(places: "Places") -> Path:
        with contextlib.suppress(FileNotFoundError):
            for text in last_lines(places.log_file, limit, options.job):
                print(clean(text))
        return places.log_file

    with _client_or_last(options, "log", show_last) as client:
        answer = client.logs(limit=limit, job=options.job)
        last = 0
        while True:
            if answer.missed:
                print(f"... {answer.missed} lines are only in the log file ...")
            for line in answer.lines:
                print(clean(format_line(line)), flush=True)
                last = line.number
            if not options.follow:
                return 0
            time.sleep(0.25)
            answer = client.logs(after=last, limit=MOST_LINES, job=options.job)


def metrics(options: argparse.Namespace) -> int:
    """Serve figures for Prometheus."""
    from enrgdaq.metrics.serve import MetricsServer

    with _client(options) as client:
        server = MetricsServer(client, options.host, options.port)
        print(f"serving {server.url}", flush=True)
        server.wait()
    return 0


def open_keys(options: argparse.Namespace) -> KeyFolder:
    """The keys of the folder of configs."""
    from enrgdaq.supervisor.config import supervisor_of
    from enrgdaq.supervisor.exposure import keys_of

    config: Path = options.daq_job_config_path
    return keys_of(config, supervisor_of(config))
