"""``enrgdaq chaos`` on the command line. Loads the trial only when it is run."""

import argparse
import random
import signal
from typing import Final

from enrgdaq.transport.faults import POINTS

_DESCRIPTION: Final = """\
Break a real system in a scratch folder, then read its files back and count every row.

Producers number each row, and note how many they had handed over when publish returned.
Jobs, broker, forkserver and supervisor are killed (SIGKILL), frozen (SIGSTOP) and restarted
at random moments, some of them aimed at the worst ones ("fault points"); the disk and
/dev/shm are full for a while, a store is a thousand times too slow, a clock goes back an
hour. For MySQL and Redis it starts servers of its own (mariadbd, redis-server), which are
killed, frozen and stopped, and their connections cut or robbed of the answer to a commit.
At the end each row must be in each store once: an acknowledged one that is missing is lost,
one that is there again is duplicated, and half a row is torn.

Nothing of the running acquisition is touched: signals go only to processes that this trial
has started, and no server is used but its own. The output lies in memory where the disk is
really made full (as root), about 60 MB a minute.
"""
_EPILOG: Final = """\
Ctrl-C ends the disturbances; what there is by then is counted.

exit code: 0 when lost, duplicated, out_of_order and torn are all 0, nothing is left behind and
the system said and did what it should; 1 otherwise, and the folder is kept.

examples:
  enrgdaq chaos                              two minutes
  enrgdaq chaos --kills 200 --seed 7         until 200 kills, always the same ones
  enrgdaq chaos --minutes 0.5 --stores csv --json
"""
_DEFAULT_MINUTES: Final = 2.0
_MOST_MINUTES_FOR_KILLS: Final = 60.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options and help."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--minutes",
        type=_positive,
        metavar="N",
        help=f"disturb for so long, fractions too (default: {_DEFAULT_MINUTES:g});"
        " with --kills: at most so long",
    )
    parser.add_argument("--seed", type=int, help="of the plan (default: a random one, shown)")
    parser.add_argument(
        "--kills",
        type=int,
        metavar="N",
        help="end after so many kills, when each fault point has had its turn",
    )
    parser.add_argument(
        "--stores",
        type=lambda text: text.split(","),
        metavar="A,B",
        help="which stores (default: all that have what they need on this host)",
    )
    parser.add_argument(
        "--no-mounts",
        action="store_true",
        help="play the errors of a full disk also where a small one could be mounted (as root)",
    )
    parser.add_argument("--keep", action="store_true", help="keep the folder though all is well")
    parser.add_argument("--json", action="store_true", help="one JSON object on one line")
    parser.add_argument("--list", action="store_true", help="explain the fault points and end")


def run(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    if options.list:
        width = max(len(name) for name in POINTS)
        _print("\n".join(f"{name:<{width}}  {text}" for name, text in POINTS.items()))
        return 0
    for number in (signal.SIGTERM, signal.SIGHUP):
        # As Ctrl-C: the trial's processes and mounts are not to outlive it.
        signal.signal(number, signal.default_int_handler)
    import msgspec

    from enrgdaq.trials.bench import say_on_terminal
    from enrgdaq.trials.chaos.report import report_lines
    from enrgdaq.trials.chaos.system import usable_stores
    from enrgdaq.trials.chaos.trial import TrialPlan, run_trial

    most = _DEFAULT_MINUTES if options.kills is None else _MOST_MINUTES_FOR_KILLS
    asked = TrialPlan(
        seed=random.SystemRandom().randrange(1 << 31) if options.seed is None else options.seed,
        minutes=options.minutes or most,
        stores=usable_stores(options.stores),
        kills=options.kills,
        keep=options.keep,
        may_mount=not options.no_mounts,
    )
    report = run_trial(asked, say_on_terminal)
    say_on_terminal("")
    say_on_terminal("\r")
    if options.json:
        _print(msgspec.json.encode(report).decode())
    else:
        _print("\n".join(report_lines(report)))
    return 0 if report.is_right else 1


def _print(text: str) -> None:
    print(text)  # noqa: T201 - this is the command's output


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0")
    return value
