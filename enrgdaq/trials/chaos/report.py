"""What a trial did and what it found, for people and for programs."""

import msgspec

from enrgdaq.display import table
from enrgdaq.trials.chaos.audit import Counted


class Deeds(msgspec.Struct, kw_only=True):
    """What was done, counted."""

    kills: dict[str, int] = {}
    """By what was killed: a job's id, ``broker`` ..., ``everything``, or ``at`` a fault point."""
    others: dict[str, int] = {}
    """Disturbances that kill nobody."""
    points: dict[str, int] = {}
    """By fault point: how often a process was caught there."""
    missed_points: list[str] = []
    """Aimed at, and not passed in time."""
    complaints: list[str] = []
    """What the system should have said or done, and did not."""

    @property
    def kill_count(self) -> int:
        """All kills; everything at once counts as one."""
        return sum(self.kills.values())

    def note(self, counts: dict[str, int], what: str) -> None:
        """Count one more."""
        counts[what] = counts.get(what, 0) + 1


class Report(msgspec.Struct, kw_only=True):
    """The result of a trial. Rows are counted once for each store that is owed them."""

    seed: int
    seconds: float
    nodes: int = 1
    full_disk: str
    """``tmpfs`` where it was a real one, ``played`` where it was an injected error, empty where
    there was none."""
    kills: int
    acknowledged: int
    lost: int
    duplicated: int
    out_of_order: int
    torn: int
    is_right: bool
    deeds: Deeds
    outputs: list[Counted]
    orphans: list[str]
    leftovers: list[str]
    kept_in: str = ""
    """Folder that was kept, because something is wrong or because it was asked for."""


def make_report(
    *,
    seed: int,
    seconds: float,
    full_disk: str,
    deeds: Deeds,
    outputs: list[Counted],
    orphans: list[str],
    leftovers: list[str],
    nodes: int = 1,
) -> Report:
    """Add everything up."""
    lost = sum(o.lost for o in outputs)
    duplicated = sum(o.duplicated for o in outputs)
    out_of_order = sum(o.out_of_order for o in outputs)
    torn = sum(o.torn for o in outputs)
    if not outputs:
        deeds.complaints.append("there was nothing to count")
    deeds.complaints += [
        f"{o.producer} had nothing acknowledged for {o.store}"
        for o in outputs
        if not o.acknowledged
    ]
    wrong = (lost, duplicated, out_of_order, torn, orphans, leftovers, deeds.complaints)
    return Report(
        seed=seed,
        seconds=round(seconds, 1),
        nodes=nodes,
        full_disk=full_disk,
        kills=deeds.kill_count,
        acknowledged=sum(o.acknowledged for o in outputs),
        lost=lost,
        duplicated=duplicated,
        out_of_order=out_of_order,
        torn=torn,
        is_right=not any(wrong),
        deeds=deeds,
        outputs=outputs,
        orphans=orphans,
        leftovers=leftovers,
    )


def report_lines(report: Report) -> list[str]:
    """The report for people."""
    deeds = report.deeds
    lines = [
        f"seed {report.seed}: {report.kills} kills in {report.seconds:.0f} s"
        + (f" of {report.nodes} nodes" if report.nodes > 1 else "")
        + (f", full disk: {report.full_disk}" if report.full_disk else ""),
        "",
        *table(
            [
                "STORE",
                "PRODUCER",
                "ACKNOWLEDGED",
                "FOUND",
                "LOST",
                "DUPLICATED",
                "OUT OF ORDER",
                "TORN",
            ],
            [
                [o.store, o.producer]
                + [str(n) for n in (o.acknowledged, o.found, o.lost, o.duplicated)]
                + [str(n) for n in (o.out_of_order, o.torn)]
                for o in report.outputs
            ],
        ),
        "",
        f"killed: {_counts(deeds.kills)}",
        f"done besides: {_counts(deeds.others)}",
        f"caught at fault points: {_counts(deeds.points)}",
    ]
    for title, found in (
        ("fault points not passed in time", deeds.missed_points),
        ("not said or done", deeds.complaints),
        ("processes left", report.orphans),
        ("files left", report.leftovers),
    ):
        if found:
            lines += [f"{title}:", *(f"  {entry}" for entry in found)]
    if report.kept_in:
        lines.append(f"kept for inspection: {report.kept_in}")
    verdict = "every acknowledged row is there once, in order" if report.is_right else "WRONG"
    return [*lines, "", verdict]


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{what} {n}" for what, n in sorted(counts.items())) or "nothing"
