"""Explain one modality of one case: look where hiding its evidence changes what the deployed expert says.

In:  `Work` (a model, a cohort, a run if there is one, a folder), a case, the name of a modality. Out: a `Row`; what was
found lies in the folder (report.saliency_store owns the format).

What stands there for the same model, input and settings is kept. One bad case is told, and stops nothing.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from clinic_mm.cohort.load import load_evidence
from clinic_mm.cohort.manifest import Cohort, open_cohort
from clinic_mm.errors import ArtifactError, EvidenceError, UsageError
from clinic_mm.predict.deploy import load_deployed
from clinic_mm.predict.experts import Expert
from clinic_mm.predict.model import Model
from clinic_mm.predict.prediction import Prediction
from clinic_mm.predict.predictor import predict_cases
from clinic_mm.predict.saliency.explain import explain, settings_of
from clinic_mm.predict.saliency.result import KINDS, Found, Saliency, SaliencyTold, evidence_hash, key_of
from clinic_mm.prep.base import NothingKnownError
from clinic_mm.prep.batch import prepare_cases
from clinic_mm.report.run import Run, open_run
from clinic_mm.report.saliency_store import FOLDER, read_saliency, write_saliency
from clinic_mm.sources.choose import in_order
from clinic_mm.types import Absent, CaseRecord, Evidence, Failed, Rejected

Unit = tuple[CaseRecord, str]
"""A case, and the name of a modality."""
Places = tuple[Path, Path | None, Path | None]
"""Run or model, cohort, folder to write: as given, so that a worker can open them too."""
NO_ANSWER: Final = "The model gives no answer to this case: there is nothing to explain"
SCREEN: Final = "Name the model folder and a cohort, or a run that clinic-mm screen wrote"


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one modality of one case.

    Attributes:
        status: `done`, `kept` (stood there already), `absent`, `rejected` or `failed`.
        saliency: Where there is one.
        seconds: That computing it took.
    """

    case_key: str
    modality: str
    status: str
    code: str = ""
    why: str = ""
    saliency: Saliency | None = None
    seconds: float = 0.0

    def as_json(self) -> dict[str, object]:
        """For machines: everything but the arrays."""
        told = None if self.saliency is None else self.saliency.told.model_dump(mode="json")
        return {**self.reason(), "seconds": round(self.seconds, 2), "saliency": told}

    def reason(self) -> dict[str, str]:
        """What stands in the list of what has no saliency."""
        told = {"case_key": self.case_key, "modality": self.modality, "status": self.status}
        return {**told, "code": self.code, "why": self.why}


@dataclass(frozen=True, slots=True)
class Work:
    """What is the same for all cases of one job."""

    model: Model
    model_hash: str
    cohort: Cohort
    run: Run | None
    out: Path
    places: Places

    def expert(self, name: str) -> Expert:
        """One of the model's."""
        return next(one for one in self.model.experts if one.name == name)

    def experts(self, names: Sequence[str]) -> list[Expert]:
        """Those that can be asked, of the named ones."""
        able = [expert for expert in self.model.experts if expert.kind in KINDS]
        if unknown := sorted(set(names) - {expert.name for expert in able}):
            known = ", ".join(expert.name for expert in able) or "none of this model"
            raise UsageError(f"No saliency for {', '.join(unknown)}", "--modality", f"Possible: {known}")
        return [expert for expert in able if not names or expert.name in names]


def opened(given: Path, cohort_folder: Path | None, out: Path | None) -> Work:
    """A run with its model and cohort, or a model with those that are named.

    Raises:
        ArtifactError: If run or model cannot be read, or the run is of another model than its folder now holds.
        UsageError: If a model is given without cohort or folder.
    """
    if not (given / "run.json").is_file():
        if not (given / "model.json").is_file():
            raise ArtifactError("This folder holds no run and no model", str(given), "Name a run folder, or a model")
        if cohort_folder is None or out is None:
            raise UsageError("A model needs a cohort and a folder to write", "saliency", "Add COHORT and --out")
        model, model_hash = load_deployed(given)
        return Work(model, model_hash, open_cohort(cohort_folder), None, out, (given, cohort_folder, out))
    run = open_run(given)
    model, model_hash = load_deployed(_model_folder(run))
    if model_hash != run.info.model.hash:
        raise ArtifactError("The model is no longer the one of this run", str(given), "Screen again with this model")
    cohort, into = open_cohort(cohort_folder or _cohort_folder(run)), out or run.path / FOLDER
    return Work(model, model_hash, cohort, run, into, (given, cohort_folder, out))


def _model_folder(run: Run) -> Path:
    """As the operator named it, or beside the run where everything has moved."""
    named = Path(run.info.model.path)
    places = [named, run.path.parent / named.name]
    if found := next((place for place in places if (place / "model.json").is_file()), None):
        return found
    raise ArtifactError("The model of this run is not where it was", str(run.path), SCREEN)


def _cohort_folder(run: Run) -> Path:
    named = Path(run.info.cohort)
    return named if named.is_absolute() or named.is_dir() else (run.path / named).resolve()


def explained(work: Work, unit: Unit) -> Row:
    """One modality of one case; whatever is wrong with it is told, and stops nothing."""
    case, expert = unit[0], work.expert(unit[1])
    try:
        return _computed(work, case, expert)
    except EvidenceError as error:
        return Row(case.case_key, expert.name, "rejected", error.code, error.what)
    except Exception as error:  # noqa: BLE001 - the one border: our own fault must not stop the other cases
        return Row(case.case_key, expert.name, "failed", why=f"{type(error).__name__} while hiding {expert.kind}")


def _computed(work: Work, case: CaseRecord, expert: Expert) -> Row:
    prediction = _answer(work, case)
    if (no := _said_no(prediction, expert.name)) is not None:
        return Row(case.case_key, expert.name, no.status, no.code, no.why)
    # The second of two classes, or the answer where there are more.
    target = 1 if work.model.task.kind == "binary" else int(np.argmax(prediction.probabilities))
    settings, class_name = settings_of(expert.kind), work.model.task.classes[target]
    started = time.perf_counter()
    refused: EvidenceError | None = None
    for evidence in in_order(case.usable(expert.kind, expert.name), work.model.recipe.select):
        key = key_of(work.model_hash, evidence_hash(evidence), class_name, settings)
        if evidence_hash(evidence) and (kept := _kept(work.out, case.case_key, expert.name, key)):
            return Row(case.case_key, expert.name, "kept", saliency=kept)
        try:
            decoded = load_evidence(evidence, work.cohort.roots, expert.kind)
            found = explain(expert, work.model.recipe.preps[expert.name], decoded, target)
        except NothingKnownError:
            continue
        except EvidenceError as error:
            if error.code.startswith("saliency."):  # the expert takes it; an older one would explain another answer
                raise
            refused = error
            continue
        made = _saliency(work, case, expert, evidence, class_name, found)
        write_saliency(made, work.out)
        return Row(case.case_key, expert.name, "done", saliency=made, seconds=time.perf_counter() - started)
    if refused is not None:
        raise refused
    return _standing(case, expert)


def _kept(folder: Path, case_key: str, name: str, key: str) -> Saliency | None:
    try:
        found = read_saliency(folder, case_key, name)
    except ArtifactError:
        return None  # damaged: made anew
    return found if found is not None and found.told.key == key else None


def _answer(work: Work, case: CaseRecord) -> Prediction:
    """As the run has it, or as the model gives it now: what lies outside of training is left out of both."""
    if work.run is not None:
        return work.run.prediction(case.case_key)
    prepared = prepare_cases([case], work.cohort.roots, work.model.recipe)
    return predict_cases(work.model, work.model_hash, prepared)[0]


@dataclass(frozen=True, slots=True)
class _No:
    status: str
    code: str
    why: str


def _said_no(prediction: Prediction, name: str) -> _No | None:
    """Why nothing is explained: the modality did not speak, or the case has no answer, of which nothing is shown.

    Why there is no answer stands in the answer itself, and is not told again here.
    """
    if name in prediction.pattern:
        return _No("rejected", "case.no_answer", NO_ANSWER) if prediction.abstained else None
    said = next((one for one in prediction.missing if one.modality == name), None)
    return _No(said.status, said.code, said.why) if said else _No("absent", "", "")


def _standing(case: CaseRecord, expert: Expert) -> Row:
    """What the cohort says of a modality that has nothing usable."""
    for no in reversed(case.evidence.get(expert.kind, ())):
        match no:
            case Rejected(code=code, why=why):
                return Row(case.case_key, expert.name, "rejected", code, why)
            case Failed(why=why):
                return Row(case.case_key, expert.name, "failed", why=why)
            case Absent() | Evidence():
                pass
    return Row(case.case_key, expert.name, "absent")


def _saliency(
    work: Work, case: CaseRecord, expert: Expert, evidence: Evidence, class_name: str, found: Found
) -> Saliency:
    told = SaliencyTold(
        case_key=case.case_key,
        modality=expert.name,
        kind=expert.kind,
        target=class_name,
        how=expert.how,
        model_hash=work.model_hash,
        evidence_hash=evidence_hash(evidence),
        settings=dict(found.settings),
        logodds=found.logodds,
        stride=found.stride,
        peak=dict(found.peak),
        asked=found.asked,
        names=dict(found.names),
    )
    return Saliency(told, found.arrays)
