"""The truth of a simulated cohort meets its cases: the distance to the limit is of the same cases, or is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from clinic_mm.cohort.ingest import ingest
from clinic_mm.cohort.manifest import Cohort
from clinic_mm.cohort.public import public_key
from clinic_mm.cohort.task_cases import task_cases
from clinic_mm.compare import compare, plan_of
from clinic_mm.errors import InputError
from clinic_mm.evaluate.compared_answers import SUBSET, Compared, Repeat
from clinic_mm.evaluate.distance import distances
from clinic_mm.known import known_of
from clinic_mm.simulate.cohort import write_cohort
from clinic_mm.task import parse_task

CASES = 120
TASK = parse_task({"target": "label", "modalities": ["record", "note"]})


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("known") / "sim"
    write_cohort(folder, cases=CASES, seed=3, modalities=("record", "note"))
    return folder


@pytest.fixture(scope="module")
def cohort(written: Path) -> Cohort:
    work = written.parent / "work"
    return ingest(written, work / "cohort", key=public_key(work))


def test_the_generators_answer_to_a_case_is_the_one_that_truth_csv_states(written: Path, cohort: Cohort) -> None:
    best = known_of([written / "limit.json"], public_key(written.parent / "work")).best
    assert best is not None
    truth = pd.read_csv(written / "truth.csv")
    cases = [case for case in task_cases(cohort, TASK) if case.label is not None]
    assert len(cases) == CASES
    both = [case for case in cases if case.pattern == ("note", "record")]
    odds = [p[1] / p[0] for p in best([case.case_key for case in both], "note+record")]
    full = truth[(truth["present_record"] == 1) & (truth["present_note"] == 1)]
    np.testing.assert_allclose(sorted(np.log(odds)), sorted(full["log_odds"]), rtol=1e-9)
    assert {case.label for case in both} == {0, 1}
    assert roc_auc_score([case.label for case in both], odds) == roc_auc_score(full["label"], full["log_odds"])


def test_the_best_possible_answers_are_at_no_distance_from_themselves(written: Path, cohort: Cohort) -> None:
    known = known_of([written / "limit.json"], public_key(written.parent / "work"))
    assert known.best is not None
    labelled = [case for case in task_cases(cohort, TASK) if "record" in case.pattern and case.label is not None]
    keys = [case.case_key for case in labelled]
    cases = pd.DataFrame(
        {
            "case_key": keys,
            "patient_key": [case.patient_key for case in labelled],
            "label": [case.label for case in labelled],
            "own": ["+".join(case.pattern) for case in labelled],
        }
    )
    right = known.best(keys, "record")
    order = np.random.default_rng(0).permutation(len(keys))  # answers may stand in any order of the cases
    rows = {"case": order, "pattern": "record", "kind": SUBSET, "rate": 0.0}
    frames = {
        "best": pd.DataFrame({**rows, "p_0": right[order, 0], "p_1": right[order, 1]}),
        "wrong": pd.DataFrame({**rows, "p_0": right[order, 1], "p_1": right[order, 0]}),
    }
    compared = Compared((Repeat(cases, frames, 0),), 50)
    same = distances(compared, known.best, "best").set_index("pattern").loc["record"]
    assert (same["distance"], same["distance_low"], same["distance_high"]) == (0, 0, 0)
    turned = distances(compared, known.best, "wrong").set_index("pattern").loc["record"]
    assert turned["distance"] == pytest.approx(2 * same["best"] - 1)
    assert turned["distance_low"] > 0


def test_the_truth_of_another_cohort_is_refused(written: Path, tmp_path: Path) -> None:
    other = tmp_path / "secret.key"
    best = known_of([written / "limit.json"], other).best
    assert best is not None
    with pytest.raises(InputError, match="does not know the cases") as refused:
        best(["0123456789abcdef"], "record")
    assert "--key" in str(refused.value)


def test_a_comparison_refuses_the_truth_of_another_cohort_before_it_fits(
    written: Path, cohort: Cohort, tmp_path: Path
) -> None:
    plan, limit, key = (
        plan_of("average", repeats=1, test_share=0.3, draws=50),
        written / "limit.json",
        tmp_path / "secret.key",
    )
    with pytest.raises(InputError, match="does not know the cases"):
        compare(cohort, TASK, tmp_path / "out", plan, limit=limit, key=key)
    assert not (tmp_path / "out").exists()


def test_labels_and_truth_of_two_cohorts_are_refused(written: Path, tmp_path: Path) -> None:
    for name in ("limit.json", "truth.csv"):
        (tmp_path / name).write_bytes((written / name).read_bytes())
    labels = pd.read_csv(written / "labels.csv").iloc[::-1]
    labels.to_csv(tmp_path / "labels.csv", index=False)
    with pytest.raises(InputError, match="do not name the same cases"):
        known_of([tmp_path / "limit.json"])
