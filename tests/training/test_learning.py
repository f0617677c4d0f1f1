"""Feature, model and joint learning, one word each: trained, saved, and the same answers from the artifact."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy import ndarray as Array

from clinic_mm.predict.artifact import load_model, save_model
from clinic_mm.predict.model import Model, listen, native_probabilities
from clinic_mm.predict.network import JoinedNetwork
from clinic_mm.predict.predictor import predict_cases
from clinic_mm.training.fit import fit_model
from clinic_mm.training.methods import network
from tests import made
from tests.quick import few_steps, without_trees

KINDS = ("record", "xray")
LEVELS = ("feature", "model", "joint")


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    with without_trees(), few_steps(30):
        yield


@pytest.fixture(scope="module", params=LEVELS)
def model(request: pytest.FixtureRequest) -> Model:
    task = made.task(KINDS, fusion={"method": "gated", "learning": request.param})
    return fit_model(made.prepared(KINDS, 80, planted=3.0), made.recipe(KINDS), task)


def _asked(model: Model, seed: int = 7) -> tuple[Array, Array]:
    new = made.prepared(KINDS, 120, seed=seed, planted=3.0)
    return native_probabilities(model, listen(model, new)), new.labels


def test_it_tells_the_classes_of_new_cases_apart(model: Model) -> None:
    p, labels = _asked(model)
    assert ((p[:, 1] > np.median(p[:, 1])) == labels).mean() > 0.7


def test_the_artifact_answers_as_the_model_did(model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "model")
    again, _ = load_model(tmp_path / "model")
    np.testing.assert_array_equal(_asked(again)[0], _asked(model)[0])
    assert again.task.fusion == model.task.fusion


def test_every_parameter_was_trained(model: Model) -> None:
    assert isinstance(model.joined, JoinedNetwork)
    torch.manual_seed(model.task.seed + model.task.folds)
    told, arrays = model.joined.to_state()
    first = network.Network(told, torch.from_numpy(model.pool.prior.astype(np.float32)))
    still = [k for k, p in first.named_parameters() if np.array_equal(p.detach().numpy(), arrays[k]) and p.numel() > 1]
    assert still == []


def test_a_prediction_says_every_subset_and_what_the_fusion_costs(model: Model) -> None:
    new = made.prepared(KINDS, 12, seed=3)
    for prediction in predict_cases(model, "hash", new, "run"):
        assert set(prediction.subsets) >= {"", "+".join(prediction.pattern)}
        assert prediction.subsets[""] == pytest.approx(tuple(model.pool.prior), abs=1e-6)
    assert model.facts["cost"]["parameters"] > 1000
    assert model.facts["cost"]["multiply_adds"] > 1000
    assert model.facts["method"] == "gated"
