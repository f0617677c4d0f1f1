"""Filters of the EEG viewer are those of scipy; corners, delays and margins are what the page says of them."""

import numpy as np
import pytest
from scipy import signal as dsp

from tests.viewing.js import evaluated

RATE = 256.0
CHOICES = {
    "all, zero phase": {"highpass": 0.5, "lowpass": 35, "notch": 50, "zeroPhase": True},
    "all, as on paper": {"highpass": 0.5, "lowpass": 35, "notch": 50, "zeroPhase": False},
    "time constant of 0.1 s": {"highpass": 1.6, "lowpass": 0, "notch": 0, "zeroPhase": False},
    "slow": {"highpass": 0.1, "lowpass": 70, "notch": 60, "zeroPhase": True},
}
NAMED = ("chosen", list(CHOICES.values()))


def scipys(chosen: dict[str, float], rate: float = RATE) -> np.ndarray:
    """The same filters from scipy, corners moved for two passes so that |H|^4 is 1/2 at the named ones."""
    squeeze = np.sqrt(2) - 1 if chosen["zeroPhase"] else 1.0

    def corner(hz: float, factor: float) -> float:
        return rate / np.pi * np.arctan(np.tan(np.pi * hz / rate) * factor)

    parts = []
    if chosen["highpass"]:
        parts.append(dsp.butter(1, corner(chosen["highpass"], squeeze**0.5), "highpass", fs=rate, output="sos"))
    if chosen["notch"]:
        parts.append(dsp.tf2sos(*dsp.iirnotch(chosen["notch"], 30, fs=rate)))
    if chosen["lowpass"]:
        parts.append(dsp.butter(2, corner(chosen["lowpass"], squeeze**-0.25), "lowpass", fs=rate, output="sos"))
    return np.concatenate(parts)


def waves(seconds: float = 12.0) -> np.ndarray:
    rng = np.random.default_rng(5)
    t = np.arange(round(seconds * RATE)) / RATE
    return 40 + 30 * np.sin(2 * np.pi * 10 * t) + 15 * np.sin(2 * np.pi * 50 * t) + rng.normal(0, 10, t.size)


@pytest.mark.parametrize(*NAMED, ids=list(CHOICES))
def test_sections_are_scipys(chosen: dict[str, float]) -> None:
    ours = np.array(evaluated("eeg_filter", f"m.sections(chosen, {RATE})", chosen=chosen))
    _, response = dsp.freqz_sos(np.insert(ours, 3, 1.0, axis=1), worN=4096, fs=RATE)
    _, expected = dsp.freqz_sos(scipys(chosen), worN=4096, fs=RATE)
    np.testing.assert_allclose(response, expected, atol=1e-10)


@pytest.mark.parametrize(*NAMED, ids=list(CHOICES))
def test_filtered_is_scipys_filtered(chosen: dict[str, float]) -> None:
    x = waves()
    told = evaluated(
        "eeg_filter",
        f"[m.filterRow(Float64Array.from(x), chosen, {RATE}), m.marginSeconds(chosen)]",
        x=x.tolist(),
        chosen=chosen,
    )
    sos = scipys(chosen)
    if chosen["zeroPhase"]:
        pad = min(len(x) - 1, int(np.ceil(told[1] * RATE)))
        expected = dsp.sosfiltfilt(sos, x, padtype="odd", padlen=pad)
    else:
        expected, _ = dsp.sosfilt(sos, x, zi=dsp.sosfilt_zi(sos) * x[0])
    np.testing.assert_allclose(told[0], expected, atol=1e-8 * np.abs(x).max())


def test_the_named_corner_is_at_3_db_with_and_without_zero_phase() -> None:
    off = {"highpass": 0, "lowpass": 0, "notch": 0}
    asked = [
        off | {"zeroPhase": zero, name: hz}
        for zero in (True, False)
        for name, hz in (("highpass", 1.0), ("lowpass", 35.0))
    ]
    told = evaluated("eeg_filter", f"asked.map((chosen) => m.sections(chosen, {RATE}))", asked=asked)
    for chosen, sections in zip(asked, told, strict=True):
        sos = np.insert(np.array(sections), 3, 1.0, axis=1)
        _, response = dsp.freqz_sos(sos, worN=[chosen["highpass"] or chosen["lowpass"]], fs=RATE)
        assert 20 * (1 + chosen["zeroPhase"]) * np.log10(abs(response[0])) == pytest.approx(-3.0103, abs=1e-3)


def test_the_delay_that_is_told_is_the_group_delay() -> None:
    chosen = CHOICES["all, as on paper"]
    b, a = dsp.sos2tf(scipys(chosen))
    _, samples = dsp.group_delay((b, a), w=[10.0], fs=RATE)
    both = [chosen, chosen | {"zeroPhase": True}]
    told = evaluated("eeg_filter", f"both.map((one) => m.delayMs(one, {RATE}, 10))", both=both)
    assert told == [pytest.approx(samples[0] / RATE * 1000, abs=0.05), 0]


@pytest.mark.parametrize(*NAMED, ids=list(CHOICES))
def test_a_page_with_its_margins_is_the_page_of_the_whole_recording(chosen: dict[str, float]) -> None:
    """It differs from the whole, filtered, by less than a hundredth of the drift that it had to lose."""
    x = np.concatenate([waves(40.0), waves(40.0) + 120.0])  # a step far from the page, as electrodes make them
    first, stop = round(30 * RATE), round(38 * RATE)
    code = (
        f"(() => {{ const margin = Math.ceil(m.marginSeconds(chosen) * {RATE});"
        f" const a = Math.max(0, {first} - margin);"
        f" const whole = m.filterRow(Float64Array.from(x), chosen, {RATE}).slice({first}, {stop});"
        f" const cut = m.filterRow(Float64Array.from(x.slice(a, {stop} + margin)), chosen, {RATE});"
        f" return [whole, cut.slice({first} - a, {stop} - a)]; }})()"
    )
    whole, cut = (np.array(one) for one in evaluated("eeg_filter", code, x=x.tolist(), chosen=chosen))
    assert np.abs(whole - cut).max() < 1.2


def test_no_filter_reaches_over_a_gap_or_a_break() -> None:
    chosen = CHOICES["all, zero phase"]
    x = waves()
    one, two = x[:1000].copy(), x[1200:].copy()
    holed = [*one.tolist(), *[None] * 200, *two.tolist()]
    numbers = "Float64Array.from(x, (v) => v === null ? NaN : v)"
    code = f"parts.map(([x, breaks]) => m.filterRow({numbers}, chosen, {RATE}, breaks))"
    parts = [[one.tolist(), []], [two.tolist(), []], [holed, []], [[*one, *two], [1000]]]
    first, second, found, glued = evaluated("eeg_filter", code, parts=parts, chosen=chosen)
    assert found[1000:1200] == [None] * 200
    np.testing.assert_array_equal([*found[:1000], *found[1200:]], [*first, *second])
    np.testing.assert_array_equal(glued, [*first, *second])
