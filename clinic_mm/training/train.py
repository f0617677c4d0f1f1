"""From a cohort and a task to an artifact on disk: choose the cases, prepare them, fit, save.

In:  an open cohort, a task. Out: the artifact folder, its hash. Test patients are left out before anything is learnt;
the artifact remembers (as hashes) whom it was trained on, so that `evaluate` can leave them out in turn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from clinic_mm.cohort.manifest import Cohort
from clinic_mm.cohort.split import split_patients
from clinic_mm.cohort.task_cases import labelled_cases
from clinic_mm.errors import TaskError
from clinic_mm.evaluate.leaks.check import Checks
from clinic_mm.evaluate.leaks.findings import Checked
from clinic_mm.predict.artifact import save_model
from clinic_mm.predict.model import Model
from clinic_mm.predict.sealed import check_free
from clinic_mm.prep.batch import Progress, fit_preps, plan_recipe, prepare_cases
from clinic_mm.prep.cache import PrepCache
from clinic_mm.task import Task
from clinic_mm.training.fit import fit_model
from clinic_mm.training.methods.base import asked_of
from clinic_mm.training.session import KEPT, Keep, Session, asked_of_task, training_session
from clinic_mm.training.split import held_out
from clinic_mm.training.together import first_alone, processes, said_by_first
from clinic_mm.types import CaseRecord


@dataclass(frozen=True, slots=True)
class Resources:
    """What a run may use, how it is kept, and whom it tells how far it is."""

    workers: int = 1
    cache: PrepCache | None = None
    progress: Progress | None = None
    say: Callable[[str], None] = lambda _: None
    keep: Keep = KEPT


ALONE = Resources()


def train(
    cohort: Cohort,
    task: Task,
    out: Path,
    *,
    test_share: float = 0.0,
    accept_leaks: bool = False,
    use: Resources = ALONE,
) -> tuple[Model, str]:
    """Check, train and save.

    Args:
        cohort: Where the cases are.
        task: What is asked.
        out: Artifact folder, new or an earlier artifact.
        test_share: Share of the patients left out, by seed and stratified by label.
        accept_leaks: Go on in spite of errors of the checks before training; the artifact tells them.
        use: Workers, cache, progress.

    Returns:
        The model and its hash.

    Raises:
        TaskError: If the labels, classes or folds do not fit.
        LeakError: If the checks before training find an error that is not accepted; nothing has been learnt then.
        ArtifactError: If the folder holds something that is not an artifact; known before anything is learnt.
        StoppedError: If memory or disk give out, or a loss is not finite. What was done is kept in OUT.work, as after
            a kill; the same call goes on from there to the same bytes.
    """
    check_free(out)
    asked_of(task)  # an unknown method is told before anything is read
    if (shares := processes().splits_batches) > task.train.batch:
        what = f"A batch of {task.train.batch} rows cannot be split among {shares} processes"
        raise TaskError(what, "train.batch", "Raise it, or use --share parts")
    asked = asked_of_task(task, task.target, task.fusion.method, cohort.info.content_hash, out)
    with training_session(out, asked, use.keep) as session:
        use = replace(use, say=session.saying(use.say))
        model = _fitted(cohort, task, test_share, accept_leaks, use, session)
        model_hash = said_by_first(lambda: save_model(model, out))
        session.finish(model_hash, figures_of(model))
    return model, model_hash


def figures_of(model: Model) -> dict[str, JsonValue]:
    """Out-of-fold figures of a training, for its log."""
    verdict = model.facts["verdict"]
    assert isinstance(verdict, dict)
    return {"experts": model.facts["experts"], "verdict": verdict["words"], "gains": verdict["rows"]}


def _fitted(
    cohort: Cohort, task: Task, test_share: float, accept_leaks: bool, use: Resources, session: Session
) -> Model:
    labelled = labelled_cases(cohort, task)
    cases = _not_left_out(labelled, task, test_share)
    planned = plan_recipe(task)
    use.say(f"{len(cases)} training cases")
    if session.log is not None:
        session.log.cases(len(cases))
    # Of all labelled cases: what stands in a training and in a test patient would show there.
    checks = Checks(cohort, task, labelled, accept_leaks)
    rows = checks.of_rows()
    recipe = fit_preps(_fitted_on(cases, task), cohort.roots, planned)
    with first_alone(use.cache is not None):  # the others find it prepared
        prepared = prepare_cases(
            cases, cohort.roots, recipe, workers=use.workers, cache=use.cache, progress=use.progress
        )
    use.say("checks before training")
    checked = checks.of_prepared(rows, prepared, recipe)
    fitted = fit_model(prepared, recipe, task, use.say)
    return replace(fitted, facts={**fitted.facts, "simulated": cohort.info.simulated, "checks": told_of(checked)})


def told_of(checked: Checked) -> dict[str, JsonValue]:
    """What an artifact says of its checks: no case is named."""
    told: dict[str, JsonValue] = checked.model_dump(mode="json", exclude={"leaks": {"__all__": {"cases"}}})
    return told


def _fitted_on(cases: Sequence[CaseRecord], task: Task) -> tuple[CaseRecord, ...]:
    """The cases that anything may be fitted on: all but those of patients held out for the thresholds."""
    patients, labels = np.array([c.patient_key for c in cases]), np.array([c.label for c in cases])
    aside = held_out(patients, labels, task)
    return tuple(case for case, out in zip(cases, aside, strict=True) if not out)


def training_cases(cohort: Cohort, task: Task, test_share: float) -> tuple[CaseRecord, ...]:
    """Labelled cases of the patients that are not left out for testing."""
    return _not_left_out(labelled_cases(cohort, task), task, test_share)


def _not_left_out(cases: tuple[CaseRecord, ...], task: Task, test_share: float) -> tuple[CaseRecord, ...]:
    if test_share <= 0:
        return cases
    labels = [case.label for case in cases]
    test = split_patients([c.patient_key for c in cases], test_share=test_share, seed=task.seed, labels=labels)
    return tuple(np.array(cases, dtype=object)[~test])
