"""One pass finds the exact extremes, the spectrogram of a well-kept library, and the bad channels of the reader."""

import json
from base64 import b64decode
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal as dsp

from clinic_mm.errors import ArtifactError
from clinic_mm.sources.eeg.recording import load, open_eeg
from clinic_mm.viewing.eeg_overview import COLUMNS, overview, regions
from clinic_mm.viewing.eeg_pyramid import FACTOR, PyramidBuilder
from clinic_mm.viewing.eeg_survey import from_bytes, survey, to_bytes
from clinic_mm.viewing.spectrogram import SpectrogramBuilder
from tests.viewing.test_eeg_page import FORMATS, made


def cuts(samples: int, at: list[int]) -> list[tuple[int, int]]:
    edges = sorted({0, samples, *(min(samples, one) for one in at)})
    return list(pairwise(edges))


@settings(max_examples=40, deadline=None)
@given(
    samples=st.integers(1, 5000),
    cell=st.integers(1, 9),
    at=st.lists(st.integers(0, 5000), max_size=6),
    gap=st.tuples(st.integers(0, 5000), st.integers(0, 600)),
)
def test_every_cell_of_every_level_is_exact_whatever_the_cuts(
    samples: int, cell: int, at: list[int], gap: tuple[int, int]
) -> None:
    volts = np.random.default_rng(samples).normal(size=(2, samples)).astype(np.float32)
    volts[:, gap[0] : gap[0] + gap[1]] = np.nan
    builder = PyramidBuilder(2, samples, cell)
    for a, b in reversed(cuts(samples, at)):
        builder.add(a, volts[:, a:b])
    pyramid = builder.pyramid()
    for depth, level in enumerate(pyramid.levels):
        width = cell * FACTOR**depth
        assert level.shape[2] == -(-samples // width)
        for place in range(0, level.shape[2], max(1, level.shape[2] // 7)):
            piece = volts[:, place * width : (place + 1) * width]
            with np.errstate(all="ignore"):
                expected = [np.fmin.reduce(piece, axis=1), np.fmax.reduce(piece, axis=1)]
            np.testing.assert_array_equal(level[:, :, place], expected)


def test_columns_cover_the_span_and_fit() -> None:
    volts = np.random.default_rng(1).normal(size=(3, 200_000)).astype(np.float32)
    builder = PyramidBuilder(3, 200_000, 64)
    builder.add(0, volts)
    pyramid = builder.pyramid()
    for start, stop, most in ((0, 200_000, 500), (1000, 9000, 1000), (150_001, 200_000, 60)):
        first, width, values = pyramid.columns(start, stop, most)
        assert values.shape[2] <= most
        assert first <= start
        assert first + width * values.shape[2] >= stop
        assert first % width == 0
        assert values[1].max() >= volts[:, start:stop].max()


def test_the_spectrogram_is_welchs_whatever_the_cuts() -> None:
    sfreq, samples = 100.0, 100 * 61
    rng = np.random.default_rng(3)
    volts = (rng.normal(size=(2, samples)) * 2e-5 + 3e-5 * np.sin(np.arange(samples) * 2 * np.pi * 10 / sfreq)).astype(
        np.float32
    )
    whole, pieces = (SpectrogramBuilder(2, samples, sfreq) for _ in range(2))
    whole.add(0, volts)
    for a, b in cuts(samples, [7, 333, 334, 2000, 4111]):
        pieces.add(a, volts[:, a:b])
    found = whole.spectrogram()
    np.testing.assert_array_equal(pieces.spectrogram().db, found.db)
    for column in (0, 12, 29):
        piece = volts[:, column * 200 : (column + 1) * 200].astype(float) * 1e6
        freqs, power = dsp.welch(piece, sfreq, window="hann", nperseg=200, noverlap=0)
        np.testing.assert_allclose(freqs[1:61], found.freqs_hz)
        np.testing.assert_allclose(found.db[:, :, column], 10 * np.log10(power[:, 1:61]), atol=0.03)  # float16
    assert np.isnan(found.db[:, :, 30]).all()  # half a window
    assert found.freqs_hz[np.argmax(found.mean_of([0, 1])[:, 5])] == 10.0


def test_a_survey_outlives_the_disk_and_damage_is_told() -> None:
    found = survey(made(90.0))
    again = from_bytes(to_bytes(found))
    assert again.quality == found.quality
    for one, two in zip(again.pyramid.levels, found.pyramid.levels, strict=True):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(again.spectrogram.db, found.spectrogram.db)
    with pytest.raises(ArtifactError):
        from_bytes(to_bytes(found)[:-40])


def test_a_recording_refused_as_a_whole_is_shown_with_the_reason() -> None:
    flat = replace(made(), volts=np.zeros((19, 128 * 20), np.float32))
    seen = survey(flat)
    assert seen.quality.bad == flat.channels
    assert [flag.code for flag in seen.quality.flags] == ["eeg.flat"]


@pytest.mark.realdata
@pytest.mark.parametrize("name", FORMATS)
def test_the_pass_names_the_bad_channels_of_the_reader_and_the_extremes_of_the_file(data: Path, name: str) -> None:
    path = data / "eeg" / "formats" / name
    loaded, opened = load([path]), open_eeg([path])
    seen = survey(opened)
    assert seen.quality.bad == loaded.bad
    volts = np.asarray(loaded.volts)
    np.testing.assert_array_equal(np.fmin.reduce(seen.pyramid.levels[-1][0], axis=1), volts.min(axis=1))
    np.testing.assert_array_equal(np.fmax.reduce(seen.pyramid.levels[-1][1], axis=1), volts.max(axis=1))
    shown = json.loads(json.dumps(overview(opened, seen), allow_nan=False))
    assert all(len(b64decode(one["levels"])) == shown["columns"] * shown["frequencies"] for one in shown["regions"])
    assert len(shown["amplitude"]["typical_uv"]) == len(shown["amplitude"]["most_uv"]) <= COLUMNS


def test_regions_are_the_sides_of_the_head_without_bad_channels() -> None:
    names = ("Fp1", "Fp2", "Cz", "O1", "O2", "X1")
    assert regions(names, [0, 1, 2, 4, 5]) == {"Left": [0], "Right": [1, 4]}
    assert regions(("X1", "X2"), [0, 1]) == {"All": [0, 1]}
    assert regions(names, []) == {}
