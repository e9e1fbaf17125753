"""Random rows, for trying out stores and routes."""

import time
from typing import Annotated

import numpy as np
from msgspec import Meta

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.jobs.pacing import Ticker
from enrgdaq.daq.store.models import DAQJobMessageStoreTabular, StorableDAQJobConfig


class DAQJobTestConfig(StorableDAQJobConfig, kw_only=True):
    """Config of :class:`DAQJobTest`."""

    rand_min: Annotated[int, Meta(ge=-(2**62), le=2**62, description="least value of A, B and C")]
    rand_max: Annotated[
        int, Meta(ge=-(2**62), le=2**62, description="greatest value of A, B and C")
    ]
    interval_seconds: Annotated[
        float, Meta(ge=0.001, le=86400, description="time between two rows, s")
    ] = 1.0

    def __post_init__(self) -> None:
        if self.rand_max < self.rand_min:
            raise ValueError(
                f"rand_max = {self.rand_max} is below rand_min = {self.rand_min}; swap them"
            )


class DAQJobTest(DAQJob):
    """Sends rows of random integers at a fixed interval.

    Columns: ``timestamp`` (unix time, s), ``A``, ``B``, ``C`` (uniform between ``rand_min``
    and ``rand_max``, both included).
    """

    config_type = DAQJobTestConfig
    config: DAQJobTestConfig

    def start(self) -> None:
        """Send a row now and one at each interval, until the job is to stop."""
        low, high = self.config.rand_min, self.config.rand_max
        random = np.random.default_rng()
        ticker = Ticker(round(self.config.interval_seconds * 1e9), time.monotonic_ns())
        while not self.stopping:
            self.publish(
                DAQJobMessageStoreTabular(
                    store_config=self.config.store_config,
                    keys=["timestamp", "A", "B", "C"],
                    units={"timestamp": "s"},
                    data=[[time.time(), *random.integers(low, high, 3, endpoint=True).tolist()]],
                )
            )
            self.sleep(ticker.remaining_seconds(time.monotonic_ns()))
            ticker.advance(time.monotonic_ns())
