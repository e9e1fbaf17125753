"""``enrgdaq bench`` on the command line. Loads the measurement only when it is run."""

import argparse
from typing import Final

_SIZES: Final = (1_600, 160_000, 8_000_000)
_ROW_BYTES: Final = 16
HELP: Final = "measure how fast the real system is on this machine"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options and help."""
    parser.description = HELP[0].upper() + HELP[1:] + "."
    parser.add_argument(
        "--payload-bytes",
        type=int,
        nargs="+",
        metavar="N",
        help="message sizes (default: 1600 160000 8000000; rows have theirs)",
    )
    parser.add_argument("--lane", choices=["arrow", "raw", "rows"], default="arrow")
    parser.add_argument("--producers", type=int, default=1)
    parser.add_argument("--consumers", type=int, default=1)
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="sending time of each (default: 5)"
    )
    parser.add_argument(
        "--rate", type=float, default=0.0, help="messages per second of a producer; 0: all it can"
    )
    parser.add_argument(
        "--hand-in",
        choices=["publish", "many", "gather", "reserve"],
        default="publish",
        help="how the producer hands in: message by message; many at once (raw); rows that are"
        " gathered (rows); filled in the ring itself (arrow)",
    )
    parser.add_argument(
        "--store",
        choices=["memory", "csv", "hdf5", "root", "raw"],
        default="memory",
        help="memory: a reader that checks every word; the others write files, which are read"
        " back and compared with their library used alone",
    )
    parser.add_argument(
        "--ring-mb",
        type=int,
        default=0,
        metavar="N",
        help="size of each producer's ring, MiB (default: twice the payload, at least 16)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(options: argparse.Namespace) -> int:
    """Measure; 1 if anything was lost, doubled or changed on its way."""
    from enrgdaq.trials.bench import BenchPlan, as_json, measure, say_on_terminal, table_lines

    results = []
    sizes = options.payload_bytes or ([_ROW_BYTES] if options.lane == "rows" else _SIZES)
    for payload_bytes in sizes:
        plan = BenchPlan(
            payload_bytes=payload_bytes,
            lane=options.lane,
            producers=options.producers,
            consumers=options.consumers,
            seconds=options.seconds,
            rate=options.rate,
            hand_in=options.hand_in,
            store=options.store,
            ring_size_mb=options.ring_mb,
        )
        results.append(measure(plan, say_on_terminal))
        if options.json:
            print(as_json(results[-1]), flush=True)
    say_on_terminal("")
    if not options.json:
        say_on_terminal("\r")
        print("\n".join(table_lines(results)))
    wrong = sum(r.lost + r.duplicated + r.out_of_order + r.corrupted for r in results)
    return 1 if wrong else 0
