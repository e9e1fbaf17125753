"""All about one job."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from enrgdaq.control.protocol import JobDetails
from enrgdaq.control.status import JobStatus, RingStatus
from tui import formats
from tui.commands import key_bar
from tui.model import Model
from tui.widgets.header import HeaderBand
from tui.widgets.job_cells import state_of
from tui.widgets.keybar import KeyBar
from tui.widgets.line_view import Line, Span
from tui.widgets.page import Page

KEYS_HERE = {"restart", "stop/start", "edit file", "detach", "help"}


class DetailsScreen(Screen[None]):
    """Kept up to date while it is open; commands here are about this job."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,backspace", "back", show=False),
    ]

    def __init__(self, model: Model, job: str) -> None:
        super().__init__()
        self._model = model
        self.job = job
        self._page = Page(model, job)

    def compose(self) -> ComposeResult:
        """Band, page, keys."""
        yield HeaderBand(self._model)
        yield self._page
        keys = [pair for pair in key_bar(readonly=self._model.readonly) if pair[1] in KEYS_HERE]
        yield KeyBar(self._model, [("esc", "back"), ("j k", "scroll"), *keys])

    def on_mount(self) -> None:
        """Show what is known already."""
        self._page.focus()
        self.show()

    def show(self) -> None:
        """Bring the page up to date."""
        details = self._model.details
        job = self._model.job(self.job)
        if details is not None and details.job.id == self.job:
            content = _of_job(job or details.job) + _of_past(details) + self._of_rings()
            self._page.show(content, beside=_of_file(details))
            return
        content = _of_job(job) if job else [Line([Span(" no such job", "bad")])]
        if self._model.details_error:
            content += [Line(), Line([Span(f" {self._model.details_error}", "bad")])]
        self._page.show(content)

    def _of_rings(self) -> list[Line]:
        snapshot = self._model.snapshot
        rings = snapshot.rings if snapshot is not None else []
        lines = [line for ring in rings for line in _of_ring(ring, self.job)]
        return [Line(), _heading("Rings"), *(lines or [Line([Span("   none", "dim")])])]

    def action_back(self) -> None:
        """To the panels."""
        self.dismiss(None)


def _of_job(job: JobStatus) -> list[Line]:
    _, word, look = state_of(job)
    rate_in = f"{formats.number(job.rate_in)} msg/s  {formats.size(job.rate_bytes_in)}/s"
    rate_out = f"{formats.number(job.rate_out)} msg/s  {formats.size(job.rate_bytes_out)}/s"
    latency = (
        f"{job.latency_avg_ms:.2f} ms   95 %: {job.latency_p95_ms:.2f} ms"
        f"   99 %: {job.latency_p99_ms:.2f} ms"
    )
    lines = [
        _fact("state", word, look),
        _fact("type", f"{job.type}  ({job.kind})"),
        _fact("process", f"{job.pid}" if job.pid is not None else "none"),
    ]
    if job.condition:
        lines.append(_fact("condition", job.condition, "warn"))
    if job.exit_reason:
        lines.append(_fact("last exit", job.exit_reason, "warn"))
    if job.next_start_seconds is not None:
        lines.append(_fact("next start", f"in {formats.span(job.next_start_seconds)}"))
    lines += [
        _fact("restarts", str(job.restarts), "warn" if job.restarts else "plain"),
        _fact("in", f"{rate_in}   {job.messages_in} messages, {formats.size(job.bytes_in)}"),
        _fact("out", f"{rate_out}   {job.messages_out} messages, {formats.size(job.bytes_out)}"),
        _fact("last message", formats.age(job.age_seconds)),
        _fact("latency", latency),
        _fact("waits for it", formats.size(job.queued_bytes)),
        _fact("in its spool", formats.size(job.spool_bytes)),
        _fact("backpressure", f"{formats.number(job.backpressure_seconds)} s"),
        _fact("lost", str(job.lost), "bad" if job.lost else "plain"),
        _fact("no consumer", f"{job.unrouted} messages", "warn" if job.unrouted else "plain"),
    ]
    if job.telemetry_dropped:
        lines.append(_fact("telemetry", f"{job.telemetry_dropped} messages dropped", "warn"))
    memory = f"{job.rss_mb:.0f} MB, {job.private_mb:.0f} MB its own"
    lines.append(_fact("uses", f"{job.cpu_percent:.0f} % CPU   {memory}"))
    return lines


def _of_ring(ring: RingStatus, job: str) -> list[Line]:
    """The ring that a job writes with all who read it, or its own place in another's."""
    age = " (of an earlier run)" if ring.is_old else ""
    if ring.producer == job:
        head = f"   writes {formats.size(ring.capacity)}{age}, head {ring.head}"
        readers = [(f"     {one.name:<20}", one) for one in ring.consumers]
        lines = [Line([Span(head)])]
    else:
        readers = [
            (f"   reads {ring.producer}{age}:", one) for one in ring.consumers if one.name == job
        ]
        lines = []
    for text, one in readers:
        place = f" cursor {one.cursor}, {formats.size(one.lag_bytes)} behind"
        skipped = f", {one.skipped} skipped" if one.skipped else ""
        lines.append(Line([Span(text), Span(place + skipped, "warn" if skipped else "plain")]))
    return lines


def _of_past(details: JobDetails) -> list[Line]:
    lines = [Line(), _heading("Last errors")]
    lines += [Line([Span(f"   {text}", "bad")]) for text in details.last_errors]
    if not details.last_errors:
        lines.append(Line([Span("   none", "dim")]))
    lines += [Line(), _heading("How it ended before")]
    for exit_record in reversed(details.exits):
        text = (
            f"   {formats.utc_date(exit_record.time)}  after"
            f" {formats.span(exit_record.ran_seconds)}: {exit_record.reason}"
        )
        lines.append(Line([Span(text)]))
    if not details.exits:
        lines.append(Line([Span("   never", "dim")]))
    return lines


def _of_file(details: JobDetails) -> list[Line]:
    lines = [Line(), _heading("Topics that it takes")]
    lines += [Line([Span(f"   {topic}")]) for topic in details.topics_in or ["none"]]
    lines += [Line(), _heading(details.config_file)]
    if details.file_has_changed:
        hint = f"has changed since: 'enrgdaq reload {details.job.id}' takes it. The job runs with:"
        lines.append(Line([Span(f"   {hint}", "warn")]))
    lines += [Line([Span(f"   {text}", "dim")]) for text in details.config_text.splitlines()]
    lines += [Line(), _heading("Environment of the process")]
    lines += [Line([Span(f"   {text}", "dim")]) for text in details.environment or ["none"]]
    return lines


def _fact(name: str, value: str, look: str = "plain") -> Line:
    return Line([Span(f" {name:<14}", "dim"), Span(value, look)])


def _heading(text: str) -> Line:
    return Line([Span(f" {text}", "info")])
