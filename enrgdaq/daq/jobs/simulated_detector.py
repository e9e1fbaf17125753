"""Photomultipliers that are not there, for demonstrations and tests."""

import time
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.jobs.pacing import Ticker
from enrgdaq.daq.jobs.pulses import Events, PulseGenerator, PulseSettings, measure, pulse_width_ns
from enrgdaq.daq.jobs.waveform_format import WaveformBlock, pack_waveforms
from enrgdaq.daq.store.models import (
    DAQJobMessageStorePyArrow,
    DAQJobMessageStoreRaw,
    DAQJobStoreConfig,
    StorableDAQJobConfig,
)

_REPORT_SECONDS = 10.0
_MOST_EVENTS = 10_000_000
_UNITS = {
    "event_time_ns": "ns",
    "charge_pC": "pC",
    "time_ns": "ns",
    "baseline": "ADC",
    "amplitude": "ADC",
    "waveform": "ADC",
}


class DAQJobSimulatedDetectorConfig(StorableDAQJobConfig, kw_only=True):
    """Config of :class:`DAQJobSimulatedDetector`."""

    waveform_store_config: Annotated[
        DAQJobStoreConfig | None,
        Meta(description="where waveforms go as lists; for stores that can hold lists"),
    ] = None
    raw_store_config: Annotated[
        DAQJobStoreConfig | None, Meta(description="where waveforms go as packed bytes")
    ] = None
    channels: Annotated[int, Meta(ge=1, le=65535, description="number of photomultipliers")] = 8
    rate_hz: Annotated[
        float, Meta(gt=0, le=1e6, description="mean rate of triggers of one channel, 1/s")
    ] = 100.0
    batch_seconds: Annotated[
        float, Meta(ge=0.01, le=10, description="time that one message covers, s")
    ] = 0.1
    seed: (
        Annotated[
            int, Meta(ge=0, description="of the random numbers; another one at each start if unset")
        ]
        | None
    ) = None
    gain: Annotated[float, Meta(gt=0, description="electrons per photoelectron")] = 1e7
    mean_photoelectrons: Annotated[
        float, Meta(gt=0, le=1e6, description="mean of the Poisson distribution of light")
    ] = 1.2
    spe_resolution: Annotated[
        float, Meta(ge=0, le=10, description="relative spread of a photoelectron's charge")
    ] = 0.35
    transit_time_spread_ns: Annotated[
        float, Meta(ge=0, description="standard deviation of the pulse's beginning, ns")
    ] = 1.0
    pulse_tau_ns: Annotated[
        float, Meta(gt=0, description="time from the pulse's beginning to its peak, ns")
    ] = 20.0
    pulse_sigma: Annotated[
        float, Meta(gt=0, le=2, description="width of the log-normal pulse, no unit")
    ] = 0.25
    sampling_rate_msps: Annotated[
        float, Meta(gt=0, le=100_000, description="sampling rate of the ADC, MS/s")
    ] = 500.0
    samples: Annotated[int, Meta(ge=8, le=65536, description="length of a waveform, samples")] = 64
    pretrigger_samples: Annotated[
        int, Meta(ge=1, description="samples before the pulse, which give the baseline")
    ] = 16
    adc_bits: Annotated[int, Meta(ge=4, le=16, description="resolution of the ADC, bits")] = 14
    adc_range_v: Annotated[float, Meta(gt=0, description="full scale of the ADC, V")] = 2.0
    impedance_ohm: Annotated[float, Meta(gt=0, description="of the input, Ohm")] = 50.0
    baseline_fraction: Annotated[
        float, Meta(gt=0, lt=1, description="baseline as a part of full scale")
    ] = 0.9
    noise_adc: Annotated[
        float, Meta(ge=0, description="standard deviation of the noise, ADC counts")
    ] = 3.0

    def __post_init__(self) -> None:
        if self.pretrigger_samples >= self.samples:
            raise ValueError(
                f"pretrigger_samples = {self.pretrigger_samples} leaves nothing of the "
                f"{self.samples} samples for the pulse"
            )
        events = self.channels * self.rate_hz * self.batch_seconds
        if events > _MOST_EVENTS:
            raise ValueError(
                f"channels x rate_hz x batch_seconds gives {events:.0f} events in a batch, "
                f"at most {_MOST_EVENTS} are possible; lower batch_seconds"
            )
        if self.raw_store_config is not None and self.raw_store_config.raw is None:
            raise ValueError("raw_store_config needs [raw_store_config.raw]")

    def settings(self) -> PulseSettings:
        """The part that the pulses are made from."""
        names = PulseSettings.__dataclass_fields__
        return PulseSettings(**{name: getattr(self, name) for name in names})


class DAQJobSimulatedDetector(DAQJob):
    """Simulates photomultipliers on a digitizer, in real time.

    Columns of ``store_config``: ``event_time_ns`` (unix time of the first sample, ns),
    ``channel``, ``charge_pC``, ``time_ns`` (leading edge at half of the amplitude, after the
    first sample), ``baseline`` and ``amplitude`` (ADC counts), all read off the waveform.
    ``waveform_store_config`` gets ``event_time_ns``, ``channel`` and ``waveform`` (ADC
    counts); ``raw_store_config`` the same as bytes, see ``waveform_format.py``.

    Times follow the clock of the host. What a stall swallows is dead time, as in a real
    detector: it is reported and not made up for.
    """

    config_type = DAQJobSimulatedDetectorConfig
    config: DAQJobSimulatedDetectorConfig

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.dead_seconds = 0.0
        """Time in which nothing was taken since the job was late, s."""
        self._settings = self.config.settings()
        self._reported_dead_seconds = 0.0
        self._next_report = 0.0

    def start(self) -> None:
        """Take data until the job is to stop."""
        settings = self._settings
        width = pulse_width_ns(settings.pulse_tau_ns, settings.pulse_sigma)
        self.log.info("%d channels, pulses %.1f ns wide", settings.channels, width)
        generator = PulseGenerator(settings, np.random.default_rng(self.config.seed))
        ticker = Ticker(round(self.config.batch_seconds * 1e9), time.time_ns())
        while not self.stopping:
            now = time.time_ns()
            if ticker.was_set_back(now):
                self.log.warning("the clock of the host was set back; going on from there")
                ticker.restart(now)
            if not ticker.is_due(now):
                self.sleep(ticker.remaining_seconds(now))
                continue
            for events in generator.events(ticker.begin_ns, ticker.end_ns):
                self._send(events)
            skipped = ticker.advance(time.time_ns())
            self._report_dead_time(skipped * ticker.period_ns / 1e9)

    def _send(self, events: Events) -> None:
        config = self.config
        self.publish(
            DAQJobMessageStorePyArrow(
                store_config=config.store_config, table=rows(events, self._settings)
            )
        )
        if config.waveform_store_config is not None:
            self.publish(
                DAQJobMessageStorePyArrow(
                    store_config=config.waveform_store_config, table=waveform_rows(events)
                )
            )
        if config.raw_store_config is not None:
            block = WaveformBlock(
                sampling_rate_msps=config.sampling_rate_msps,
                adc_bits=config.adc_bits,
                event_time_ns=events.event_time_ns,
                channel=events.channel,
                waveform=events.waveform,
            )
            self.publish(
                DAQJobMessageStoreRaw(
                    store_config=config.raw_store_config, data=pack_waveforms(block)
                )
            )

    def _report_dead_time(self, seconds: float) -> None:
        self.dead_seconds += seconds
        new = self.dead_seconds - self._reported_dead_seconds
        if new > 0 and time.monotonic() >= self._next_report:
            self._next_report = time.monotonic() + _REPORT_SECONDS
            self._reported_dead_seconds = self.dead_seconds
            self.log.warning("%.1f s of dead time, %.1f s in all", new, self.dead_seconds)


def rows(events: Events, settings: PulseSettings) -> Any:
    """What is read off the waveforms, as a ``pyarrow.RecordBatch``."""
    import pyarrow as pa

    from enrgdaq.daq.units import with_units

    measured = measure(events.waveform, settings)
    # Digits far below the noise would only make text files longer.
    batch = pa.RecordBatch.from_pydict(
        {
            "event_time_ns": events.event_time_ns,
            "channel": events.channel,
            "charge_pC": measured.charge_pc.round(4),
            "time_ns": measured.time_ns.round(3),
            "baseline": measured.baseline_adc.round(2),
            "amplitude": measured.amplitude_adc.round(2),
        }
    )
    return with_units(batch, _UNITS)


def waveform_rows(events: Events) -> Any:
    """The waveforms as lists of ``uint16``, as a ``pyarrow.RecordBatch``."""
    import pyarrow as pa

    from enrgdaq.daq.units import with_units

    n, samples = events.waveform.shape
    offsets = np.arange(n + 1, dtype=np.int32) * samples
    batch = pa.RecordBatch.from_pydict(
        {
            "event_time_ns": events.event_time_ns,
            "channel": events.channel,
            "waveform": pa.ListArray.from_arrays(offsets, pa.array(events.waveform.reshape(-1))),
        }
    )
    return with_units(batch, _UNITS)
