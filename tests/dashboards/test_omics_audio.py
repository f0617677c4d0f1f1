import sys
from inspect import signature

import numpy as np
import pytest

from clinic_mm.bundle import folder
from clinic_mm.modalities import BUILT_IN, modality, resolve
from clinic_mm.signals import OmicsSample, Peers

sys.path.insert(0, str(folder("dashboards")))

from components.audio import LEAST_PLAYED_HZ, drawn, spectrogram_db, to_play
from components.omics import deviations


class Others(Peers):
    def __init__(self, count: int) -> None:
        self._count = count

    @property
    def count(self) -> int:
        return self._count

    def typical(self) -> tuple[np.ndarray, np.ndarray]:
        return np.array([1.0, 5.0, 0.0, 2.0], np.float32), np.array([0.5, 1.0, 0.0, 1.0], np.float32)


def sample(count: int) -> OmicsSample:
    values = np.array([1.5, 2.0, 3.0, np.nan], np.float32)
    return OmicsSample(values, ("a", "b", "same in all", "not measured"), "log", "other", Others(count))


def test_the_most_unusual_feature_comes_first_and_what_has_no_deviation_last() -> None:
    frame = deviations(sample(40))
    assert frame["Feature"].to_list()[:2] == ["b", "a"]
    assert frame["Deviation"].to_list()[:2] == [-3.0, 1.0]
    assert frame["Deviation"].isna().to_list() == [False, False, True, True]


def test_hardly_any_peers_make_nothing_unusual() -> None:
    frame = deviations(sample(3))
    assert "Deviation" not in frame
    assert frame["Feature"].to_list() == ["same in all", "b", "a", "not measured"]


def test_a_tone_is_brightest_at_its_frequency() -> None:
    wave = np.sin(2 * np.pi * 440 * np.arange(4000) / 4000).astype(np.float32)
    db, hz = spectrogram_db(wave, 4000.0)
    assert abs(hz[db.mean(axis=1).argmax()] - 440) < 16
    assert db.max() < 0.1
    assert db.min() >= -70


def test_a_slow_recording_is_played_at_a_rate_that_browsers_have() -> None:
    played, rate = to_play(np.sin(np.arange(2000) / 9).astype(np.float32) * 0.01, 2000.0)
    assert rate == LEAST_PLAYED_HZ
    assert len(played) == 8000
    assert np.abs(played).max() == 1.0


def test_even_a_very_short_or_silent_recording_is_drawn() -> None:
    for wave in (np.zeros(200, np.float32), np.ones(10, np.float32)):
        assert drawn(wave, 2000.0, 0.0).shape[2] == 3


@pytest.mark.parametrize("kind", sorted(one.name for one in BUILT_IN))
def test_every_row_has_a_viewer_that_takes_a_signal_and_a_key(kind: str) -> None:
    parameters = signature(resolve(modality(kind).viewer)).parameters
    assert list(parameters)[1] == "key"
    assert set(list(parameters)[2:]) <= {"at", "case", "evidence", "saliency", "within"}
