"""The arrays that the figures of docs/trust.md are made of are what stored Predictions give, and shifts are found."""

import numpy as np
import pytest

from benchmarks import streams
from clinic_mm.evaluate.monitor.policy import read_policy
from clinic_mm.evaluate.monitor.scores import stream_of
from clinic_mm.evaluate.monitor.watch import watch_stream
from clinic_mm.jobs.monitor_reference import reference_of_model
from clinic_mm.predict.model import Model
from clinic_mm.predict.predictor import predict_cases

POLICY = read_policy()


@pytest.fixture(scope="module")
def model() -> Model:
    return streams.fitted(streams.prepared_of(streams.drawn(600, 1)))


def test_arrays_are_what_stored_predictions_give(model: Model) -> None:
    prepared = streams.prepared_of(streams.drawn(60, 2, first=5000))
    ours = streams.stream_of_prepared(model, prepared, "h")
    theirs = stream_of([p for p in predict_cases(model, "h", prepared) if p.pattern], POLICY.reference)
    assert list(ours.frame["case_key"]) == list(theirs.frame["case_key"])
    for score, values in theirs.values.items():
        np.testing.assert_allclose(ours.values[score], values, atol=1e-6, err_msg=str(score))
    np.testing.assert_array_equal(ours.sets, theirs.sets)
    np.testing.assert_array_equal(ours.set_n, theirs.set_n)


def test_a_fitted_model_is_its_own_reference_until_the_evidence_moves(model: Model) -> None:
    known = reference_of_model(model, "m")
    cases = streams.drawn(700, 3, first=5000)
    quiet = watch_stream(streams.stream_of_prepared(model, streams.prepared_of(cases)), known, POLICY)
    assert not quiet.state.alarms
    moved = streams.prepared_of(cases.shifted(1, 1.0, 300))
    state = watch_stream(streams.stream_of_prepared(model, moved), known, POLICY).state
    assert state.alarms[0].name == "xray"
    assert 300 < state.alarms[0].at.number < 500
