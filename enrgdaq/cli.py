"""The ``enrgdaq`` command. Never loads Textual."""

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from enrgdaq import __version__
from enrgdaq import set_aside as set_aside_command
from enrgdaq import verify as verify_command
from enrgdaq.control.attaching import add_attach_option, add_key_options, remote_address
from enrgdaq.control.client import ControlClient
from enrgdaq.errors import ConfigurationError, ControlError, EnrgdaqError, NotRunningError
from enrgdaq.keys import KeyFolder
from enrgdaq.keys import command as keys_command
from enrgdaq.text import clean, clean_text
from enrgdaq.trials import bench_command
from enrgdaq.trials.chaos import command as chaos_command

if TYPE_CHECKING:
    from enrgdaq.supervisor.places import Places

EXIT_WRONG_CONFIGURATION: Final = 2
EXIT_NOT_RUNNING: Final = 3
EXIT_REFUSED: Final = 4

_WAIT_SECONDS: Final = 20.0
_LINES_HELP: Final = "how many (default: 50, at most 5000)"
_FILES_HELP: Final = """\
files, all below the current directory unless supervisor.toml says otherwise (out_dir):
  out/stats.csv, out/stats_remote.csv   statistics, refreshed every second
  out/logs/ID.log, ID.audit.jsonl       log of all jobs; who did what when
  out/state/ID/                         rows that a dead store is still owed
  stores write below the out_dir of their own file, out/ by default
sockets and locks lie in $XDG_RUNTIME_DIR/enrgdaq/ID or /tmp/enrgdaq-UID-ID, data in flight
in /dev/shm/enrgdaq-UID-ID.

exit codes: 0 done, 1 error, 2 wrong configuration, 3 no supervisor runs here, 4 refused
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except ConfigurationError as error:
        _complain(str(error))
        return EXIT_WRONG_CONFIGURATION
    except NotRunningError as error:
        _complain(f"enrgdaq: {error}")
        return EXIT_NOT_RUNNING
    except ControlError as error:
        _complain(f"enrgdaq: {error}")
        return EXIT_REFUSED
    except EnrgdaqError as error:
        _complain(f"enrgdaq: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    except PermissionError as error:
        _complain(f"enrgdaq: {error.filename}: {error.strerror}")
        return 1
    except BrokenPipeError:
        # The reader of a pipe (head, less) had enough.
        sys.stderr.close()
        return 0


def _complain(text: str) -> None:
    print(clean_text(text), file=sys.stderr)


def run_foreground(config_path: Path, *, quiet: bool = False) -> int:
    """Run the supervisor here until SIGTERM or Ctrl-C; the exit code of the process."""
    from enrgdaq.supervisor.spawner import Spawner

    # The forkserver imports on one core while this process imports on the other.
    spawner = Spawner()
    from enrgdaq.supervisor.signals import run_until_signalled
    from enrgdaq.supervisor.supervisor import Supervisor

    return run_until_signalled(Supervisor(config_path, echo=not quiet, spawner=spawner))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="enrgdaq",
        description="Data acquisition: run jobs, look at them, command them.",
        epilog=_FILES_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"enrgdaq {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(
        name: str, run: Callable[[argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        _add_folder(command)
        command.set_defaults(run=run)
        return command

    def ask(
        name: str, run: Callable[[argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser:
        """A command to a running supervisor, here or elsewhere."""
        command = add(name, run, text)
        elsewhere = command.add_argument_group("a supervisor on another host")
        add_attach_option(elsewhere, "its address, see docs/many-machines.md (port: 1638)")
        add_key_options(elsewhere)
        return command

    run = add("run", _run, "start the supervisor here and log to stderr; Ctrl-C stops in order")
    run.add_argument("--quiet", action="store_true", help="log to the file only")
    add("check", _check, "check all configuration files and start nothing")
    status = ask("status", _status, "show jobs, topics and rings of the running supervisor")
    status.add_argument("--json", action="store_true", help="one JSON object on one line")
    status.add_argument("--watch", action="store_true", help="again every second, until Ctrl-C")
    for name, command, text in (
        ("restart", _restart, "restart a job"),
        ("stop", _stop, "stop a job and leave it stopped"),
        ("start", _start, "start a job that is stopped or failed"),
    ):
        ask(name, command, text).add_argument("job", help="the job's id: its file without .toml")
    reload = ask("reload", _reload, "restart a job with its file as it is now, if that is right")
    reload.add_argument("job", help="the job's id: its file without .toml")
    more = ask("add", _add, "start a job from one more file, checked first")
    more.add_argument("file", type=Path, help="in the folder of configs, or copied there")
    events = ask("events", _events, "print who did what when: commands, crashes, alarms")
    events.add_argument("--lines", "-n", type=_count, default=50, help=_LINES_HELP)
    ask("shutdown", _shutdown, "stop acquisition in order and end the supervisor")
    logs = ask("logs", _logs, "print the newest log lines")
    logs.add_argument("job", nargs="?", help="only this job's lines")
    logs.add_argument("--follow", "-f", action="store_true", help="and those that come")
    logs.add_argument("--lines", "-n", type=_count, default=50, help=_LINES_HELP)
    metrics = ask("metrics", _metrics, "serve figures for Prometheus, until Ctrl-C")
    metrics.add_argument("--host", default="127.0.0.1", help="to listen on (default: 127.0.0.1)")
    metrics.add_argument("--port", type=int, default=9638, help="(default: 9638)")
    types = add("job-types", _job_types, "list the job types, or explain the keys of one")
    types.add_argument(
        "name", nargs="?", help="a job type, or 'supervisor' for the keys of supervisor.toml"
    )
    types.add_argument("--toml", action="store_true", help="a commented file to start from")
    bench = commands.add_parser("bench", help=bench_command.HELP)
    bench_command.add_options(bench)
    bench.set_defaults(run=bench_command.run)
    chaos = commands.add_parser("chaos", help="break a real system and count its rows")
    chaos_command.add_options(chaos)
    chaos.set_defaults(run=chaos_command.run)
    keys = commands.add_parser(
        "keys",
        help="make keys for TCP, and say who may come in with which role",
        description=keys_command.HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for action in keys_command.add_options(keys):
        _add_folder(action)
        action.set_defaults(run=_keys)
    for of_files in (verify_command, set_aside_command):
        of_files.add_command(commands)
    rings = add("rings", _rings, "list ring files that a stopped supervisor left, or discard one")
    rings.add_argument("action", choices=["list", "discard"])
    rings.add_argument("file", nargs="?", type=Path, help="for discard: the file to remove")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of lines: give 1 or more")
    return int(text)


def _run(options: argparse.Namespace) -> int:
    return run_foreground(options.daq_job_config_path, quiet=options.quiet)


def _check(options: argparse.Namespace) -> int:
    from enrgdaq.display import counted
    from enrgdaq.supervisor.check import check_jobs
    from enrgdaq.supervisor.config import read_folder
    from enrgdaq.supervisor.spawner import Spawner

    folder = read_folder(options.daq_job_config_path)
    spawner = Spawner()
    try:
        facts = check_jobs(folder, spawner)
    finally:
        spawner.close()
    for warning in folder.warnings:
        _complain(f"warning: {warning}")
    for mistake in sorted(folder.mistakes):
        _complain(str(mistake))
    if folder.mistakes:
        return EXIT_WRONG_CONFIGURATION
    print(f"{options.daq_job_config_path}: {counted(len(facts), 'job')}, no mistakes")
    return 0


def _client(options: argparse.Namespace) -> ControlClient:
    """The running supervisor. Raises :class:`NotRunningError` when there is none."""
    from enrgdaq.supervisor.background import find_running

    remote = remote_address(options, lambda: _open_keys(options))
    if remote is not None:
        return ControlClient(remote, program="enrgdaq")
    found = find_running(options.daq_job_config_path)
    if found is None:
        raise NotRunningError(
            f"no supervisor of {options.daq_job_config_path} is running; start one with"
            " 'enrgdaq run' or 'enrgdaq-console'"
        )
    return ControlClient(found.socket_path, program="enrgdaq")


def _status(options: argparse.Namespace) -> int:
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


def _restart(options: argparse.Namespace) -> int:
    with _client(options) as client:
        before = _life(client, options.job)
        print(clean_text(client.restart(options.job)))
        return _wait(client, options.job, lambda s, life: s == "running" and life > before)


def _stop(options: argparse.Namespace) -> int:
    with _client(options) as client:
        print(clean_text(client.stop(options.job)))
        return _wait(client, options.job, lambda state, life: state == "stopped")


def _start(options: argparse.Namespace) -> int:
    with _client(options) as client:
        before = _life(client, options.job)
        print(clean_text(client.start(options.job)))
        # A job that is quickly done, such as a replay, may have stopped again already.
        return _wait(
            client,
            options.job,
            lambda state, life: state == "running" or (state == "stopped" and life > before),
        )


def _reload(options: argparse.Namespace) -> int:
    with _client(options) as client:
        before = _life(client, options.job)
        print(clean_text(client.reload(options.job)))
        return _wait(client, options.job, lambda s, life: s == "running" and life > before)


def _add(options: argparse.Namespace) -> int:
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


def _events(options: argparse.Namespace) -> int:
    from enrgdaq.display import event_text

    limit = min(options.lines, 5000)
    try:
        client = _client(options)
    except NotRunningError as error:
        from enrgdaq.supervisor.audit import read_events

        file = _last_run(options).audit_file
        for event in read_events(file)[-limit:]:
            print(event_text(event))
        raise _with_last(error, "events", file) from error
    with client:
        for event in client.events(limit=limit).events:
            print(event_text(event))
    return 0


def _last_run(options: argparse.Namespace) -> "Places":
    from enrgdaq.supervisor.config import supervisor_of
    from enrgdaq.supervisor.places import known_places

    return known_places(supervisor_of(options.daq_job_config_path))


def _with_last(error: NotRunningError, what: str, file: Path) -> NotRunningError:
    """The error with the file that the last run left; what is in it was shown before."""
    sys.stdout.flush()
    return NotRunningError(f"{error}; its last {what}: {file}") if file.exists() else error


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


def _shutdown(options: argparse.Namespace) -> int:
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


def _logs(options: argparse.Namespace) -> int:
    from enrgdaq.supervisor.logs import format_line, last_lines

    limit = min(options.lines, 5000)
    try:
        client = _client(options)
    except NotRunningError as error:
        file = _last_run(options).log_file
        with contextlib.suppress(FileNotFoundError):
            for text in last_lines(file, limit, options.job):
                print(clean(text))
        raise _with_last(error, "log", file) from error
    with client:
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
            answer = client.logs(after=last, limit=5000, job=options.job)


def _metrics(options: argparse.Namespace) -> int:
    from enrgdaq.metrics.serve import MetricsServer

    with _client(options) as client:
        server = MetricsServer(client, options.host, options.port)
        print(f"serving {server.url}", flush=True)
        server.wait()
    return 0


def _job_types(options: argparse.Namespace) -> int:
    from enrgdaq import explanations
    from enrgdaq.daq.registry import Registry, load_class

    if options.name == "supervisor":
        explain = explanations.supervisor_template if options.toml else explanations.supervisor_text
        print(explain())
        return 0
    registry = Registry(options.daq_job_config_path / "jobs")
    if options.name is None:
        for name in registry.names():
            try:
                about = (load_class(registry.find(name)).__doc__ or "").strip()
            except Exception as error:  # noqa: BLE001 - user code may raise anything on import
                about = f"cannot be used: {error}"
            first, _, _ = about.partition("\n")
            print(clean(f"{name:<26} {first}"))
        return 0
    job_class = load_class(registry.find(options.name))
    text = explanations.job_type_template if options.toml else explanations.job_type_text
    print(text(options.name, job_class))
    return 0


def _add_folder(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--daq-job-config-path",
        type=Path,
        default=Path("configs"),
        metavar="DIR",
        help="folder with supervisor.toml and one TOML file per job (default: configs)",
    )


def _open_keys(options: argparse.Namespace) -> KeyFolder:
    from enrgdaq.supervisor.config import supervisor_of
    from enrgdaq.supervisor.exposure import keys_of

    config: Path = options.daq_job_config_path
    return keys_of(config, supervisor_of(config))


def _keys(options: argparse.Namespace) -> int:
    for line in keys_command.run(options, _open_keys(options)):
        print(line)
    return 0


def _rings(options: argparse.Namespace) -> int:
    from enrgdaq.display import counted, ring_text
    from enrgdaq.supervisor.background import find_running
    from enrgdaq.supervisor.config import supervisor_of
    from enrgdaq.supervisor.places import known_places
    from enrgdaq.supervisor.ring_files import left_behind

    if find_running(options.daq_job_config_path) is not None:
        raise ControlError("the supervisor is running; its rings are shown by 'enrgdaq status'")
    files = left_behind(known_places(supervisor_of(options.daq_job_config_path)))
    if options.action == "list":
        for path in files:
            print(ring_text(path))
        print(counted(len(files), "ring file"))
        return 0
    if options.file is None:
        raise ConfigurationError("name the file to discard; 'enrgdaq rings list' shows them")
    for path in files:
        if path.resolve() == options.file.resolve():
            path.unlink()
            print(f"discarded {path}")
            return 0
    raise ConfigurationError(
        f"{options.file}: not one of the files that 'enrgdaq rings list' shows"
    )
