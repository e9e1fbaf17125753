"""Load of the host: processor, memory, disk."""

import time
from typing import Annotated, Literal

import psutil
from msgspec import Meta, field

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.jobs.pacing import Ticker
from enrgdaq.daq.store.models import DAQJobMessageStoreTabular, StorableDAQJobConfig

PCMetric = Literal["cpu", "memory", "disk"]


class DAQJobPCMetricsConfig(StorableDAQJobConfig, kw_only=True):
    """Config of :class:`DAQJobPCMetrics`."""

    metrics_to_store: Annotated[
        list[PCMetric],
        Meta(
            min_length=1, description="what to store, in the order of the columns; all by default"
        ),
    ] = field(default_factory=lambda: ["cpu", "memory", "disk"])
    poll_interval_seconds: Annotated[
        float, Meta(ge=0.1, le=86400, description="time between two rows, s")
    ] = 1.0
    disk_path: Annotated[
        str, Meta(min_length=1, description="any path on the disk that 'disk' is about")
    ] = "/"

    def __post_init__(self) -> None:
        if len(set(self.metrics_to_store)) < len(self.metrics_to_store):
            raise ValueError(
                f"metrics_to_store = {self.metrics_to_store} names a metric twice; "
                "leave the second out"
            )


class DAQJobPCMetrics(DAQJob):
    """Stores how busy this host is, in percent.

    Columns: ``timestamp`` (unix time, s), then ``cpu`` (all cores, since the row before),
    ``memory`` (not available to new programs) and ``disk`` (used by files), each in percent.
    """

    config_type = DAQJobPCMetricsConfig
    config: DAQJobPCMetricsConfig

    def start(self) -> None:
        """Send a row at each interval, until the job is to stop."""
        # The first reading only sets the point from which the next one counts.
        psutil.cpu_percent()
        ticker = Ticker(round(self.config.poll_interval_seconds * 1e9), time.monotonic_ns())
        while self.sleep(ticker.remaining_seconds(time.monotonic_ns())):
            self.publish(
                DAQJobMessageStoreTabular(
                    store_config=self.config.store_config,
                    keys=["timestamp", *self.config.metrics_to_store],
                    units={"timestamp": "s", **dict.fromkeys(self.config.metrics_to_store, "%")},
                    data=[[time.time(), *map(self._read, self.config.metrics_to_store)]],
                )
            )
            ticker.advance(time.monotonic_ns())

    def _read(self, metric: PCMetric) -> float:
        if metric == "cpu":
            return float(psutil.cpu_percent())
        if metric == "memory":
            return float(psutil.virtual_memory().percent)
        return float(psutil.disk_usage(self.config.disk_path).percent)
