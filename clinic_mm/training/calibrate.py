"""Calibrate a model folder to a site's cohort folder, and save it as a new version.

In:  an artifact, a cohort with labels, a new folder. Out: the new artifact; the old one stays as it is.
"""

from dataclasses import replace
from pathlib import Path

from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.cohort.task_cases import task_cases
from clinic_mm.errors import ArtifactError, LeakError
from clinic_mm.predict.artifact import load_model, save_model
from clinic_mm.predict.model import Model, listen_inside
from clinic_mm.predict.sealed import check_free
from clinic_mm.predict.seen import count_seen, unseen
from clinic_mm.prep.batch import Progress, prepare_cases
from clinic_mm.prep.cache import PrepCache
from clinic_mm.training.recalibrate import recalibrate


def calibrate_model(
    model_folder: Path,
    cohort_folder: Path,
    out: Path,
    *,
    unseen_only: bool = False,
    workers: int = 1,
    cache: PrepCache | None = None,
    progress: Progress | None = None,
) -> tuple[Model, str]:
    """Calibrate on a site's labelled cases and save a new version.

    Args:
        model_folder: The artifact to start from.
        cohort_folder: The site's cohort.
        out: Folder of the new version.
        unseen_only: Leave out patients that the model was trained or calibrated on, instead of refusing.
        workers: Processes that prepare.
        cache: Of preparations.
        progress: Told how far it is.

    Returns:
        The calibrated model and its hash.

    Raises:
        LeakError: If the model has seen patients of the cohort.
        TaskError: If the cases are too few, or of one class.
        ArtifactError: If the new folder is the old one, or holds something else.
    """
    if out.resolve() == model_folder.resolve():
        raise ArtifactError("The new version would replace the old one", str(out), "Name another folder with --out")
    check_free(out)
    model, parent = load_model(model_folder)
    cohort = open_cohort(cohort_folder)
    cases = [case for case in task_cases(cohort, model.task) if case.label is not None]
    if not unseen_only and (known := count_seen(cases, model.facts)):
        mend = "Calibrate on other patients, or leave these out with --unseen"
        raise LeakError(f"The model has seen the patients of {known} of {len(cases)} cases", "calibrate", mend)
    cases = list(unseen(cases, model.facts))
    prepared = prepare_cases(cases, cohort.roots, model.recipe, workers=workers, cache=cache, progress=progress)
    attended = listen_inside(model, prepared)
    made = recalibrate(model, attended.prepared, attended.heard, parent)
    simulated = bool(model.facts.get("simulated")) or cohort.info.simulated
    made = replace(made, facts={**made.facts, "simulated": simulated})
    return made, save_model(made, out)
