"""The gist of plain summaries: what it tells of a shift, what it does not tell of a patient, the same bytes again."""

import numpy as np
import pytest
from safetensors.numpy import load, save

from clinic_mm.predict.drift import FARTHEST, DriftReference, drift_from, drift_scores, parts_of
from clinic_mm.training.drift import fit_gist
from tests import made

RNG = np.random.default_rng(0)


def plain(n: int, p: int = 12, shift: float = 0.0, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, 2)) @ np.random.default_rng(7).normal(size=(2, p))
    return common + rng.normal(size=(n, p)) + shift


def test_axes_are_in_training_standard_deviations_and_told_by_name() -> None:
    x = plain(3000)
    found = fit_gist(x)(x)
    assert parts_of(found.shape[1]) == ("axis 1", "axis 2", "axis 3", "axis 4", "remainder", "gaps")
    assert found[:, :4].std(axis=0) == pytest.approx(np.ones(4), abs=0.02)
    assert np.abs(np.corrcoef(found[:, :4].T) - np.eye(4)).max() < 0.05


@pytest.mark.parametrize("sign", [np.ones(12), np.where(np.arange(12) % 2, 1.0, -1.0)])
def test_a_shift_of_one_sd_in_every_summary_shows_in_some_part_whatever_its_direction(sign: np.ndarray) -> None:
    gist, x = fit_gist(plain(2000)), plain(2000, seed=2)
    before, after = gist(x), gist(x + sign * x.std(axis=0))
    moved = np.abs(after.mean(axis=0) - before.mean(axis=0))[:5] / before.std(axis=0)[:5]
    assert moved.max() > 0.5


def test_another_unit_of_one_summary_and_a_summary_that_is_no_longer_sent_show() -> None:
    gist, x = fit_gist(plain(2000) + 5), plain(400, seed=3) + 5
    other, gone = x.copy(), x.copy()
    other[:, 3] *= 18.0
    gone[:, 3] = np.nan
    assert gist(other)[:, 4].mean() > gist(x)[:, 4].mean() + 2
    assert gist(gone)[:, 5] == pytest.approx(1 / 12, abs=1e-3)
    assert np.isfinite(gist(np.full((2, 12), np.nan))).all()
    assert np.isfinite(gist(np.full((2, 12), 1e30))).all()
    assert np.abs(gist(np.full((1, 12), np.inf))).max() < FARTHEST * 12


@pytest.mark.parametrize("p", [1, 2, 40])
def test_few_summaries_many_and_constant_ones_are_borne(p: int) -> None:
    x = plain(30, p)
    x[:, 0] = 4.0
    assert np.isfinite(fit_gist(x)(x)).all()


def test_what_is_kept_comes_back_from_its_file_to_the_bit() -> None:
    gist = fit_gist(plain(50))
    kept = DriftReference({"ct": gist}, {"ct": gist(plain(50))}, {"as it came/ct+eeg": RNG.normal(size=(9, 2))})
    arrays = kept.to_arrays()
    again = drift_from(load(save(arrays))).to_arrays()
    assert list(again) == list(arrays)
    assert all(again[key].tobytes() == arrays[key].tobytes() for key in arrays)


def test_only_present_modalities_have_a_gist_and_none_where_nothing_is_kept() -> None:
    prepared = made.prepared(("record", "note"), 30)
    kept = DriftReference({"record": fit_gist(prepared.plain["record"][prepared.present[:, 0]])})
    found = drift_scores(kept, prepared)
    assert [set(one) for one in found] == [{"record"} if has else set() for has in prepared.present[:, 0]]
    assert drift_scores(None, prepared) == [{}] * 30
