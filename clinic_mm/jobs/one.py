"""Answer one case given as paths: the same readers, preps and model as a whole cohort."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from clinic_mm.cohort.one_case import case_from_paths
from clinic_mm.errors import UsageError
from clinic_mm.predict.artifact import load_model
from clinic_mm.predict.prediction import Prediction
from clinic_mm.predict.predictor import predict_cases
from clinic_mm.prep.batch import prepare_cases
from clinic_mm.report.fhir import fhir_report, report_bytes
from clinic_mm.times import site_zone


def predict_paths(
    model_folder: Path,
    paths: Mapping[str, Sequence[Path]],
    *,
    decision_time: datetime | None = None,
    site_timezone: str = "UTC",
    fhir: Path | None = None,
) -> Prediction:
    """One Prediction from files.

    Raises:
        UsageError: If nothing is given, or a modality that the model does not know.
        InputError: If a path does not exist.
        ArtifactError: If the model cannot be read.
    """
    model, model_hash = load_model(model_folder)
    if not paths:
        raise UsageError("No evidence is given", "predict", f"Give one of {_options(model.names)}")
    if unknown := sorted(set(paths) - set(model.names)):
        what = f"The model does not know {', '.join(unknown)}"
        raise UsageError(what, "predict", f"It was trained on {', '.join(model.names)}")
    kinds = {name: model.task.kind_of(name) for name in model.names}
    zone = site_zone(site_timezone)
    due = decision_time.replace(tzinfo=decision_time.tzinfo or zone) if decision_time else None
    case, roots = case_from_paths(paths, zone=zone, decision_time=due, kinds=kinds)
    prediction = predict_cases(model, model_hash, prepare_cases([case], roots, model.recipe))[0]
    if fhir:
        version = str(model.facts["clinic_mm"])
        created = datetime.now(UTC).replace(microsecond=0)
        bundle = fhir_report(
            prediction, created=created, model_name=model.task.target, model_version=version, validate=True
        )
        fhir.write_bytes(report_bytes(bundle))
    return prediction


def _options(names: Sequence[str]) -> str:
    known = ("ct", "xray", "eeg", "record", "note")
    return ", ".join(f"--{name}" if name in known else f"--evidence {name}=PATH" for name in names)
