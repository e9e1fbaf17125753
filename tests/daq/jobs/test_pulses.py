"""Pulses have the area, width and place that the formulas say, before and after the ADC."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrgdaq.daq.jobs.pulses import (
    ELEMENTARY_CHARGE_PC,
    PulseGenerator,
    PulseSettings,
    digitize,
    measure,
    photoelectrons,
    pulse_area_ns,
    pulse_shape,
    pulse_width_ns,
)
from enrgdaq.daq.jobs.waveform_format import WaveformBlock, pack_waveforms, unpack_waveforms
from enrgdaq.errors import CodecError

SETTINGS = PulseSettings()
QUIET = dataclasses.replace(SETTINGS, noise_adc=0.0)


@pytest.mark.parametrize(("tau", "sigma"), [(20.0, 0.25), (5.0, 0.1), (30.0, 0.8)])
def test_area_and_width_are_those_of_the_shape(tau, sigma):
    times = np.linspace(-tau, 100 * tau, 2_000_001)
    shape = pulse_shape(times, tau, sigma)
    step = times[1] - times[0]
    assert shape.sum() * step == pytest.approx(pulse_area_ns(tau, sigma), rel=1e-5)
    above = times[shape >= 0.5]
    assert above[-1] - above[0] == pytest.approx(pulse_width_ns(tau, sigma), abs=3 * step)
    assert times[shape.argmax()] == pytest.approx(tau, abs=2 * step)
    assert shape.max() == pytest.approx(1.0, abs=1e-6)
    assert (shape[times <= 0] == 0).all()


def test_photoelectrons_are_a_poisson_distribution_without_its_zeros():
    for mean in (0.05, 1.2, 20.0):
        drawn = photoelectrons(mean, 200_000, np.random.default_rng(1))
        assert drawn.min() >= 1
        assert drawn.mean() == pytest.approx(mean / -np.expm1(-mean), rel=0.01)


@given(
    charge=st.floats(0.5, 100.0),
    start=st.floats(32.0, 40.0),
    sigma=st.floats(0.15, 0.35),
)
def test_charge_and_time_survive_the_adc(charge, start, sigma):
    settings = dataclasses.replace(QUIET, pulse_sigma=sigma)
    waveforms = digitize(np.array([charge]), np.array([start]), settings, np.random.default_rng(1))
    measured = measure(waveforms, settings)
    # Without noise the baseline is off by up to half a count in each of 48 samples.
    assert measured.charge_pc[0] == pytest.approx(charge, rel=0.03, abs=0.15)
    width = pulse_width_ns(settings.pulse_tau_ns, sigma)
    half_rise = settings.pulse_tau_ns * np.exp(-sigma * np.sqrt(2 * np.log(2)))
    assert measured.time_ns[0] == pytest.approx(start + half_rise, abs=1.0)
    assert measured.baseline_adc[0] == pytest.approx(settings.baseline_adc, abs=1.0)
    assert 0 < width < 30


def test_pulses_beyond_the_range_are_clipped():
    waveforms = digitize(np.array([1e6]), np.array([32.0]), QUIET, np.random.default_rng(1))
    assert waveforms.dtype == np.uint16
    assert waveforms.min() == 0
    assert waveforms.max() < 2**14


def test_flat_waveforms_are_measured_without_a_warning():
    flat = np.full((3, 64), 1000, np.uint16)
    measured = measure(flat, SETTINGS)
    assert measured.charge_pc.tolist() == [0.0, 0.0, 0.0]
    assert measured.amplitude_adc.tolist() == [0.0, 0.0, 0.0]
    assert np.isfinite(measured.time_ns).all()


def test_events_have_the_rate_the_time_and_the_charge_that_was_asked_for():
    second = 1_000_000_000
    begin = 1_750_000_000 * second
    generator = PulseGenerator(SETTINGS, np.random.default_rng(7))
    parts = list(generator.events(begin, begin + 20 * second))
    assert len(parts) > 1
    times = np.concatenate([part.event_time_ns for part in parts])
    channels = np.concatenate([part.channel for part in parts])
    waveforms = np.concatenate([part.waveform for part in parts])
    # 8 channels at 100 Hz in 20 s, within 5 standard deviations.
    assert len(times) == pytest.approx(16_000, abs=5 * np.sqrt(16_000))
    assert np.bincount(channels, minlength=8) == pytest.approx([2000] * 8, abs=5 * np.sqrt(2000))
    assert (np.diff(times) >= 0).all()
    assert begin <= times[0] < times[-1] < begin + 20 * second
    assert waveforms.shape == (len(times), 64)
    measured = measure(waveforms, SETTINGS)
    one = SETTINGS.gain * ELEMENTARY_CHARGE_PC
    expected = one * SETTINGS.mean_photoelectrons / -np.expm1(-SETTINGS.mean_photoelectrons)
    assert measured.charge_pc.mean() == pytest.approx(expected, rel=0.03)


def test_the_same_seed_gives_the_same_events():
    def first_events(seed):
        (events,) = PulseGenerator(SETTINGS, np.random.default_rng(seed)).events(0, 10**8)
        return events

    one, again, other = first_events(3), first_events(3), first_events(4)
    np.testing.assert_array_equal(one.waveform, again.waveform)
    np.testing.assert_array_equal(one.event_time_ns, again.event_time_ns)
    assert one.event_time_ns.tolist() != other.event_time_ns.tolist()


def test_no_events_are_no_parts():
    settings = dataclasses.replace(SETTINGS, rate_hz=1e-9)
    assert list(PulseGenerator(settings, np.random.default_rng(1)).events(0, 10)) == []


def block(n, samples):
    return WaveformBlock(
        sampling_rate_msps=500.0,
        adc_bits=14,
        event_time_ns=np.arange(n, dtype=np.int64) + 1_750_000_000_000_000_000,
        channel=np.arange(n, dtype=np.uint16) % 8,
        waveform=np.arange(n * samples, dtype=np.uint16).reshape(n, samples),
    )


def test_packed_waveforms_have_the_documented_layout():
    data = pack_waveforms(block(2, 3))
    assert data[:4] == b"EWF1"
    assert np.frombuffer(data, "<u4", 3, 4).tolist() == [32, 2, 3]
    assert np.frombuffer(data, "<f8", 1, 16).tolist() == [500.0]
    assert np.frombuffer(data, "<u2", 1, 24).tolist() == [14]
    assert len(data) == 32 + 2 * (8 + 2 + 3 * 2)
    assert np.frombuffer(data, "<i8", 1, 32)[0] == 1_750_000_000_000_000_000
    assert np.frombuffer(data, "<u2", 4, 40).tolist() == [0, 0, 1, 2]


def test_blocks_in_a_row_are_read_back():
    blocks = [block(5, 64), block(0, 64), block(3, 16)]
    found = list(unpack_waveforms(b"".join(map(pack_waveforms, blocks))))
    for expected, actual in zip(blocks, found, strict=True):
        assert actual.sampling_rate_msps == 500.0
        assert actual.adc_bits == 14
        for name in ("event_time_ns", "channel", "waveform"):
            np.testing.assert_array_equal(getattr(actual, name), getattr(expected, name))


def test_damaged_bytes_are_refused_with_their_place():
    data = pack_waveforms(block(2, 3))
    for cut in (data[:10], data[:-1], b"EWF9" + data[4:], data + b"x"):
        with pytest.raises(CodecError, match=r"^byte "):
            list(unpack_waveforms(cut))
