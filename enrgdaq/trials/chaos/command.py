"""``enrgdaq chaos`` on the command line. Loads the trial only when it is run."""

import argparse
import random
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from enrgdaq.errors import ConfigurationError
from enrgdaq.transport.faults import POINTS

if TYPE_CHECKING:
    from enrgdaq.trials.chaos.report import Report

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

With --nodes it starts a hub and spokes on this host: producers on the spokes, stores on the
hub, and from three nodes on a CSV store on the last spoke, which is sent what all send.
Supervisors, links' jobs, stores and producers are killed. Links go over TCP lines of the
trial's own, which are cut, refuse and stall for random times; a killed supervisor is started
again after such a time. --engine nats links them over a cluster of three NATS servers of the
trial's own, which are killed, frozen and stopped as well, so that streams change their leaders.

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
  enrgdaq chaos --nodes 3 --events 40        a hub and two spokes
  enrgdaq chaos --nodes 3 --minutes 20 --longest-outage 60
  enrgdaq chaos --nodes 3 --engine nats --events 40
"""
_DEFAULT_MINUTES: Final = 2.0
_MOST_MINUTES_FOR_KILLS: Final = 60.0
_LONGEST_OUTAGE_SECONDS: Final = 10.0
_MOST_NODES: Final = 20


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
    parser.add_argument(
        "--nodes", type=_nodes, metavar="N", help="a hub and N - 1 spokes instead of one node"
    )
    parser.add_argument(
        "--engine",
        choices=("zmq", "nats"),
        help="with --nodes: what carries the links; nats starts a cluster of three nats-server"
        " (default: zmq)",
    )
    parser.add_argument(
        "--events",
        type=int,
        metavar="N",
        help="with --nodes: end after so many disturbances",
    )
    parser.add_argument(
        "--longest-outage",
        type=_positive,
        metavar="SECONDS",
        help="with --nodes: links are out of order and supervisors down for at most so long"
        f" (default: {_LONGEST_OUTAGE_SECONDS:g})",
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
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    import msgspec

    from enrgdaq.trials.bench import say_on_terminal
    from enrgdaq.trials.chaos.report import report_lines

    report = (_try_one if options.nodes is None else _try_nodes)(options, say_on_terminal)
    say_on_terminal("")
    say_on_terminal("\r")
    if options.json:
        _print(msgspec.json.encode(report).decode())
    else:
        _print("\n".join(report_lines(report)))
    return 0 if report.is_right else 1


def _try_one(options: argparse.Namespace, say: Callable[[str], None]) -> "Report":
    from enrgdaq.trials.chaos.system import usable_stores
    from enrgdaq.trials.chaos.trial import TrialPlan, run_trial

    for option in ("engine", "events", "longest_outage"):
        if getattr(options, option) is not None:
            raise ConfigurationError(f"--{option.replace('_', '-')}: only with --nodes N")
    asked = TrialPlan(
        seed=_seed(options),
        minutes=_minutes(options, is_counted=options.kills is not None),
        stores=usable_stores(options.stores),
        kills=options.kills,
        keep=options.keep,
        may_mount=not options.no_mounts,
    )
    return run_trial(asked, say)


def _try_nodes(options: argparse.Namespace, say: Callable[[str], None]) -> "Report":
    from enrgdaq.trials.chaos.nats_servers import PrivateNats
    from enrgdaq.trials.chaos.nodes.trial import NodesPlan, run_nodes_trial
    from enrgdaq.trials.chaos.system import usable_stores

    if options.engine == "nats" and (lack := PrivateNats.missing()):
        raise ConfigurationError(f"--engine nats cannot run here: {lack}")

    is_counted = options.kills is not None or options.events is not None
    asked = NodesPlan(
        seed=_seed(options),
        minutes=_minutes(options, is_counted=is_counted),
        stores=usable_stores(options.stores),
        nodes=options.nodes,
        longest_seconds=options.longest_outage or _LONGEST_OUTAGE_SECONDS,
        events=options.events,
        kills=options.kills,
        keep=options.keep,
        engine=options.engine or "zmq",
    )
    return run_nodes_trial(asked, say)


def _seed(options: argparse.Namespace) -> int:
    if options.seed is None:
        return random.SystemRandom().randrange(1 << 31)
    return int(options.seed)


def _minutes(options: argparse.Namespace, *, is_counted: bool) -> float:
    default = _MOST_MINUTES_FOR_KILLS if is_counted else _DEFAULT_MINUTES
    return float(options.minutes or default)


def _print(text: str) -> None:
    print(text)  # noqa: T201 - this is the command's output


def _nodes(text: str) -> int:
    value = int(text)
    if not 2 <= value <= _MOST_NODES:
        raise argparse.ArgumentTypeError(f"{text} is not from 2 to {_MOST_NODES}")
    return value


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0")
    return value
