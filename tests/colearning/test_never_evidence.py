"""Nothing generated is ever evidence: what a bridge puts in an empty place helps the network and counts nowhere."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from clinic_mm.predict.model import Model
from clinic_mm.predict.predictor import predict_cases
from clinic_mm.prep.batch import PreparedCases
from clinic_mm.training.fit import fit_method
from clinic_mm.training.learnt import Learnt, learn
from clinic_mm.training.methods import network
from clinic_mm.training.methods.base import method
from tests import made

KINDS = ("record", "note")
FILLING = ("missing_tokens", "shared_specific", "translate")
each_filling = pytest.mark.parametrize("name", FILLING)


@cache
def _cases() -> PreparedCases:
    return made.prepared(KINDS, 72, missing=0.35)


@cache
def _learnt() -> Learnt:
    task = made.task(KINDS, folds=2, train={"epochs": 0, "threads": 1})
    return learn(_cases(), made.recipe(KINDS), task)


@cache
def _model(name: str) -> Model:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "FEWEST_STEPS", 8)
        patch.setattr(network, "MOST_STEPS", 8)
        return fit_method(_learnt(), method(name))


@each_filling
def test_pattern_explanation_and_set_know_only_what_is_present(name: str) -> None:
    plain = {p.case_key: p for p in predict_cases(_model("perceiver"), "h", _cases())}
    for prediction, present in zip(predict_cases(_model(name), "h", _cases()), _cases().present, strict=True):
        there = tuple(sorted(kind for kind, here in zip(KINDS, present, strict=True) if here))
        assert prediction.pattern == there
        assert set(prediction.shapley) == set(there)
        assert set(prediction.subsets) == set(plain[prediction.case_key].subsets)
        assert prediction.prediction_set.n == plain[prediction.case_key].prediction_set.n
        assert {m.modality for m in prediction.missing} == set(KINDS) - set(there)


@each_filling
def test_an_answer_says_that_something_not_evidence_stands_for_what_is_absent(name: str) -> None:
    for prediction in predict_cases(_model(name), "h", _cases()):
        told = [notice for notice in prediction.notices if notice.startswith("Not evidence")]
        absent = sorted(set(KINDS) - set(prediction.pattern))
        assert len(told) == bool(absent)
        assert all(kind in told[0] for kind in absent)
    assert not any("Not evidence" in n for p in predict_cases(_model("prompts"), "h", _cases()) for n in p.notices)


@each_filling
def test_a_case_with_nothing_gets_the_prior_whatever_could_be_generated(name: str) -> None:
    model, one = _model(name), _cases()
    empty = replace(
        one,
        x={kind: x[:0] for kind, x in one.x.items()},
        row={kind: np.full(len(one), -1) for kind in KINDS},
        present=np.zeros_like(one.present),
        time_h=np.full_like(one.time_h, np.nan),
    )
    for prediction in predict_cases(model, "h", empty):
        assert prediction.pattern == ()
        assert prediction.abstained
        np.testing.assert_allclose(prediction.probabilities, model.pool.prior, atol=1e-6)
