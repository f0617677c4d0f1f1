from typing import Any

import numpy as np
import pytest

from clinic_mm.errors import UsageError
from clinic_mm.simulate.case import make_case
from clinic_mm.simulate.latent import MECHANISMS, NOTE_VALUES, Missing, World, draw, draw_case, note_level


@pytest.mark.parametrize("missing", MECHANISMS)
@pytest.mark.parametrize("rate", [0.0, 0.3, 0.8])
def test_each_modality_is_absent_at_the_rate(missing: Missing, rate: float) -> None:
    draws = draw(World(missing=missing, rate=rate, synergy=True), np.random.default_rng(0), 100_000)
    np.testing.assert_allclose(1 - draws.present.mean(axis=0), rate, atol=0.01)


def test_mar_looks_only_at_the_anchor_and_mnar_only_at_itself() -> None:
    rng = np.random.default_rng(1)
    mar, mnar = (draw(World(missing=m), rng, 100_000) for m in ("MAR", "MNAR"))
    anchor = World().anchor
    seen = mar.present[:, anchor]
    assert np.corrcoef(mar.v[seen, anchor], mar.present[seen, 0])[0, 1] > 0.2
    assert abs(np.corrcoef(mar.v[~seen, anchor], mar.present[~seen, 0])[0, 1]) < 0.02
    assert np.corrcoef(mnar.v[:, 0], mnar.present[:, 0])[0, 1] > 0.2


def test_latents_are_as_far_apart_as_said_and_xor_is_a_coin_alone() -> None:
    world = World(synergy=True)
    draws = draw(world, np.random.default_rng(2), 200_000)
    gap = draws.e[draws.y == 1].mean(axis=0) - draws.e[draws.y == 0].mean(axis=0)
    np.testing.assert_allclose(gap, world.deltas, atol=0.03)
    product = draws.e[:, 0] * draws.e[:, 1]
    assert product[draws.y == 1].mean() - product[draws.y == 0].mean() > 1.5


def test_a_note_is_the_level_of_its_latent() -> None:
    assert note_level(NOTE_VALUES).tolist() == list(range(13))


@pytest.mark.parametrize("missing", MECHANISMS)
def test_a_case_never_has_nothing(missing: Missing) -> None:
    world = World(("ct", "note"), missing, 0.95)
    rng = np.random.default_rng(0)
    assert all(draw_case(world, rng).present.any() for _ in range(200))


def test_a_case_depends_on_seed_and_number_alone() -> None:
    world = World()
    forward = [make_case(world, seed=5, number=i) for i in range(4)]
    backward = [make_case(world, seed=5, number=i) for i in reversed(range(4))]
    assert forward == backward[::-1]
    assert make_case(world, seed=6, number=0).e != forward[0].e


def test_about_two_in_a_hundred_have_a_late_study_and_sex_and_age_say_nothing() -> None:
    cases = [make_case(World(), seed=1, number=i) for i in range(1500)]
    assert 0.01 < np.mean([bool(c.late) for c in cases]) < 0.035
    labels = [c.label for c in cases]
    assert abs(np.corrcoef(labels, [c.age for c in cases])[0, 1]) < 0.1
    assert abs(np.corrcoef(labels, [c.sex == "male" for c in cases])[0, 1]) < 0.1
    assert all(0 <= (c.decision_time.date() - c.birth_date).days / 365.25 - c.age < 1.01 for c in cases)


@pytest.mark.parametrize(
    "wrong",
    [
        {"modalities": ()},
        {"modalities": ("ct", "ct")},
        {"modalities": ("mri",)},
        {"missing": "NMAR"},
        {"rate": 1.0},
        {"modalities": ("ct",), "synergy": True},
    ],
)
def test_what_cannot_be_simulated_is_refused_with_the_mend(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as refused:
        World(**wrong)
    assert refused.value.mend
