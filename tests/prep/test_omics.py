"""Omics: scales are their equations, components are principal ones of training cases, a model keeps its assay."""

import math

import numpy as np
import pytest
from sklearn.decomposition import PCA

from clinic_mm.errors import EvidenceError, TaskError
from clinic_mm.prep.base import NothingKnownError, Prep, make_prep, plan_prep
from clinic_mm.prep.omics import components
from clinic_mm.signals import OmicsSample
from clinic_mm.sources.omics.scales import comparable
from clinic_mm.task import ModalityTask
from clinic_mm.training.heads import fit_ridge

NAMES = tuple(f"g{k}" for k in range(1200))
EMPTY = {"most": 300, "components": 8, "scale": "", "features": [], "centre": "", "spread": "", "weights": ""}


def sample(values: np.ndarray, names: tuple[str, ...] = NAMES, scale: str = "log") -> OmicsSample:
    return OmicsSample(values.astype(np.float32), names, scale, "other")


def cohort(n: int = 60, seed: int = 0) -> tuple[list[OmicsSample], np.ndarray]:
    """Far more features than cases; 80 of them follow v, and vary more for it."""
    rng = np.random.default_rng(seed)
    v = rng.normal(size=n)
    values = rng.normal(8, 1, (n, len(NAMES)))
    values[:, :80] += v[:, None] * np.where(np.arange(80) % 2, 1.0, -1.0)
    return [sample(row) for row in values], v


def fitted(samples: list[OmicsSample]) -> Prep[OmicsSample]:
    made: Prep[OmicsSample] = make_prep("omics", EMPTY).fit((one, None) for one in samples)
    return made


def test_scales_are_their_equations() -> None:
    given = [0.0, 3.0, 997.0]
    for scale, loop in {
        "counts": [math.log(1 + 1e6 * c / sum(given)) for c in given],
        "rate": [math.log(1 + r) for r in given],
        "log": given,
    }.items():
        np.testing.assert_allclose(comparable(np.array(given), scale), loop, rtol=1e-5)
    beta = [0.0, 0.25, 0.9]
    loop = [math.log2(min(max(b, 0.001), 0.999) / (1 - min(max(b, 0.001), 0.999))) for b in beta]
    np.testing.assert_allclose(comparable(np.array(beta), "beta"), loop, rtol=1e-5)
    assert np.isnan(comparable(np.array([np.nan, 4.0, 4.0]), "counts")[0])
    both = np.array([[1.0, 3.0], [5.0, 5.0]])
    np.testing.assert_array_equal(comparable(both, "counts")[1], comparable(both[1], "counts"))


def test_components_are_whitened_principal_ones() -> None:
    z = np.random.default_rng(0).normal(size=(20, 50)) * np.linspace(1, 3, 50)
    weights = components(z, 6)
    known = PCA(6, whiten=True, svd_solver="full").fit_transform(z)
    ours = (z - z.mean(axis=0)) @ weights
    np.testing.assert_allclose(np.abs(ours), np.abs(known), atol=1e-4)
    assert (weights[np.abs(weights).argmax(axis=0), np.arange(6)] > 0).all(), "no sign is left to chance"
    assert components(z[:3], 6).shape == (50, 2), "three cases have two components"
    assert components(np.ones((4, 5)), 3).shape == (5, 1)


def test_far_more_features_than_cases_still_tell_what_they_carry() -> None:
    samples, v = cohort(120)
    prep = fitted(samples[:80])
    x = np.stack([prep(one).plain for one in samples])
    assert np.abs(np.corrcoef(np.c_[x[80:], v[80:]].T)[-1, :-1]).max() > 0.9
    head = fit_ridge(x[:80], (v[:80] > 0).astype(int), 2, seed=0)
    assert (head.predict(x[80:]).argmax(axis=1) == (v[80:] > 0)).mean() > 0.85
    np.testing.assert_allclose(x[:80].std(axis=0, ddof=1), 1.0, rtol=1e-3)


def test_a_sample_is_matched_by_names_whatever_its_order_and_more() -> None:
    samples, _ = cohort()
    prep, one = fitted(samples), samples[3]
    order = np.random.default_rng(1).permutation(len(NAMES))
    turned = sample(one.values[order], tuple(NAMES[k] for k in order))
    more = sample(np.append(one.values, 99.0), (*NAMES, "another"))
    for other in (turned, more):
        np.testing.assert_allclose(prep(other).x, prep(one).x, atol=1e-5)


def test_samples_of_several_files_need_not_have_the_same_features() -> None:
    samples, _ = cohort()
    shorter = [sample(one.values[1:], NAMES[1:]) for one in samples[:6]] + samples[6:]
    prep = fitted(shorter)
    assert "g0" in prep.recipe["features"], "most of them have it"
    fewer = [sample(one.values[1:], NAMES[1:]) for one in samples[:40]] + samples[40:]
    assert "g0" not in fitted(fewer).recipe["features"]


def test_missing_features_count_as_average_up_to_a_half() -> None:
    samples, _ = cohort()
    prep, one = fitted(samples), samples[0]
    kept = prep.recipe["features"]
    some = sample(np.where(np.isin(NAMES, kept[::4]), np.nan, one.values))
    assert [flag.code for flag in prep(some).flags] == ["omics.features_missing"]
    average = sample(np.full(len(NAMES), np.nan))
    for strange in (average, sample(one.values, tuple(f"x{name}" for name in NAMES))):
        with pytest.raises(EvidenceError) as caught:
            prep(strange)
        assert caught.value.code == "omics.few_features"


def test_a_model_keeps_the_scale_it_was_trained_on() -> None:
    samples, _ = cohort()
    with pytest.raises(EvidenceError) as caught:
        fitted(samples)(sample(np.abs(samples[0].values), scale="rate"))
    assert caught.value.code == "omics.other_scale"


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (sample(np.ones(len(NAMES)), scale="counts"), "given as log and as counts"),
        (sample(np.ones(900), tuple(f"m{k}" for k in range(900))), "hardly any feature"),
    ],
)
def test_several_assays_in_one_modality_are_a_mistake_of_the_task(other: OmicsSample, says: str) -> None:
    samples, _ = cohort(12)
    with pytest.raises(TaskError, match=says):
        fitted([*samples, *[other] * 12])
    with pytest.raises(TaskError, match="No feature varies"):
        fitted([samples[0]] * 5)


def test_without_a_training_sample_nothing_is_known() -> None:
    planned: Prep[OmicsSample] = plan_prep("omics", "tiny", ModalityTask(kind="omics"))
    prep = planned.fit([])
    assert prep.shape == (0,)
    with pytest.raises(NothingKnownError):
        prep(cohort(2)[0][0])


def test_nothing_of_the_peers_reaches_a_model() -> None:
    samples, _ = cohort()
    prep, one = fitted(samples), samples[0]

    class Loud:
        count = 3

        def typical(self) -> None:
            raise AssertionError

    with_peers = OmicsSample(one.values, one.features, one.scale, one.ids, Loud())  # type: ignore[arg-type]
    np.testing.assert_array_equal(prep(with_peers).x, prep(one).x)
