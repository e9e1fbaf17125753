"""Photomultiplier pulses: their shape, how an ADC sees them, and what is read off them.

The pulse is log-normal, the shape that S. Jetter et al. fit to the photomultipliers of Daya
Bay ("PMT waveform modeling at the Daya Bay experiment", Chinese Physics C 36 (2012) 733,
doi:10.1088/1674-1137/36/8/009), without overshoot, ringing and afterpulses::

    U(t) = U0 * exp(-(ln(t / tau) / sigma)**2 / 2)    for t > 0, else 0

It peaks at ``t = tau`` with ``U0``; its integral is
``U0 * tau * sigma * sqrt(2 pi) * exp(sigma**2 / 2)``, its full width at half maximum
``2 * tau * sinh(sigma * sqrt(2 ln 2))``. The default values are those of no particular tube.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ELEMENTARY_CHARGE_PC = 1.602176634e-7
_SAMPLES_AT_ONCE = 1 << 18

Floats = NDArray[np.float64]
Waveforms = NDArray[np.uint16]


@dataclass(frozen=True, kw_only=True)
class PulseSettings:
    """Tube, pulse and digitizer. Pulses are negative, as from an anode."""

    rate_hz: float = 100.0
    """Triggers of one channel, 1/s."""
    channels: int = 8
    gain: float = 1e7
    mean_photoelectrons: float = 1.2
    """Mean of the Poisson distribution whose non-zero part the triggers are."""
    spe_resolution: float = 0.35
    """Relative spread of the charge of one photoelectron."""
    transit_time_spread_ns: float = 1.0
    """Standard deviation."""
    pulse_tau_ns: float = 20.0
    pulse_sigma: float = 0.25
    sampling_rate_msps: float = 500.0
    """MS/s."""
    samples: int = 64
    """Of a waveform."""
    pretrigger_samples: int = 16
    """Before the pulse; the baseline is their mean."""
    adc_bits: int = 14
    adc_range_v: float = 2.0
    """Full scale, V."""
    impedance_ohm: float = 50.0
    baseline_fraction: float = 0.9
    """Of full scale."""
    noise_adc: float = 3.0
    """Standard deviation, ADC counts."""

    @property
    def sample_ns(self) -> float:
        """Time between two samples, ns."""
        return 1000.0 / self.sampling_rate_msps

    @property
    def count_mv(self) -> float:
        """Voltage of one ADC count, mV."""
        return 1000.0 * self.adc_range_v / float(2**self.adc_bits)

    @property
    def baseline_adc(self) -> float:
        """Baseline, ADC counts."""
        return self.baseline_fraction * float(2**self.adc_bits)

    @property
    def counts_ns_of_pc(self) -> float:
        """Area under a pulse of 1 pC, ADC counts x ns."""
        # mV x ns / Ohm is pC.
        return self.impedance_ohm / self.count_mv


@dataclass(frozen=True, kw_only=True)
class Events:
    """Some triggers in the order of time; each array has one entry (row) per trigger."""

    event_time_ns: NDArray[np.int64]
    """Unix time of the first sample, ns."""
    channel: NDArray[np.uint16]
    waveform: Waveforms
    """ADC counts, shape (triggers, samples)."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What is read off waveforms; one entry per trigger."""

    charge_pc: Floats
    time_ns: Floats
    """Leading edge at half of the amplitude, after the first sample."""
    baseline_adc: Floats
    amplitude_adc: Floats
    """Depth below the baseline."""


def pulse_shape(t_ns: Any, tau_ns: float, sigma: float) -> Floats:
    """The pulse with amplitude 1 at times ``t_ns`` after its beginning."""
    t_ns = np.asarray(t_ns, np.float64)
    with np.errstate(divide="ignore"):
        log = np.log(np.maximum(t_ns, 0.0) / tau_ns)
    shape: Floats = np.exp(-0.5 * (log / sigma) ** 2)
    return shape


def pulse_area_ns(tau_ns: float, sigma: float) -> float:
    """Integral of :func:`pulse_shape` over time, ns."""
    return tau_ns * sigma * math.sqrt(2 * math.pi) * math.exp(sigma**2 / 2)


def pulse_width_ns(tau_ns: float, sigma: float) -> float:
    """Full width of :func:`pulse_shape` at half maximum, ns."""
    return 2 * tau_ns * math.sinh(sigma * math.sqrt(2 * math.log(2)))


def photoelectrons(mean: float, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """``n`` numbers from a Poisson distribution of which only the non-zero part is left.

    The first photoelectron is drawn within the window under the condition that there is
    one; the others follow without a condition in what is left of it.
    """
    first = -np.log1p(-rng.random(n) * -np.expm1(-mean))
    further: NDArray[np.int64] = rng.poisson(np.maximum(mean - first, 0.0))
    return further + 1


def digitize(
    charges_pc: Floats, starts_ns: Floats, settings: PulseSettings, rng: np.random.Generator
) -> Waveforms:
    """Waveforms of pulses with these charges, beginning so long after the first sample.

    Shape (pulses, samples), ADC counts, with noise, rounded and clipped to the ADC's range.
    """
    area = pulse_area_ns(settings.pulse_tau_ns, settings.pulse_sigma)
    amplitudes = charges_pc * settings.counts_ns_of_pc / area
    times = np.arange(settings.samples) * settings.sample_ns
    shape = pulse_shape(
        times - starts_ns[:, np.newaxis], settings.pulse_tau_ns, settings.pulse_sigma
    )
    levels = rng.normal(settings.baseline_adc, settings.noise_adc, shape.shape)
    levels -= amplitudes[:, np.newaxis] * shape
    waveforms: Waveforms = np.clip(np.rint(levels), 0, 2**settings.adc_bits - 1).astype(np.uint16)
    return waveforms


def measure(waveforms: Waveforms, settings: PulseSettings) -> Measured:
    """Baseline, amplitude, charge and leading edge, as a front end would read them off."""
    levels = waveforms.astype(np.float64)
    baseline = levels[:, : settings.pretrigger_samples].mean(axis=1)
    depth = baseline[:, np.newaxis] - levels
    gated = depth[:, settings.pretrigger_samples :]
    peak = settings.pretrigger_samples + gated.argmax(axis=1)
    rows = np.arange(len(depth))
    amplitude = depth[rows, peak]

    # The last sample before the peak that is below half of it, and the one after that.
    half = 0.5 * amplitude
    index = np.arange(depth.shape[1])
    is_below = (depth < half[:, np.newaxis]) & (index < peak[:, np.newaxis])
    before = np.where(
        is_below.any(axis=1), depth.shape[1] - 1 - is_below[:, ::-1].argmax(axis=1), 0
    )
    low, high = depth[rows, before], depth[rows, before + 1]
    rise = high - low
    fraction = np.divide(half - low, rise, out=np.zeros_like(rise), where=rise > 0)
    return Measured(
        charge_pc=gated.sum(axis=1) * settings.sample_ns / settings.counts_ns_of_pc,
        time_ns=(before + fraction) * settings.sample_ns,
        baseline_adc=baseline,
        amplitude_adc=amplitude,
    )


class PulseGenerator:
    """Poisson triggers of all channels; each has a waveform of its own, without pile-up."""

    def __init__(self, settings: PulseSettings, rng: np.random.Generator) -> None:
        self.settings = settings
        self._rng = rng

    def events(self, begin_ns: int, end_ns: int) -> Iterator[Events]:
        """Triggers with ``begin_ns <= event_time_ns < end_ns`` (unix time).

        They come in parts of some hundred thousand samples, so that the memory for waveforms
        is bounded whatever the rate.
        """
        settings, rng = self.settings, self._rng
        mean = settings.rate_hz * (end_ns - begin_ns) / 1e9
        counts = rng.poisson(mean, settings.channels)
        times = rng.integers(begin_ns, end_ns, counts.sum())
        channels = np.repeat(np.arange(settings.channels, dtype=np.uint16), counts)
        order = np.argsort(times, kind="stable")
        at_once = max(1, _SAMPLES_AT_ONCE // settings.samples)
        for first in range(0, len(order), at_once):
            some = order[first : first + at_once]
            yield Events(
                event_time_ns=times[some],
                channel=channels[some],
                waveform=self._waveforms(len(some)),
            )

    def _waveforms(self, n: int) -> Waveforms:
        settings, rng = self.settings, self._rng
        electrons = photoelectrons(settings.mean_photoelectrons, n, rng)
        spread = settings.spe_resolution * np.sqrt(electrons) * rng.standard_normal(n)
        # The tail of the normal distribution must not make pulses of the wrong sign.
        charges = np.maximum(electrons + spread, 0.01) * settings.gain * ELEMENTARY_CHARGE_PC
        starts = settings.pretrigger_samples + rng.random(n)
        jitter = rng.normal(0.0, settings.transit_time_spread_ns, n)
        return digitize(charges, starts * settings.sample_ns + jitter, settings, rng)
