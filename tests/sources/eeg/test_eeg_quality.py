"""Bad channels are named and left out, the recording goes on; the mains are heard."""

from pathlib import Path

import numpy as np
import pytest
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError
from clinic_mm.prep.eeg import EegPrep
from clinic_mm.sources.eeg import recording as eeg
from clinic_mm.sources.eeg.quality import Quality, judge
from clinic_mm.task import ModalityTask
from tests.sources.eeg.edf_files import SIGNAL_FIELDS, parts_of, patch, write_edf

NAMES = tuple(f"c{i}" for i in range(8))
RAILS = np.tile(np.array([-300e-6, 300e-6], np.float32), (8, 1))


def noise(seconds: float = 60, sfreq_hz: float = 256) -> Array:
    rng = np.random.default_rng(0)
    return (20e-6 * rng.standard_normal((8, round(seconds * sfreq_hz)))).astype(np.float32)


def judged(volts: Array, rails: Array | None = RAILS) -> Quality:
    return judge(volts, NAMES, 256.0, [(0, volts.shape[1])], rails)


def test_a_good_recording_has_nothing_to_say() -> None:
    assert judged(noise()) == Quality((), ())


@pytest.mark.parametrize(
    ("code", "values"),
    [
        ("eeg.flat_channel", np.float32(3e-5)),
        ("eeg.not_finite", np.float32(np.nan)),
        ("eeg.scale", 30 * np.random.default_rng(1).standard_normal(60 * 256).astype(np.float32)),
        ("eeg.saturated", np.clip(4e-4 * np.sin(np.arange(60 * 256) / 40), -3e-4, 3e-4).astype(np.float32)),
    ],
)
def test_a_bad_channel_is_named_and_the_others_go_on(code: str, values: Array) -> None:
    volts = noise()
    volts[2] = values
    seen = judged(volts)
    assert seen.bad == ("c2",)
    assert [(flag.code, "c2" in flag.why) for flag in seen.flags] == [(code, True)]


def test_a_pause_of_a_channel_is_said_and_the_channel_stays() -> None:
    volts = noise()
    volts[3, 256 * 10 : 256 * 15] = 0
    seen = judged(volts)
    assert seen.bad == ()
    assert [(flag.code, flag.why) for flag in seen.flags] == [("eeg.flat_seconds", "No signal for up to 5 s in c3")]


def test_values_beyond_the_range_of_the_header_are_said() -> None:
    volts = noise()
    volts[4, 1000] = 5e-4
    assert [flag.code for flag in judged(volts).flags] == ["eeg.beyond_range"]


@pytest.mark.parametrize("hz", [50, 60])
@pytest.mark.parametrize("channels", [1, 8])
def test_the_mains_are_heard_with_their_frequency_and_in_how_many_channels(hz: int, channels: int) -> None:
    volts = noise()
    volts[:channels] += (20e-6 * np.sin(2 * np.pi * hz * np.arange(volts.shape[1]) / 256)).astype(np.float32)
    (flag,) = judged(volts).flags
    assert flag.code == "eeg.line_noise"
    assert flag.why == f"{hz} Hz from the mains in {channels} of 8 channels"


@pytest.mark.parametrize("hz", [10, 40, 47])
def test_a_rhythm_of_the_brain_is_not_the_mains(hz: int) -> None:
    volts = noise() + (20e-6 * np.sin(2 * np.pi * hz * np.arange(60 * 256) / 256)).astype(np.float32)
    assert judged(volts).flags == ()


@pytest.mark.parametrize("seconds", [0.5, 1.5, 3])
def test_short_recordings_are_judged_too(seconds: float) -> None:
    assert judged(noise(seconds)).bad == ()


def test_nothing_left_is_refused() -> None:
    with pytest.raises(EvidenceError) as caught:
        judged(np.full_like(noise(), np.nan))
    assert caught.value.code == "eeg.not_finite"


def test_judging_in_parts_forgets_no_part() -> None:
    volts = noise(100)
    volts[1, -256 * 60 :] = 0
    seen = judge(volts, NAMES, 256.0, [(0, 256 * 40), (256 * 40, 25600)], None)
    assert seen.bad == ("c1",)


def test_the_answer_with_a_bad_channel_is_the_answer_without_it(tmp_path: Path) -> None:
    """The whole path: a file with a dead electrode, and the same file with that signal called something else."""
    path = write_edf(tmp_path / "a.edf", seconds=12)
    parts = parts_of(path.read_bytes())
    size = 128 * 2
    data = bytearray(path.read_bytes())
    for record in range(parts.records):
        at = parts.header + record * parts.record + 5 * size
        data[at : at + size] = bytes(size)
    path.write_bytes(data)
    prep = EegPrep.plan("tiny", ModalityTask(kind="eeg"))
    with_bad = eeg.load([path])
    low, _ = parts.field("label", 5)
    without = eeg.load([patch(path, low, b"ECG".ljust(SIGNAL_FIELDS["label"][1]))])
    assert with_bad.bad == ("F4",)
    assert "F4" in with_bad.channels
    assert "F4" not in without.channels
    one, two = prep(with_bad), prep(without)
    np.testing.assert_array_equal(one.x, two.x)
    np.testing.assert_array_equal(one.plain, two.plain)
