"""From prepared cases to a model: honest on noise, better than the prior on signal, the same bytes twice."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy import ndarray as Array
from safetensors.torch import save

from clinic_mm.errors import TaskError
from clinic_mm.predict.artifact import save_model
from clinic_mm.predict.model import Model, listen, native_probabilities
from clinic_mm.predict.predictor import predict_cases
from clinic_mm.prep.batch import PreparedCases
from clinic_mm.task import Budget
from clinic_mm.training import fit, heads
from clinic_mm.training.encode import train_encoder
from clinic_mm.training.fit import fit_model
from tests import made
from tests.quick import without_trees

KINDS = ("record", "note")
PLAIN = {"epochs": 0, "threads": 1}


@pytest.fixture(scope="module")
def _no_trees() -> Iterator[None]:
    with without_trees():
        yield


@pytest.fixture(scope="module")
def model() -> Model:
    """With everything that is tried for 80 cases: networks, and trees of few rounds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "MOST_ROUNDS", heads.ROUNDS_AT_ONCE)
        return fit_model(made.prepared(KINDS, 80), made.recipe(KINDS), made.task(KINDS))


def _nll(p: Array, y: Array) -> float:
    return float(-np.log(p[np.arange(len(y)), y]).mean())


def _on_new(model: Model, seed: int = 7, **more: object) -> tuple[Array, PreparedCases]:
    new = made.prepared(model.names, 200, seed=seed, **more)  # type: ignore[arg-type]
    return native_probabilities(model, listen(model, new)), new


def test_planted_signal_is_found_and_the_answer_beats_the_prior(model: Model) -> None:
    p, new = _on_new(model)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert _nll(p, new.labels) < np.log(2) - 0.1
    assert (p.argmax(axis=1) == new.labels).mean() > 0.7


def test_every_subset_is_answered_and_coverage_is_near_its_level(model: Model) -> None:
    new = made.prepared(KINDS, 200, seed=7)
    predictions = predict_cases(model, "hash", new, "run")
    for prediction, present in zip(predictions, new.present, strict=True):
        assert set(prediction.subsets) >= {"", "+".join(prediction.pattern)}
        assert len(prediction.subsets) == 2 ** present.sum()
        assert all(sum(p) == pytest.approx(1.0) for p in prediction.subsets.values())
        assert prediction.probabilities == prediction.subsets["+".join(prediction.pattern)]
        odds = {key: np.log(p[1] / p[0]) for key, p in prediction.subsets.items()}
        assert sum(prediction.shapley.values()) == pytest.approx(odds["+".join(prediction.pattern)] - odds[""])
        assert prediction.subsets[""] == tuple(model.pool.prior)
    truth = [model.task.classes[y] for y in new.labels]
    covered = np.mean([t in p.prediction_set.classes for t, p in zip(truth, predictions, strict=True)])
    assert covered > model.task.level - 0.1


def test_the_model_says_how_it_was_made(model: Model) -> None:
    facts = model.facts
    assert facts["n_cases"] == 80
    assert facts["n_patients"] == 70
    assert facts["classes"] == {"negative": 40, "positive": 40}
    assert sum(facts["patterns"].values()) == 80  # type: ignore[union-attr]
    assert set(facts["experts"]) == set(KINDS)  # type: ignore[arg-type]
    assert facts["verdict"]["words"]  # type: ignore[index,call-overload]
    against = {row["against"] for row in facts["verdict"]["rows"]}  # type: ignore[index,call-overload]
    assert {"late_average", "concat", "best single"} <= against
    told = str(facts["patients_sha256"])
    assert "p000" not in told
    assert len(facts["patients_sha256"]) == 70  # type: ignore[arg-type]


@pytest.mark.usefixtures("_no_trees")
def test_shuffled_labels_are_answered_with_almost_the_prior() -> None:
    labels = np.random.default_rng(3).permutation(np.arange(80) % 2)
    task = made.task(KINDS, train=PLAIN)
    model = fit_model(made.prepared(KINDS, 80, labels=labels), made.recipe(KINDS), task)
    p, new = _on_new(model)
    assert _nll(p, new.labels) < np.log(2) + 0.05
    assert p[:, 1].std() < 0.15
    assert "pays:" not in str(model.facts["verdict"]["words"]).replace("that fusion pays:", "")  # type: ignore[index,call-overload]


@pytest.mark.usefixtures("_no_trees")
def test_three_classes_and_one_modality_are_fitted_too() -> None:
    task = made.task(("note",), kind="multiclass", classes=["a", "b", "c"], train=PLAIN)
    model = fit_model(made.prepared(("note",), 90, n_classes=3, missing=0.1), made.recipe(("note",)), task)
    p, new = _on_new(model, n_classes=3)
    assert p.shape == (200, 3)
    assert _nll(p, new.labels) < np.log(3) - 0.1


@pytest.mark.usefixtures("_no_trees")
def test_the_same_seed_gives_the_same_bytes_with_networks_and_residual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "FEWEST_FOR_RESIDUAL", 40)
    monkeypatch.setattr("clinic_mm.training.residual.MOST_STEPS", 5)
    monkeypatch.setattr("clinic_mm.training.secondlevel.Verdict.kept", property(lambda _: True))
    cases, task = made.prepared(KINDS, 70), made.task(KINDS, seed=5, folds=2)
    for name in ("one", "two"):
        torch.manual_seed(len(name) * hash(name) % 97)  # whatever was drawn before
        save_model(fit_model(cases, made.recipe(KINDS), task), tmp_path / name)
    for file in ("networks.safetensors", "heads.safetensors", "calibration.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


@pytest.mark.parametrize("kind", ["eeg", "record", "xray"])
def test_the_same_seed_gives_the_same_network_and_another_seed_another(kind: str) -> None:
    cases = made.prepared((kind,), 24, missing=0.0)

    def trained(seed: int) -> bytes:
        budget = Budget(epochs=1, batch=8)
        encoder = train_encoder(kind, cases.x[kind], cases.labels, 2, size="tiny", budget=budget, seed=seed)
        return save(encoder.state_dict())

    before = torch.get_rng_state()
    first = trained(1)
    assert torch.equal(torch.get_rng_state(), before), "the draws of others are left alone"
    assert trained(1) == first
    assert trained(2) != first


def _refused(cases: PreparedCases, **more: object) -> TaskError:
    with pytest.raises(TaskError) as caught:
        fit_model(cases, made.recipe(cases.names), made.task(cases.names, train=PLAIN, **more))
    assert caught.value.mend
    return caught.value


def test_what_cannot_be_fitted_is_refused_with_the_mend() -> None:
    assert "12 training cases are too few" in str(_refused(made.prepared(KINDS, 12)))
    unlabelled = np.arange(30) % 2
    unlabelled[4] = -1
    assert "no label" in str(_refused(made.prepared(KINDS, 30, labels=unlabelled)))
    alone = made.prepared(KINDS, 30)
    alone.present[:, 1] = False
    assert "No training case has note" in str(_refused(alone))
    assert "fold would lack it" in str(_refused(made.prepared(KINDS, 30, labels=(np.arange(30) < 2).astype(int))))


def _hardly_anyone(n: int) -> PreparedCases:
    """Only the first `n` of 40 cases have a note."""
    cases = made.prepared(KINDS, 40, missing=0.0)
    has = np.arange(40) < n
    return replace(
        cases,
        x={**cases.x, "note": cases.x["note"][:n]},
        row={**cases.row, "note": np.where(has, np.arange(40), -1)},
        plain={**cases.plain, "note": np.where(has[:, None], cases.plain["note"], np.nan)},
        present=np.stack([cases.present[:, 0], has], axis=1),
    )


def test_a_modality_that_one_patient_has_is_refused_by_name() -> None:
    assert "Too few training cases have note" in str(_refused(_hardly_anyone(1)))


@pytest.mark.usefixtures("_no_trees")
def test_a_modality_that_few_have_is_answered_all_the_same() -> None:
    rare = _hardly_anyone(4)
    model = fit_model(rare, made.recipe(KINDS), made.task(KINDS, train=PLAIN))
    p = native_probabilities(model, listen(model, rare))
    assert np.isfinite(p).all()
    np.testing.assert_allclose(p.sum(axis=1), 1)
