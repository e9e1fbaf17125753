"""The ``enrgdaq`` command. Never loads Textual."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from enrgdaq import __version__, asking
from enrgdaq import set_aside as set_aside_command
from enrgdaq import verify as verify_command
from enrgdaq.control.attaching import add_attach_option, add_key_options
from enrgdaq.errors import ConfigurationError, ControlError, EnrgdaqError, NotRunningError
from enrgdaq.keys import command as keys_command
from enrgdaq.text import clean, clean_text
from enrgdaq.trials import bench_command
from enrgdaq.trials.chaos import command as chaos_command

if TYPE_CHECKING:
    pass

EXIT_WRONG_CONFIGURATION: Final = 2
EXIT_NOT_RUNNING: Final = 3
EXIT_REFUSED: Final = 4

_LINES_HELP: Final = f"how many (default: 50, at most {asking.MOST_LINES})"
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
    status = ask("status", asking.status, "show jobs, topics and rings of the running supervisor")
    status.add_argument("--json", action="store_true", help="one JSON object on one line")
    status.add_argument("--watch", action="store_true", help="again every second, until Ctrl-C")
    for name, command, text in (
        ("restart", asking.restart, "restart a job"),
        ("stop", asking.stop, "stop a job and leave it stopped"),
        ("start", asking.start, "start a job that is stopped or failed"),
    ):
        ask(name, command, text).add_argument("job", help="the job's id: its file without .toml")
    reload = ask(
        "reload", asking.reload, "restart a job with its file as it is now, if that is right"
    )
    reload.add_argument("job", help="the job's id: its file without .toml")
    more = ask("add", asking.add, "start a job from one more file, checked first")
    more.add_argument("file", type=Path, help="in the folder of configs, or copied there")
    events = ask("events", asking.events, "print who did what when: commands, crashes, alarms")
    events.add_argument("--lines", "-n", type=_count, default=50, help=_LINES_HELP)
    ask("shutdown", asking.shutdown, "stop acquisition in order and end the supervisor")
    logs = ask("logs", asking.logs, "print the newest log lines")
    logs.add_argument("job", nargs="?", help="only this job's lines")
    logs.add_argument("--follow", "-f", action="store_true", help="and those that come")
    logs.add_argument("--lines", "-n", type=_count, default=50, help=_LINES_HELP)
    metrics = ask("metrics", asking.metrics, "serve figures for Prometheus, until Ctrl-C")
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


def _keys(options: argparse.Namespace) -> int:
    for line in keys_command.run(options, asking.open_keys(options)):
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
