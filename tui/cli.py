"""The `enrgdaq-console` command.

Nothing of Textual is imported here: the supervisor is started, or found, before that and before
any thread; without an interface Textual is never imported.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import enrgdaq
from enrgdaq.control.attaching import add_attach_option, add_key_options, remote_address
from enrgdaq.errors import ConfigurationError, EnrgdaqError, NotRunningError
from enrgdaq.text import clean_text

if TYPE_CHECKING:
    from enrgdaq.control.address import RemoteAddress
    from enrgdaq.keys import KeyFolder

DEFAULT_CONFIGS = Path("configs/")

OK, FAILED, BAD_CONFIGURATION, NOT_RUNNING = 0, 1, 2, 3

EPILOG = """\
The supervisor runs in a process of its own. Leaving the console may stop acquisition or leave it
running; a lost connection leaves it running. The next enrgdaq-console attaches to it again.

exit status: 0 as asked, 1 failed, 2 mistakes in the configuration or on the command line,
3 nothing to attach to
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(argv)
    config: Path = options.daq_job_config_path
    try:
        if options.no_ui:
            return _headless(config)
        if options.export_svg is None and not _has_terminal():
            if options.attach is not None or options.readonly:
                _complain("the interface needs a terminal, and there is none to attach from")
                return BAD_CONFIGURATION
            _complain("no terminal: acquisition runs without the interface")
            return _headless(config)
        return _console(options, config)
    except ConfigurationError as error:
        _complain(str(error))
        return BAD_CONFIGURATION
    except EnrgdaqError as error:
        _complain(str(error))
        return FAILED


def _has_terminal() -> bool:
    # Textual reads keys from stdin and draws on stderr.
    return sys.stdin.isatty() and sys.stderr.isatty()


def _headless(config: Path) -> int:
    from enrgdaq.cli import run_foreground

    return run_foreground(config)


def _console(options: argparse.Namespace, config: Path) -> int:
    from enrgdaq.supervisor.background import ensure_running, find_running

    remote = remote_address(options, lambda: _open_keys(config))
    if remote is not None:
        return _remote_console(options, remote)
    if options.attach is not None or options.readonly:
        attachment = find_running(config)
        if attachment is None:
            _complain(f"no supervisor runs for {config}: nothing to attach to")
            return NOT_RUNNING
    else:
        attachment = ensure_running(config, meanwhile=_load_interface)

    from tui import session

    if options.export_svg is not None:
        session.export_svg(
            attachment.socket_path,
            options.export_svg,
            seconds=options.export_after,
            refresh_seconds=options.refresh_seconds,
        )
        return OK
    ending = session.run(
        attachment.socket_path,
        readonly=options.readonly,
        own_pid=attachment.pid if attachment.started else None,
        refresh_seconds=options.refresh_seconds,
        theme=options.theme,
    )
    print(_farewell(ending.outcome.value, ending.supervisor, config, attachment.log_path))
    return ending.code


def _open_keys(config: Path) -> "KeyFolder":
    from enrgdaq.supervisor.config import supervisor_of
    from enrgdaq.supervisor.exposure import keys_of

    return keys_of(config, supervisor_of(config))


def _remote_console(options: argparse.Namespace, address: "RemoteAddress") -> int:
    from enrgdaq.control.client import ControlClient

    # Before the interface: a refusal is better read on the plain terminal.
    try:
        with ControlClient(address, program="attach") as client:
            name = client.snapshot().supervisor.id
    except NotRunningError as error:
        _complain(str(error))
        return NOT_RUNNING

    from tui import session

    ending = session.run(
        address,
        readonly=options.readonly,
        own_pid=None,
        refresh_seconds=options.refresh_seconds,
        theme=options.theme,
    )
    print(f"Left {ending.supervisor or name} at {address}: {ending.outcome.value}.")
    return ending.code


def _load_interface() -> None:
    # Takes as long as the supervisor takes to come up.
    import tui.session  # noqa: F401


def _farewell(outcome: str, supervisor: str, config: Path, log_path: Path) -> str:
    again = "enrgdaq-console"
    if config != DEFAULT_CONFIGS:
        again += f" --daq-job-config-path {config}"
    name = f" of {supervisor}" if supervisor else ""
    return {
        "detached": f"Acquisition{name} goes on. Come back with: {again}",
        "stopped": f"Acquisition{name} has stopped.",
        "still stopping": f"Acquisition{name} is still stopping; its log: {log_path}",
        "gone": f"The supervisor{name} does not run any more; its log: {log_path}",
    }[outcome]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="enrgdaq-console",
        description="Start data acquisition, or attach to it, and watch it in the terminal.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--daq-job-config-path",
        metavar="DIR",
        type=Path,
        default=DEFAULT_CONFIGS,
        help="folder with supervisor.toml and one TOML file per job (default: configs/)",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--no-ui",
        action="store_true",
        help="run acquisition in the foreground, without the interface",
    )
    add_attach_option(
        how,
        "only attach to acquisition that runs, here or at an address (port: 1638); start nothing",
        bare=True,
    )
    add_key_options(parser)
    parser.add_argument(
        "--readonly",
        action="store_true",
        help="watch only: implies --attach, and no key changes anything",
    )
    parser.add_argument(
        "--refresh-seconds",
        metavar="SECONDS",
        type=_refresh,
        default=0.5,
        help="how often to ask for news, 0.1 to 60 (default: 0.5)",
    )
    parser.add_argument(
        "--theme",
        choices=("dark", "light"),
        help="colours for a dark or a light terminal (default: as it was last, at first dark)",
    )
    parser.add_argument("--version", action="version", version=f"ENRGDAQ {enrgdaq.__version__}")
    parser.add_argument("--export-svg", metavar="FILE", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--export-after", type=float, default=5.0, help=argparse.SUPPRESS)
    return parser


def _refresh(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 60:
        raise argparse.ArgumentTypeError(f"{text}: give seconds between 0.1 and 60")
    return seconds


def _complain(text: str) -> None:
    print(clean_text(f"enrgdaq-console: {text}"), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
