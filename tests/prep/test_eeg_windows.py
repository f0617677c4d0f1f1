"""Filtering block by block is filtering whole; gaps, holes and the mains stay out."""

import subprocess
import sys
import tracemalloc
from pathlib import Path

import mne
import numpy as np
import pytest
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError
from clinic_mm.prep import eeg_windows
from clinic_mm.prep.eeg import CHANNELS, EegPrep
from clinic_mm.prep.eeg_windows import resampled, stream
from clinic_mm.signals import EegRecording
from clinic_mm.sources.eeg import recording as eeg
from clinic_mm.sources.eeg.channels import channel_table
from clinic_mm.task import ModalityTask
from tests.sources.eeg.edf_files import move_records, parts_of, without_annotations, write_edf

PREP = EegPrep.plan("tiny", ModalityTask(kind="eeg"))


def whole(volts: Array, sfreq_hz: float, segments: list[tuple[int, int]] | None = None) -> Array:
    """All blocks put together, NaN where none is."""
    out = np.full((len(volts), resampled(volts.shape[1], sfreq_hz, 128.0)), np.nan, np.float32)
    places = segments or [(0, volts.shape[1])]
    for block in stream(volts, sfreq_hz, 128.0, places, range(len(volts))):
        out[:, block.start : block.start + block.volts.shape[1]] = block.volts
    return out


def noise(channels: int, seconds: float, sfreq_hz: float) -> Array:
    rng = np.random.default_rng(0)
    return (20e-6 * rng.standard_normal((channels, round(seconds * sfreq_hz)))).astype(np.float32)


@pytest.mark.parametrize("sfreq_hz", [100.0, 125.0, 199.8, 200.0, 250.0, 256.0, 500.0, 512.3, 1024.0])
def test_blocks_put_together_are_the_recording_filtered_whole(sfreq_hz: float, monkeypatch: pytest.MonkeyPatch) -> None:
    volts = noise(2, 200, sfreq_hz)
    blocks = whole(volts, sfreq_hz)
    monkeypatch.setattr(eeg_windows, "BLOCK_S", 400.0)
    eeg_windows._plan.cache_clear()
    at_once = whole(volts, sfreq_hz)
    eeg_windows._plan.cache_clear()
    assert np.abs(blocks - at_once).max() < 2e-3 * at_once.std()


def test_the_filter_is_that_of_mne() -> None:
    volts = noise(2, 150, 256.0)
    plain = mne.filter.filter_data(volts.astype(float), 256, 0.5, 45, verbose="ERROR", h_trans_bandwidth=4.0)
    plain = mne.filter.resample(plain, up=1, down=2, verbose="ERROR")
    ours, middle = whole(volts, 256.0), slice(1280, -1280)
    assert np.abs(ours[:, middle] - plain[:, middle]).std() < 2e-3 * plain.std()


@pytest.mark.parametrize("hz", [50.0, 60.0, 150.0, 180.0])
def test_the_mains_do_not_pass(hz: float) -> None:
    t = np.arange(40 * 512) / 512
    wave = (1e-4 * np.sin(2 * np.pi * np.array([[10.0], [hz]]) * t)).astype(np.float32)
    rhythm, mains = whole(wave, 512.0)[:, 1280:-1280].std(axis=1)
    assert rhythm == pytest.approx(1e-4 / np.sqrt(2), rel=0.01)
    assert mains < 0.003 * rhythm


def test_an_offset_of_a_direct_coupled_amplifier_leaves_nothing() -> None:
    volts = noise(1, 40, 256.0)
    np.testing.assert_allclose(whole(volts + np.float32(0.1), 256.0), whole(volts, 256.0), atol=3e-8)


def test_no_filter_reaches_across_a_gap() -> None:
    volts = noise(1, 60, 128.0)
    other = volts.copy()
    other[:, 5120:] = 1e-3 * other[:, 5120:]
    parts = [(0, 2560), (5120, 7680)]
    one, two = whole(volts, 128.0, parts), whole(other, 128.0, parts)
    np.testing.assert_array_equal(one[:, :2560], two[:, :2560])
    assert np.isnan(one[:, 2560:5120]).all()


@pytest.mark.parametrize("what", [0.0, np.nan, np.inf])
def test_seconds_without_signal_are_missing_and_hurt_no_others(what: float) -> None:
    volts = noise(2, 40, 256.0)
    volts[0, 10 * 256 : 12 * 256] = what
    made = whole(volts, 256.0)
    assert np.isnan(made[0]).nonzero()[0].tolist() == list(range(1280, 1536))
    assert np.isfinite(made[1]).all()


def test_windows_are_spread_over_what_was_recorded(tmp_path: Path) -> None:
    path = move_records(write_edf(tmp_path / "a.edf", seconds=20), [*range(10), *range(100, 110)])
    signal = eeg.load([path])
    made = PREP(signal)
    assert np.isfinite(made.x).all()
    assert signal.gaps == ((10.0, 90.0),)
    assert [one for one in signal.annotations if one[2] == "gap"] == [(10.0, 90.0, "gap")]


def test_a_bad_channel_is_an_absent_one_to_the_bit(tmp_path: Path) -> None:
    """Flat, saturated, in another unit, no numbers: the same answer as from a file without it."""
    volts = noise(19, 40, 128.0)
    row, keep = CHANNELS.index("P3"), np.arange(19) != CHANNELS.index("P3")
    fewer = EegRecording(volts[keep], tuple(np.array(CHANNELS)[keep]), 128.0)
    absent = PREP(fewer)
    for how in (np.float32(0), np.float32(np.nan), np.float32(3e-3)):
        hurt = volts.copy()
        hurt[row] = how
        made = PREP(EegRecording(hurt, CHANNELS, 128.0))
        np.testing.assert_array_equal(made.x, absent.x)
        np.testing.assert_array_equal(made.plain, absent.plain)
        assert [flag.code for flag in made.flags] == ["eeg.channels_missing"]
    named = PREP(EegRecording(1000 * volts[[row]] + volts, CHANNELS, 128.0, bad=("P3",)))
    assert np.isnan(named.x[:, row]).all()


def test_too_few_electrodes_are_refused_and_the_floor_is_a_policy() -> None:
    floor = channel_table().floor
    volts = noise(19, 20, 128.0)
    assert np.isfinite(PREP(EegRecording(volts[:floor], CHANNELS[:floor], 128.0)).x).any()
    with pytest.raises(EvidenceError, match=f"{floor} are needed") as caught:
        PREP(EegRecording(volts[: floor - 1], CHANNELS[: floor - 1], 128.0))
    assert caught.value.code == "eeg.too_few_channels"


def test_pages_give_what_an_array_gives(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "a.edf", seconds=150, sfreq_hz=256)
    opened = eeg.open_recording(path)
    held = eeg.load([path])
    assert isinstance(held.volts, np.ndarray)
    paged = EegRecording(opened.pages, held.channels, held.sfreq_hz)
    one, two = PREP(held), PREP(paged)
    np.testing.assert_array_equal(one.x, two.x)
    np.testing.assert_array_equal(one.plain, two.plain)


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    peaks = []
    for minutes in (5, 15):
        path = write_edf(tmp_path / "a.edf", seconds=60 * minutes, sfreq_hz=256)
        opened = eeg.open_recording(path)
        signal = EegRecording(opened.pages, opened.names, opened.sfreq_hz)
        PREP(signal)
        tracemalloc.start()
        PREP(signal)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.05 * peaks[0] + 1e5
    assert peaks[1] < 25e6


READ_AND_PREPARE = """
import sys
from pathlib import Path
from clinic_mm.prep.base import plan_prep
from clinic_mm.sources.eeg import recording as eeg
from clinic_mm.task import ModalityTask
def peak():
    return next(int(line.split()[1]) // 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
prep = plan_prep("eeg", "tiny", ModalityTask(kind="eeg"))
before = peak()
signal = eeg.load([Path(sys.argv[1])])
prep(signal)
print(type(signal.volts).__name__, before, peak())
"""


@pytest.mark.parametrize(
    ("hours", "most_mb"), [(1, 90), pytest.param(24, 120, marks=[pytest.mark.long, pytest.mark.timeout(600)])]
)
def test_a_day_is_read_and_prepared_in_the_memory_of_a_minute(tmp_path: Path, hours: int, most_mb: int) -> None:
    """The same minute over and over, 19 channels at 256 Hz: a day is 0.84 GB. What comes on top of the libraries."""
    path = write_edf(tmp_path / "a.edf", seconds=60, sfreq_hz=256)
    minute = without_annotations(path.read_bytes())
    parts = parts_of(minute)
    with path.open("wb") as file:
        file.write(minute[:236] + b"%-8d" % (3600 * hours) + minute[244 : parts.header])
        for _ in range(60 * hours):
            file.write(minute[parts.header :])
    ended = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-W", "ignore", "-c", READ_AND_PREPARE, str(path)], capture_output=True, text=True, check=True
    )
    path.unlink()
    kind, before, after = ended.stdout.split()
    assert kind == "EdfPages"
    assert int(after) - int(before) < most_mb
