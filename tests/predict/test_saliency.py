"""What hiding shows is meant: laws of occlusion, planted lesions and discharges found, SIMULATED."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.saliency import KINDS, latents
from clinic_mm.predict.experts import Expert
from clinic_mm.predict.saliency.asked import Asked
from clinic_mm.predict.saliency.bands import gains, split
from clinic_mm.predict.saliency.explain import explain
from clinic_mm.predict.saliency.occlusion import Plan, centres, filled, hidden, occlusion_map
from clinic_mm.prep.base import Prep, plan_prep
from clinic_mm.prep.resample import resize
from clinic_mm.signals import CtVolume, EegRecording, Signal, XrayImage
from clinic_mm.task import ModalityTask
from clinic_mm.training.heads import fit_ridge

EVERYWHERE = np.ones((32, 32), bool)


def prep_of(kind: str) -> Prep[Signal]:
    return plan_prep(kind, "tiny", ModalityTask(kind=kind))


def drawn(kind: str, v: float, seed: int = 0) -> tuple[Signal, object]:
    return KINDS[kind].draw(v, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def experts() -> dict[str, Expert]:
    """Ridge on plain summaries of 80 rendered cases each, both ends of the scale."""
    made = {}
    for kind in KINDS:
        prep, rng = prep_of(kind), np.random.default_rng(7)
        y = np.arange(80) % 2
        plain = np.stack([prep(KINDS[kind].draw(2.0 * (2 * k - 1) + rng.normal(), rng)[0]).plain for k in y])
        made[kind] = Expert(kind, kind, "plain ridge", fit_ridge(plain, y, 2, seed=0, groups=np.arange(80)), None)
    return made


def test_an_occluder_hides_its_box_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    image = rng.random((20, 24)).astype(np.float32)
    out = hidden(image, np.zeros_like(image), (10.0, 4.0), side=6, soft=2)
    assert (out[8:13, 2:7] == 0).all(), "all of it inside"
    away = np.ones_like(image, bool)
    away[6:15, 0:9] = False
    assert (out[away] == image[away]).all()
    assert ((out <= image) & (out >= 0)).all()


def test_the_map_of_a_weighted_sum_is_what_hiding_each_cell_costs() -> None:
    """The plain loop, cell by cell, for occluders as wide as a cell."""
    rng = np.random.default_rng(1)
    image, weights = rng.random((32, 32)).astype(np.float32), rng.normal(size=(32, 32))
    plan = Plan(stride=4, sides=(4,), soft=1e-3, window=9)

    def ask(versions: Iterator[np.ndarray]) -> np.ndarray:
        return np.array([(weights * one).sum() for one in versions])

    found, times = occlusion_map(image, EVERYWHERE, float((weights * image).sum()), ask, plan)
    lost = weights * (image - filled(image, 9))
    plain = lost.reshape(8, 4, 8, 4).sum(axis=(1, 3))
    assert times == 64
    np.testing.assert_allclose(found, plain, atol=1e-4)


def test_a_coarse_to_fine_map_peaks_where_the_full_one_does_and_asks_less() -> None:
    image = np.zeros((48, 48), np.float32)
    image[30:36, 9:15] = 1.0

    def ask(versions: Iterator[np.ndarray]) -> np.ndarray:
        return np.array([one.sum() for one in versions])

    where = np.ones((48, 48), bool)
    full = occlusion_map(image, where, image.sum(), ask, Plan(3, (12, 9), 1.0, 21))
    quick = occlusion_map(image, where, image.sum(), ask, Plan(3, (12, 9), 1.0, 21, refined=2))
    assert quick[1] < full[1] / 3
    peaks = [np.array(np.unravel_index(m.argmax(), m.shape)) for m, _ in (full, quick)]
    assert np.abs(peaks[0] - peaks[1]).max() <= 1
    assert np.abs(centres(48, 3)[peaks[1]] - (32.5, 11.5)).max() <= 3


def test_air_around_the_body_is_not_hidden() -> None:
    where = np.zeros((32, 32), bool)
    where[8:16, 8:16] = True
    found, times = occlusion_map(
        np.random.default_rng(2).random((32, 32)).astype(np.float32),
        where,
        0.0,
        lambda versions: np.array([-1.0 for _ in versions]),
        Plan(4, (4,), 1.0, 9),
    )
    assert times == 4
    assert np.count_nonzero(found) == 4


def test_bands_add_up_to_the_signal_that_the_prep_hears() -> None:
    inside = gains(np.linspace(0.6, 38, 500)).sum(axis=0)
    np.testing.assert_allclose(inside, 1.0, atol=1e-9)
    t = np.arange(128 * 20) / 128
    volts = np.stack([np.sin(2 * np.pi * 10 * t), np.sin(2 * np.pi * 6 * t)]).astype(np.float32)
    parts = split(volts, 128.0)
    middle = slice(256, -256)
    np.testing.assert_allclose(parts.sum(axis=0)[:, middle], volts[:, middle], atol=5e-3)
    power = parts[:, :, middle].std(axis=2)
    assert power[:, 0].argmax() == 2, "alpha"
    assert power[:, 1].argmax() == 1, "theta"


@pytest.mark.parametrize("kind", KINDS)
def test_a_prep_that_holds_where_it_looks_says_the_same_of_what_it_looked_at(kind: str) -> None:
    prep, (signal, _) = prep_of(kind), drawn(kind, 1.0)
    before, after = prep(signal), prep.looking_as_in(signal)(signal)
    np.testing.assert_array_equal(before.plain, after.plain)
    np.testing.assert_array_equal(before.x, after.x)


@pytest.mark.parametrize("kind", ["xray", "ct"])
def test_a_resized_signal_is_prepared_as_the_whole_one(kind: str) -> None:
    prep, rng = prep_of(kind), np.random.default_rng(4)
    if kind == "xray":
        large: Signal = XrayImage(rng.random((300, 210)).astype(np.float32))
        small: Signal = XrayImage(resize(large.grey, prep.shape[1:]))  # type: ignore[attr-defined]
    else:
        large = CtVolume(rng.normal(-300, 300, (70, 60, 50)).astype(np.float32), (1.0, 1.0, 1.0))
        small = CtVolume(resize(large.hu, prep.shape[1:]), (1.0, 1.0, 1.0))
    np.testing.assert_array_equal(prep(large).plain, prep(small).plain)


@pytest.mark.parametrize("kind", ["xray", pytest.param("ct", marks=pytest.mark.long)])
def test_the_peak_lies_within_one_stride_of_the_planted_lesion(experts: dict[str, Expert], kind: str) -> None:
    ask = Asked(experts[kind], prep_of(kind), 1)
    signal, truth = next(one for one in (drawn(kind, 2.5, seed) for seed in range(11, 40)) if ask.one(one[0]) > 1.4)
    found = explain(experts[kind], prep_of(kind), signal, 1)
    hit, chance, _ = KINDS[kind].hits(found, signal, truth)
    assert hit
    assert chance < 0.15


def test_the_window_and_the_channel_of_a_planted_discharge_are_found(experts: dict[str, Expert]) -> None:
    signal, onsets = drawn("eeg", 2.5, 11)
    assert isinstance(signal, EegRecording)
    short = replace(signal, volts=signal.volts[:, : 10 * 128])
    found = explain(experts["eeg"], prep_of("eeg"), short, 1)
    assert KINDS["eeg"].hits(found, short, onsets)[0]
    assert found.arrays["cells"].shape == (19, 20, 5)
    assert np.isfinite(found.arrays["time_band"]).all()


def test_hiding_all_there_is_to_see_takes_the_answer_back(experts: dict[str, Expert]) -> None:
    """The lesion hidden, the expert says about what it says of a case without one."""
    signal, truth = drawn("xray", 2.5, 11)
    assert isinstance(signal, XrayImage)
    ask = Asked(experts["xray"], prep_of("xray").looking_as_in(signal), 1)
    spot = truth
    gone = hidden(signal.grey, filled(signal.grey, 33), (spot.row, spot.column), 24, 2.0)  # type: ignore[attr-defined]
    assert ask.one(XrayImage(gone)) < ask.one(signal) - 2


def test_latents_follow_the_simulator() -> None:
    source = latents("ct", np.random.default_rng(0))
    some = [next(source) for _ in range(4000)]
    y, v = (np.array(part) for part in zip(*some, strict=True))
    assert y.mean() == pytest.approx(0.3, abs=0.03)
    assert v[y == 1].mean() - v[y == 0].mean() == pytest.approx(1.0, abs=0.12)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["xray", "ct"])
def test_a_model_of_permuted_labels_does_not_point(experts: dict[str, Expert], kind: str) -> None:
    """Adebayo et al., arXiv 1810.03292: what points all the same shows the image, not the model."""
    prep, rng = prep_of(kind), np.random.default_rng(8)
    y = np.arange(80) % 2
    plain = np.stack([prep(KINDS[kind].draw(2.0 * (2 * k - 1) + rng.normal(), rng)[0]).plain for k in y])
    shuffled = fit_ridge(plain, rng.permutation(y), 2, seed=0, groups=np.arange(80))
    lost = replace(experts[kind], head=shuffled)
    ask = Asked(experts[kind], prep, 1)
    sure = [one for one in (drawn(kind, 2.5, seed) for seed in range(50, 75)) if ask.one(one[0]) > 1.4][:6]
    hits = {
        name: sum(KINDS[kind].hits(explain(expert, prep, signal, 1), signal, truth)[0] for signal, truth in sure)
        for name, expert in (("true", experts[kind]), ("lost", lost))
    }
    assert len(sure) == 6
    assert hits["true"] >= 5
    assert hits["lost"] <= 2
