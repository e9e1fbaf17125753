"""Serves ``/metrics``: a process of its own, which asks the supervisor once for each scrape.

So a scraper that comes too often, or hangs, is not felt by data taking, and a supervisor on
another host is served like one on this.
"""

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from enrgdaq.control.client import ControlClient
from enrgdaq.control.status import Snapshot
from enrgdaq.errors import ConfigurationError, ControlError
from enrgdaq.metrics.figures import ALL, UP, Sample, samples

if TYPE_CHECKING:
    from prometheus_client import Metric


class MetricsServer:
    """Answers scrapes until it is closed.

    Raises :class:`ConfigurationError` when the extra is not installed or the port is taken.
    """

    def __init__(self, client: ControlClient, host: str, port: int) -> None:
        try:
            from prometheus_client import CollectorRegistry, start_http_server
        except ImportError as error:
            raise ConfigurationError(
                "enrgdaq metrics needs the package prometheus-client; install it with:"
                " pip install 'enrgdaq[metrics]'"
            ) from error
        registry: CollectorRegistry = CollectorRegistry()
        registry.register(_Scrapes(client))
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            raise ConfigurationError(
                f"metrics cannot listen on {host}:{port}: {error.strerror}; choose another by"
                " --host and --port"
            ) from error
        self.url = f"http://{host}:{self._server.server_port}/metrics"

    def wait(self) -> None:
        """Until the process is told to end."""
        self._thread.join()

    def close(self) -> None:
        """End; idempotent."""
        self._server.shutdown()
        self._server.server_close()


class _Scrapes:
    """What prometheus-client calls for each scrape, in a thread of its own."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._last_id = ""

    def describe(self) -> list["Metric"]:
        """Nothing to ask when the collector is registered."""
        return []

    def collect(self) -> Iterator["Metric"]:
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

        found: dict[str, list[Sample]] = {}
        for sample in self._samples():
            found.setdefault(sample.figure.name, []).append(sample)
        for figure in ALL:
            of_figure = found.get(figure.name)
            if not of_figure:
                continue
            names = list(of_figure[0].labels)
            family = CounterMetricFamily if figure.kind == "counter" else GaugeMetricFamily
            metric = family(figure.name, figure.help, labels=names)
            for sample in of_figure:
                metric.add_metric([sample.labels[name] for name in names], sample.value)
            yield metric

    def _samples(self) -> list[Sample]:
        snapshot = self._ask()
        if snapshot is None:
            return [Sample(UP, {"supervisor": self._last_id}, 0)]
        self._last_id = snapshot.supervisor.id
        return list(samples(snapshot))

    def _ask(self) -> Snapshot | None:
        with self._lock:
            try:
                return self._client.snapshot()
            except ControlError:
                return None
