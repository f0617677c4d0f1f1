"""What a head reads of a subset: NaN where nobody speaks, flags at the end, and nothing of the absent."""

import numpy as np

from clinic_mm.fusion.heard import Heard
from clinic_mm.fusion.joined import restored
from clinic_mm.predict.headed import Headed, table
from clinic_mm.predict.heads import RidgeHead

PRIOR = np.array([0.6, 0.3, 0.1])
NAMES = ("a", "b")


def _heard() -> Heard:
    rng = np.random.default_rng(0)
    present = np.array([[True, True], [True, False]])
    plain = {"a": rng.normal(size=(2, 2)), "b": np.array([[1.0], [np.nan]])}
    return Heard(NAMES, plain, rng.dirichlet(np.ones(3), (2, 2)), present, np.full((2, 2), np.nan), {})


def test_opinions_are_log_odds_against_the_first_class_beyond_the_prior_then_flags() -> None:
    heard = _heard()
    x = table("opinions", heard, PRIOR, np.array([0, 0, 1]), np.array([[True, True], [False, True], [True, False]]))
    for row, case, here in ((0, 0, (1, 1)), (1, 0, (0, 1)), (2, 1, (1, 0))):
        expected = []
        for m in range(2):
            p = heard.opinions[case, m]
            for c in (1, 2):
                odds = np.log(p[c] / p[0]) - np.log(PRIOR[c] / PRIOR[0])
                expected.append(odds if here[m] else np.nan)
        np.testing.assert_allclose(x[row], [*expected, *here], rtol=1e-9)


def test_plain_summaries_stand_side_by_side_with_flags() -> None:
    heard = _heard()
    x = table("plain", heard, PRIOR, np.array([0, 0]), np.array([[True, True], [False, True]]))
    np.testing.assert_array_equal(x[0].astype(np.float32), np.float32([*heard.plain["a"][0], 1.0, 1, 1]))
    np.testing.assert_array_equal(x[1], [np.nan, np.nan, 1.0, 0, 1])


def test_nobody_gives_the_log_prior_and_state_keeps_every_bit() -> None:
    rng = np.random.default_rng(1)
    f = 6
    edges = (np.zeros(f), np.full(f, -9.0), np.full(f, 9.0), np.zeros(0, np.int64), np.zeros(f), np.ones(f))
    joined = Headed(NAMES, PRIOR, "opinions", RidgeHead(*edges, rng.normal(size=(3, f)), rng.normal(size=3)))
    case, present = np.array([0, 1, 0]), np.array([[True, True], [False, False], [False, True]])
    logits = joined.logits(_heard(), case, present)
    np.testing.assert_array_equal(logits[1], np.log(PRIOR))
    np.testing.assert_array_equal(restored("headed", *joined.to_state()).logits(_heard(), case, present), logits)
    np.testing.assert_allclose(np.exp(logits).sum(axis=1), 1.0)
    assert joined.cost().parameters == 21
