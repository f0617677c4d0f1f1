"""Laws of a deployed model: another runtime answers the same, and bfloat16 answers only where no decision moves."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from clinic_mm.encoders.run import Spoken, run_encoder
from clinic_mm.encoders.runtime.opened import FOLDER, Shelf
from clinic_mm.encoders.runtime.setting import Runtime
from clinic_mm.errors import UsageError
from clinic_mm.jobs import precision
from clinic_mm.jobs.precision import check_narrow, read_narrowing
from clinic_mm.predict.artifact import load_model, save_model
from clinic_mm.predict.deploy import deployed, load_deployed, runtime_told
from clinic_mm.predict.experts import Expert
from clinic_mm.predict.model import Model, listen, subset_probabilities
from clinic_mm.predict.narrow import Narrowing, narrowing
from clinic_mm.predict.predictor import predict_cases
from clinic_mm.prep.batch import PreparedCases

CLOSE = 1e-4
NARROW = Runtime(precision="bfloat16")


@pytest.fixture(scope="module")
def folder(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("deployed") / "model"
    save_model(model, where)
    load_deployed(where)
    return where


def test_a_deployed_model_gives_the_same_answers_and_decisions(
    folder: Path, model: Model, cases: PreparedCases
) -> None:
    opened, model_hash = load_deployed(folder)
    mine, theirs = predict_cases(opened, model_hash, cases), predict_cases(model, model_hash, cases)
    for one, other in zip(mine, theirs, strict=True):
        for key, p in one.subsets.items():
            np.testing.assert_allclose(p, other.subsets[key], atol=CLOSE)
        assert (one.decision, one.prediction_set, one.abstained) == (
            other.decision,
            other.prediction_set,
            other.abstained,
        )
        assert one.shapley == pytest.approx(other.shapley, abs=CLOSE)


def test_it_says_what_runs_its_networks(folder: Path, model: Model) -> None:
    told = runtime_told(load_deployed(folder)[0])
    assert "OpenVINO" in told
    assert "float32 (note, eeg, record)" in told
    assert "PyTorch" in runtime_told(model)
    plain = replace(model, experts=tuple(replace(expert, encoder=None) for expert in model.experts))
    assert runtime_told(deployed(plain, Runtime(), Shelf(None, ""))) == ""


def test_graphs_beside_the_artifact_change_neither_its_hash_nor_its_files(folder: Path, model: Model) -> None:
    assert len([path for path in (folder / FOLDER).rglob("*") if path.is_file()]) == 3
    loaded, model_hash = load_model(folder)
    assert load_deployed(folder)[1] == model_hash
    assert save_model(loaded, folder) == model_hash, "an artifact may be written over its earlier self"


# --- bfloat16


@dataclass
class _Turned:
    """A network that says the opposite: what rounding could do at worst."""

    expert: Expert
    told = "a network that was turned round"

    def __call__(self, x: np.ndarray) -> Spoken:
        assert self.expert.encoder is not None
        said = run_encoder(self.expert.encoder, x)
        return Spoken(said.tokens, said.summary, -20 * said.logits)


def _turned(model: Model) -> Model:
    return replace(model, experts=tuple(replace(expert, session=_Turned(expert)) for expert in model.experts))


def test_a_moved_decision_is_found_counted_and_named(model: Model, cases: PreparedCases) -> None:
    found = narrowing(model, _turned(model), "h", cases)
    p = [subset_probabilities(m, listen(m, cases), *_native(cases)) for m in (model, _turned(model))]
    answers = (p[0].argmax(axis=1) != p[1].argmax(axis=1)).sum()
    assert found.moved >= answers > 0
    assert not found.allowed
    assert set(found.named) <= {case.case_key for case in cases.cases}
    assert any("answer" in what for what in found.named.values())
    assert found.largest_difference >= np.abs(p[0] - p[1]).max() - 1e-9


def _native(cases: PreparedCases) -> tuple[np.ndarray, np.ndarray]:
    some = np.flatnonzero(cases.present.any(axis=1))
    return some, cases.present[some]


def test_what_moves_nothing_is_allowed_and_no_case_is_no_proof(model: Model, cases: PreparedCases) -> None:
    same = narrowing(model, model, "h", cases)
    assert same.allowed
    assert (same.moved, same.largest_difference) == (0, 0.0)
    nowhere = {name: np.full_like(row, -1) for name, row in cases.row.items()}
    nothing = {name: x[:0] for name, x in cases.x.items()}
    nobody = replace(cases, present=np.zeros_like(cases.present), row=nowhere, x=nothing)
    assert not narrowing(model, model, "h", nobody).allowed


def test_both_sides_are_compared_as_workers_will_answer(
    folder: Path, cases: PreparedCases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prediction sets are decisions, and another level moves other ones."""
    readied, compared = list[Model](), list[Model]()

    def ready(given: Model) -> Model:
        readied.append(replace(given))
        return readied[-1]

    def narrowing_of(wide: Model, narrow: Model, model_hash: str, _: PreparedCases) -> Narrowing:
        compared.extend((wide, narrow))
        return Narrowing(model_hash=model_hash, cases=1, moved=0, named={}, largest_difference=0.0)

    monkeypatch.setattr(precision, "narrowing", narrowing_of)
    check_narrow(folder, NARROW, lambda: cases, tmp_path, lambda _: None, ready=ready)
    assert [id(one) for one in compared] == [id(one) for one in readied]
    assert [precision_of(one) for one in compared] == ["float32", "bfloat16"]


def precision_of(model: Model) -> str:
    return "bfloat16" if "bfloat16" in runtime_told(model) else "float32"


def test_bfloat16_is_looked_at_once_and_refused_with_its_reason_where_a_decision_moves(
    folder: Path, cases: PreparedCases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, asked = list[str](), list[int]()

    def prepare() -> PreparedCases:
        asked.append(1)
        return cases

    check_narrow(folder, Runtime(), prepare, tmp_path, said.append)
    assert not asked, "float32 needs no check"
    opened: Callable[..., tuple[Model, str]] = load_deployed

    def worst(where: Path, runtime: Runtime) -> tuple[Model, str]:
        model, model_hash = opened(where, runtime)
        return (_turned(model) if runtime == NARROW else model), model_hash

    monkeypatch.setattr(precision, "load_deployed", worst)
    for _ in range(2):
        with pytest.raises(UsageError, match=r"bfloat16 moves \d+ of 24 decisions.*--precision float32"):
            check_narrow(folder, NARROW, prepare, tmp_path, said.append)
    assert len(asked) == 1, "what was found stands in the run"
    with pytest.raises(UsageError, match="bfloat16 moves"):
        check_narrow(folder, NARROW, prepare, tmp_path, said.append, rests_on="another cohort, another level")
    assert len(asked) == 2, "what was found of one cohort, or at one level, says nothing of another"
    found = read_narrowing(tmp_path)
    assert found is not None
    assert "turned round" in found.bfloat16
    assert not said
    monkeypatch.undo()
    (tmp_path / precision.FILE).write_text("{")
    try:
        check_narrow(folder, NARROW, prepare, tmp_path, said.append)
        assert "moves none of" in said[0]
    except UsageError as error:
        assert "moves" in error.what  # noqa: PT017 - these networks are drawn: a case may stand on the edge
    again = read_narrowing(tmp_path)
    assert again is not None
    assert 0 < again.largest_difference < 0.1, "bfloat16 is another precision, and near"
