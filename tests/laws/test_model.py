"""Laws of a whole model: kept as a folder without loss, and blind to what it should not see."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest

from clinic_mm.errors import ArtifactError
from clinic_mm.predict.artifact import load_model, save_model
from clinic_mm.predict.model import Model, listen, native_probabilities
from clinic_mm.predict.prediction import Prediction
from clinic_mm.predict.predictor import predict_cases
from clinic_mm.prep.batch import PreparedCases
from tests.laws.conftest import NAMES


def _numbers(prediction: Prediction) -> np.ndarray:
    return np.array([*prediction.subsets.values()])


def _rows(cases: PreparedCases, order: list[int]) -> PreparedCases:
    """Some of the cases in another order, stacked anew."""
    there = {name: row[order] >= 0 for name, row in cases.row.items()}
    return PreparedCases(
        tuple(cases.cases[k] for k in order),
        cases.names,
        {name: x[cases.row[name][order][there[name]]] for name, x in cases.x.items()},
        {name: np.where(here, np.cumsum(here) - 1, -1) for name, here in there.items()},
        {name: plain[order] for name, plain in cases.plain.items()},
        cases.present[order],
        cases.time_h[order],
        tuple(cases.outcomes[k] for k in order),
    )


def test_a_model_that_was_saved_and_loaded_predicts_the_same_bits(
    model: Model, cases: PreparedCases, tmp_path: Path
) -> None:
    model_hash = save_model(model, tmp_path / "model")
    loaded, same_hash = load_model(tmp_path / "model")
    assert same_hash == model_hash
    assert predict_cases(loaded, model_hash, cases) == predict_cases(model, model_hash, cases)
    assert loaded.recipe.names == model.recipe.names == NAMES, "columns keep the order of the task"
    assert save_model(loaded, tmp_path / "again") == model_hash, "a copy is the same artifact to the byte"
    assert not list((tmp_path / "model").glob("*.p*k*l*"))


def test_one_case_alone_is_answered_as_among_many(model: Model, cases: PreparedCases) -> None:
    many = predict_cases(model, "h", cases)
    for k in (0, 5, 23):
        alone = predict_cases(model, "h", _rows(cases, [k]))[0]
        np.testing.assert_allclose(_numbers(alone), _numbers(many[k]), rtol=1e-5)
        assert alone.prediction_set == many[k].prediction_set


def test_permuting_cases_permutes_predictions(model: Model, cases: PreparedCases) -> None:
    many, order = predict_cases(model, "h", cases), np.random.default_rng(0).permutation(24).tolist()
    for k, prediction in zip(order, predict_cases(model, "h", _rows(cases, order)), strict=True):
        assert prediction.case_key == many[k].case_key
        np.testing.assert_allclose(_numbers(prediction), _numbers(many[k]), rtol=1e-5)


@pytest.mark.parametrize("junk", [0.0, 1e9])
def test_what_stands_where_nothing_is_present_changes_no_answer(
    junk: float, model: Model, cases: PreparedCases
) -> None:
    plain = {
        name: np.where(cases.present[:, [k]], cases.plain[name], junk).astype(np.float32)
        for k, name in enumerate(cases.names)
    }
    time_h = np.where(cases.present, cases.time_h, junk)
    before, after = (
        native_probabilities(model, listen(model, c)) for c in (cases, replace(cases, plain=plain, time_h=time_h))
    )
    np.testing.assert_array_equal(before, after)


def test_a_case_with_nothing_gets_the_prior_and_an_abstention(model: Model, cases: PreparedCases) -> None:
    case = _rows(cases, [0])
    one = replace(
        case,
        x={name: x[:0] for name, x in case.x.items()},
        row={name: np.array([-1]) for name in NAMES},
        present=np.zeros((1, 3), bool),
        time_h=np.full((1, 3), np.nan),
    )
    (prediction,) = predict_cases(model, "h", one)
    assert prediction.probabilities == (0.7, 0.3)
    assert prediction.subsets == {"": (0.7, 0.3)}
    assert (prediction.decision, prediction.pattern, prediction.shapley) == ("", (), {})
    assert prediction.abstained
    assert predict_cases(model, "h", _rows(cases, [])) == []


@pytest.mark.parametrize("file", ["model.json", "calibration.json", "heads.safetensors", "networks.safetensors"])
def test_one_changed_byte_is_refused(file: str, model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path)
    content = bytearray((tmp_path / file).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / file).write_bytes(content)
    with pytest.raises(ArtifactError, match=f"{file} is not what was written"):
        load_model(tmp_path)


def test_another_version_half_a_folder_and_no_model_are_refused(model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path)
    manifest = orjson.loads((tmp_path / "manifest.json").read_bytes())
    (tmp_path / "manifest.json").write_bytes(orjson.dumps(manifest | {"schema_version": "9.0"}))
    with pytest.raises(ArtifactError, match=r"unknown version 9\.0"):
        load_model(tmp_path)
    lacking = {"files": {k: v for k, v in manifest["files"].items() if k != "calibration.json"}}
    (tmp_path / "manifest.json").write_bytes(orjson.dumps(manifest | lacking))
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_model(tmp_path)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(ArtifactError, match="not a model folder"):
        load_model(tmp_path)
    with pytest.raises(ArtifactError, match="holds something else"):
        save_model(model, tmp_path)


def test_a_file_that_a_manifest_names_outside_its_folder_is_not_opened(model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "model")
    (tmp_path / "secret").write_bytes(b"x")
    manifest = orjson.loads((tmp_path / "model" / "manifest.json").read_bytes())
    manifest["files"]["../secret"] = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    (tmp_path / "model" / "manifest.json").write_bytes(orjson.dumps(manifest))
    with pytest.raises(ArtifactError, match="not what was written"):
        load_model(tmp_path / "model")


def test_predictions_survive_json_and_their_hash_ignores_run_and_time(model: Model, cases: PreparedCases) -> None:
    prediction = predict_cases(model, "h", cases, "run-1")[3]
    assert Prediction.model_validate_json(prediction.model_dump_json()) == prediction
    assert predict_cases(model, "h", cases, "run-2")[3].content_hash == prediction.content_hash
    moved = prediction.model_copy(update={"probabilities": (0.5, 0.5)})
    assert moved.content_hash != prediction.content_hash
