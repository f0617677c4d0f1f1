"""Nothing that is fitted knows the test rows: change them as you like, and nothing of the fit changes.

Methods are held to it in `test_methods` (rows that may not be learnt from are not); here preps that learn, the folds of
the experts, and `train` as a whole.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
import pytest

from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.cohort.split import split_patients
from clinic_mm.compare import compare, plan_of, source_of
from clinic_mm.evaluate.compared_answers import SUBSET
from clinic_mm.modalities import table
from clinic_mm.prep.base import plan_prep
from clinic_mm.task import ModalityTask, read_task
from clinic_mm.training.crossfit import cross_fit
from clinic_mm.training.train import train, training_cases
from tests import made
from tests.conftest import Trained

LEARNING = sorted(k for k in table() if k in made.SIGNALS and plan_prep(k, "tiny", ModalityTask(kind=k)).learns)
SHARE = 0.4


def test_some_preps_learn() -> None:
    assert {"record", "omics"} <= set(LEARNING)


@pytest.mark.parametrize("kind", LEARNING)
def test_a_prep_that_learns_is_what_its_training_signals_make_it(kind: str) -> None:
    """The recipe after fitting is a function of what `fit` was given: preparing others changes nothing of it."""
    planned = plan_prep(kind, "tiny", ModalityTask(kind=kind))
    train_signals = [(made.signal(kind, 0.1 * i, i), made.DECISION) for i in range(20)]
    one, two = planned.fit(train_signals), planned.fit(train_signals)
    two(made.signal(kind, 50.0, 99), made.DECISION)
    assert one.key == two.key
    assert planned.key == plan_prep(kind, "tiny", ModalityTask(kind=kind)).key


@pytest.mark.parametrize("epochs", [0, 1])
def test_an_expert_of_a_fold_does_not_know_the_fold(epochs: int) -> None:
    """One case of fold 0 is turned round: what is said of all others of fold 0 stays, to the bit."""
    kinds, n = (("xray",), 48) if epochs else (("note", "record"), 48)
    cases, recipe = made.prepared(kinds, n, missing=0.0), made.recipe(kinds)
    fold = np.arange(n) // 2 % 3
    task = made.task(kinds, folds=3, train={"epochs": epochs, "threads": 1})
    turned = replace(
        cases,
        x={name: np.concatenate([50 * x[:1], x[1:]]) for name, x in cases.x.items()},
        plain={name: np.concatenate([50 * plain[:1], plain[1:]]) for name, plain in cases.plain.items()},
        cases=(cases.cases[0].model_copy(update={"label": 1 - int(cases.labels[0])}), *cases.cases[1:]),
    )
    others = (fold == 0) & (np.arange(n) > 0)
    for name in kinds:
        one, two = (cross_fit(c, recipe, name, fold, task, lambda _: None).opinions for c in (cases, turned))
        for how, before in one.items():
            np.testing.assert_array_equal(two[how][others], before[others])
            assert how.endswith("trees") or not np.array_equal(two[how][fold != 0], before[fold != 0])


def altered(cohort: Path, folder: Path, who: set[str]) -> None:
    """The cohort with entirely other records and notes of some patients."""
    shutil.copytree(cohort, folder)
    for name in ("record", "note"):
        rows = pd.read_parquet(folder / f"{name}.parquet")
        mine = rows["patient_key"].isin(who)
        changed = {"value": 1000 - rows["value"], "code": rows["code"] + "x"} if name == "record" else {}
        changed["text"] = rows["text"].where(rows["text"] == "", "entirely other words " + rows["text"].str[::-1])
        for column, values in changed.items():
            rows[column] = rows[column].where(~mine, values)
        rows.to_parquet(folder / f"{name}.parquet", index=False)


def common(cohort: Path, folder: Path, who: set[str]) -> None:
    """The cohort with every number of some patients once more, under another code."""
    shutil.copytree(cohort, folder)
    rows = pd.read_parquet(folder / "record.parquet")
    more = rows[rows["patient_key"].isin(who) & rows["value"].notna()]
    rows = pd.concat([rows, more.assign(code=more["code"] + "x")]).sort_values(["patient_key", "time"], kind="stable")
    rows.to_parquet(folder / "record.parquet", index=False)


def patients_of(trained: Trained, share: float) -> tuple[list[str], list[str]]:
    """Patients of training and of test, as the task's seed parts them, in order."""
    cases = training_cases(open_cohort(trained.cohort), read_task(trained.task), 0.0)
    patients = [case.patient_key for case in cases]
    seed, labels = read_task(trained.task).seed, [case.label for case in cases]
    test = split_patients(patients, test_share=share, seed=seed, labels=labels)
    of = {key: bool(held) for key, held in zip(patients, test, strict=True)}
    return sorted(key for key, held in of.items() if not held), sorted(key for key, held in of.items() if held)


def test_training_is_the_same_whatever_the_test_patients_have(trained: Trained, tmp_path: Path) -> None:
    """Records and notes of all test patients are replaced; the artifact differs in nothing but what was checked."""
    folder, task = tmp_path / "cohort", read_task(trained.task)
    altered(trained.cohort, folder, set(patients_of(trained, SHARE)[1]))
    train(open_cohort(folder), task, tmp_path / "model", test_share=SHARE)
    for name in ("heads.safetensors", "calibration.json"):
        assert (tmp_path / "model" / name).read_bytes() == (trained.model / name).read_bytes()
    ours, theirs = (orjson.loads((where / "model.json").read_bytes()) for where in (tmp_path / "model", trained.model))
    for told in (ours, theirs):
        del told["facts"]["checks"]
    assert ours == theirs


def test_a_comparison_answers_a_patient_the_same_whatever_others_of_the_test_have(
    trained: Trained, tmp_path: Path
) -> None:
    """A code of a few training patients becomes common by half of the test: nothing is answered otherwise."""
    task = read_task(trained.task)
    small = task.model_copy(update={"modalities": ("record", "note")})
    training, test = patients_of(trained, 0.5)
    few, who = set(training[:4]), set(test[: len(test) // 2])
    common(trained.cohort, tmp_path / "one", few)
    common(trained.cohort, tmp_path / "other", few | who)
    plan, found, learnt = plan_of("prior", repeats=1, test_share=0.5, draws=20), [], []
    for place in (tmp_path / "one", tmp_path / "other"):
        cohort, out = open_cohort(place), tmp_path / f"compared {place.name}"
        learnt.append(source_of(cohort, small).recipe.preps["record"].key)
        compare(cohort, small, out, plan)
        split = out / "splits" / "1"
        cases = pd.read_parquet(split / "cases.parquet")
        frames = [pd.read_parquet(path) for path in sorted(split.glob("*.parquet")) if path.stem != "cases"]
        unchanged = ~cases["patient_key"].isin(who)
        keys = cases["case_key"].to_numpy()
        # Which parameters are dropped is drawn for all cases together, so only the whole of what each has is compared.
        some = [f[unchanged.to_numpy()[f["case"]] & (f["kind"] == SUBSET)] for f in frames]
        found.append([f.assign(case=keys[f["case"]]).reset_index(drop=True) for f in some])
    assert learnt[0] != learnt[1], "a recipe of all cases would know them, or this shows nothing"
    assert sum(map(len, found[0])) > 100
    for one, two in zip(*found, strict=True):
        pd.testing.assert_frame_equal(one, two, check_exact=True)
