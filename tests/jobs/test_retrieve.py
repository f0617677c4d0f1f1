"""`clinic-mm retrieve` on the small SIMULATED cohort: what a person sees, and what is refused."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.cohort.task_cases import task_cases
from clinic_mm.jobs.retrieve import nearest
from clinic_mm.jobs.retrieve_figures import retrieval_figures
from clinic_mm.jobs.space import Use
from clinic_mm.predict.artifact import load_model, save_model
from clinic_mm.predict.model import listen
from clinic_mm.predict.seen import unseen
from clinic_mm.prep.batch import prepare_cases
from clinic_mm.prep.cache import open_cache
from clinic_mm.training.methods.base import Lesson, method
from clinic_mm.training.train import training_cases
from clinic_mm.types import CaseRecord
from tests.cli.terminal import run
from tests.conftest import Trained

SIDES = {"looked_from": ("xray",), "looked_in": ("note",)}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def model(trained: Trained, kept: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The trained model, joined by a shared space instead."""
    loaded, _ = load_model(trained.model)
    cohort = open_cohort(trained.cohort)
    cases = training_cases(cohort, loaded.task, 0.4)
    prepared = prepare_cases(cases, cohort.roots, loaded.recipe, cache=open_cache(kept, 1.0))
    rows = np.flatnonzero(prepared.present.any(axis=1))
    heard, labels, patients = listen(loaded, prepared), prepared.labels, prepared.patients
    lesson = Lesson(heard, labels, patients, loaded.pool.prior, rows, loaded.task, seed=0)
    joined = replace(loaded, joined=method("cca").learn(lesson))
    folder = tmp_path_factory.mktemp("joined") / "model"
    save_model(joined, folder)
    return folder


def full(trained: Trained) -> CaseRecord:
    cohort = open_cohort(trained.cohort)
    return next(case for case in cohort.cases("label") if len(case.pattern) == 3)


def options(kept: Path) -> tuple[str, ...]:
    return "--workers", "1", "--cache", str(kept)


def test_the_nearest_cases_are_told_by_key_and_the_own_patient_is_not_among_them(
    trained: Trained, model: Path, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = full(trained).case_key
    words = ("retrieve", model, trained.cohort, "--from", "xray", "--to", "note", "--case", key, "--k", "4")
    said = run(capsys, *words, *options(kept), "--json")
    assert said.code == 0
    told = said.json
    assert isinstance(told, dict)
    near = told["near"]
    assert len(near) == 4
    assert key not in [one["case_key"] for one in near]
    assert all("note" in one["has"] for one in near)
    similarity = [one["similarity"] for one in near]
    assert similarity == sorted(similarity, reverse=True)
    assert all(-1 <= s <= 1 for s in similarity)
    assert 1 <= told["own_rank"] <= told["n_gallery"] + 1
    assert told["simulated"] is True
    labels = {case.case_key: case.label for case in open_cohort(trained.cohort).cases("label")}
    classes = load_model(model)[0].task.classes
    assert [one["label"] for one in near] == [classes[labels[one["case_key"]]] for one in near]
    shown = run(capsys, *words, *options(kept))
    assert all(one["case_key"] in shown.out for one in near)
    assert "SIMULATED" in shown.out


def test_who_was_trained_on_is_said(trained: Trained, model: Path, kept: Path) -> None:
    found = nearest(
        model,
        trained.cohort,
        case_key=full(trained).case_key,
        looked_in=("note",),
        k=1000,
        use=Use(cache=open_cache(kept, 1.0)),
    )
    loaded, _ = load_model(model)
    new = {case.case_key for case in unseen(task_cases(open_cohort(trained.cohort), loaded.task), loaded.facts)}
    assert {one.case_key for one in found.near if not one.trained_on} <= new
    assert any(one.trained_on for one in found.near)
    assert len(found.near) == found.n_gallery


def test_files_are_a_query_as_predict_takes_them(trained: Trained, model: Path, kept: Path) -> None:
    """The X-ray of a case, given as a file, finds what the case itself finds, and the case's own note beside."""
    cohort, use = open_cohort(trained.cohort), Use(cache=open_cache(kept, 1.0))
    case = full(trained)
    evidence = case.usable("xray")[0]
    path = cohort.roots[evidence.root] / evidence.paths[0]
    by_key = nearest(model, trained.cohort, case_key=case.case_key, **SIDES, k=3, use=use)
    by_file = nearest(model, trained.cohort, paths={"xray": [path]}, looked_in=("note",), k=4, use=use)
    assert by_file.own_rank is None
    assert by_file.looked_from == ("xray",)
    others = [one for one in by_file.near if one.case_key != case.case_key]
    assert [one.case_key for one in others][:3] == [one.case_key for one in by_key.near]


def test_figures_are_of_unseen_patients_beside_chance(trained: Trained, model: Path, kept: Path) -> None:
    figures = retrieval_figures(model, trained.cohort, **SIDES, use=Use(cache=open_cache(kept, 1.0)))
    loaded, _ = load_model(model)
    new = unseen(task_cases(open_cohort(trained.cohort), loaded.task), loaded.facts)
    assert figures["n_gallery"].max() <= sum("note" in case.pattern for case in new)
    assert set(figures["right"]) == {"same patient", *loaded.task.classes}
    assert set(figures["figure"]) == {"R@1", "R@5", "R@10", "MAP", "median rank"}
    parts = figures[figures["figure"] != "median rank"][["value", "low", "high", "chance"]]
    assert parts.stack().between(0, 1).all()


def test_without_sides_every_direction_is_scored(
    trained: Trained, model: Path, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = run(capsys, "retrieve", model, trained.cohort, "--evaluate", *options(kept))
    assert said.code == 0
    assert "same patient" in said.out
    figures = run(capsys, "retrieve", model, trained.cohort, "--evaluate", "--json", *options(kept)).json
    assert isinstance(figures, list)
    assert len({(row["from"], row["to"]) for row in figures}) == 6


@pytest.mark.parametrize(
    ("words", "code", "word"),
    [
        ((), 2, "--case"),
        (("--case", "0000000000000000"), 3, "no case of this key"),
        (("--case", "KEY", "--from", "xrya"), 2, "does not know xrya"),
        (("--case", "KEY", "--evaluate"), 2, "--evaluate"),
        (("--evaluate", "--from", "xray"), 2, "--to"),
        (("--case", "KEY", "--xray", "there/is/none.dcm"), 2, "--case"),
    ],
)
def test_what_does_not_fit_together_is_one_line(
    trained: Trained,
    model: Path,
    kept: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    word: str,
) -> None:
    key = full(trained).case_key
    said = run(capsys, "retrieve", model, trained.cohort, *(key if w == "KEY" else w for w in words), *options(kept))
    assert said.code == code
    assert len([line for line in said.lines if line.startswith("Error")]) == 1
    assert word in said.err


def test_a_case_without_what_is_asked_says_what_it_has(
    trained: Trained, model: Path, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = next(c for c in open_cohort(trained.cohort).cases("label") if c.pattern == ("note",))
    words = ("--from", "xray", "--case", case.case_key, *options(kept))
    said = run(capsys, "retrieve", model, trained.cohort, *words)
    assert said.code == 3
    assert "It has note" in said.err


def test_a_model_without_a_shared_space_is_told_how_to_get_one(
    trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    said = run(capsys, "retrieve", trained.model, trained.cohort, "--evaluate")
    assert said.code == 2
    assert "[fusion] method" in said.err
