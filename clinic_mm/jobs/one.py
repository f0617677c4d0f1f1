"""Answer one case given as paths: the same readers, preps and model as a whole cohort."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from clinic_mm.cohort.one_case import case_from_paths, option
from clinic_mm.encoders.runtime.setting import Runtime
from clinic_mm.errors import InputError, TaskError, UsageError
from clinic_mm.jobs.precision import check_narrow
from clinic_mm.predict.deploy import load_deployed, runtime_told
from clinic_mm.predict.prediction import Prediction
from clinic_mm.predict.predictor import predict_cases
from clinic_mm.predict.shifted import at_level
from clinic_mm.predict.within.asked import Why
from clinic_mm.prep.batch import Outcome, PreparedCases, Recipe, prepare_cases
from clinic_mm.report.atomic import written_whole
from clinic_mm.report.fhir import fhir_report, report_bytes
from clinic_mm.report.setting import Setting
from clinic_mm.task import Task
from clinic_mm.times import parse_iso, site_zone
from clinic_mm.types import Absent, CaseRecord, Failed, Rejected

ONE: Final = Runtime()
"""As a screening answers: one thread, since other numbers of threads differ in the last bits."""


class Deployed(Protocol):
    """A model or a drafter: what it was asked, how cases are prepared for it."""

    @property
    def task(self) -> Task:
        """What was asked."""

    @property
    def recipe(self) -> Recipe:
        """How cases are prepared."""

    @property
    def names(self) -> tuple[str, ...]:
        """Modalities that it takes."""


def predict_paths(
    model_folder: Path,
    paths: Mapping[str, Sequence[Path]],
    *,
    decision_time: str | None = None,
    site_timezone: str = "UTC",
    level: float | None = None,
    fhir: Path | None = None,
    explain: bool = False,
    runtime: Runtime = ONE,
    say: Callable[[str], None] = lambda _: None,
) -> Prediction:
    """One Prediction from files.

    Args:
        model_folder: The artifact.
        paths: For each modality, files or folders.
        decision_time: ISO 8601; in the site's zone where it names none, and a bare date is the end of its day.
        site_timezone: IANA name.
        level: Of the prediction set; the task's where None.
        fhir: Where the FHIR R4B report goes too.
        explain: Also what experts that are networks rest on inside record and note, which takes longer than the answer.
        runtime: What runs the networks.
        say: Told what that is.

    Raises:
        UsageError: If nothing is given, or a modality that the model does not know, or no time, zone or level; or if
            bfloat16 would move this very answer.
        InputError: If a path does not exist, or nothing that was given can be used: then there is nothing to answer.
        ArtifactError: If the model cannot be read.
    """
    model, model_hash = load_deployed(model_folder, runtime)
    model = at_level(model, level)
    case, roots = case_of(model, paths, decision_time=decision_time, site_timezone=site_timezone)
    prepared = prepare_case_of(model, case, roots, paths)
    check_narrow(model_folder, runtime, lambda: prepared, None, say)
    if told := runtime_told(model):
        say(told)
    prediction = predict_cases(model, model_hash, prepared, why=Why(roots, occlude=explain))[0]
    if fhir:
        version = str(model.facts["clinic_mm"])
        setting = Setting(datetime.now(UTC).replace(microsecond=0), model.task.target, version)
        written_whole(fhir, report_bytes(fhir_report(prediction, setting, validate=True)))
    return prediction


def given_paths(
    by_option: Mapping[str, Sequence[Path] | None], others: Sequence[str] | None = None
) -> dict[str, list[Path]]:
    """Files for each modality, as options give them.

    Args:
        by_option: Those of modalities with an option of their own.
        others: NAME=PATH of the rest.

    Raises:
        UsageError: If one of the others is not NAME=PATH.
    """
    paths = {name: list(given) for name, given in by_option.items() if given}
    for pair in others or []:
        name, _, path = pair.partition("=")
        if not path:
            raise UsageError(f"{pair!r} is not NAME=PATH", "--evidence", "Write --evidence labs=labs.json")
        paths.setdefault(name, []).append(Path(path))
    return paths


def prepare_paths(
    model: Deployed,
    paths: Mapping[str, Sequence[Path]],
    *,
    decision_time: str | None = None,
    site_timezone: str = "UTC",
) -> PreparedCases:
    """Prepare one case from files as a model takes it. Arguments and errors as `predict_paths`."""
    case, roots = case_of(model, paths, decision_time=decision_time, site_timezone=site_timezone)
    return prepare_case_of(model, case, roots, paths)


def case_of(
    model: Deployed,
    paths: Mapping[str, Sequence[Path]],
    *,
    decision_time: str | None = None,
    site_timezone: str = "UTC",
) -> tuple[CaseRecord, dict[str, Path]]:
    """The case that files form, and the folders that its paths are relative to. As `predict_paths`."""
    if not paths:
        raise UsageError("No evidence is given", "predict", f"Give one of {_options(model.names)}")
    if unknown := sorted(set(paths) - set(model.names)):
        what = f"The model does not know {', '.join(unknown)}"
        raise UsageError(what, "predict", f"It was trained on {', '.join(model.names)}")
    kinds = {name: model.task.kind_of(name) for name in model.names}
    zone = _zone(site_timezone)
    due = _due(decision_time, zone) if decision_time else None
    return case_from_paths(paths, zone=zone, decision_time=due, kinds=kinds)


def prepare_case_of(
    model: Deployed, case: CaseRecord, roots: Mapping[str, Path], paths: Mapping[str, Sequence[Path]]
) -> PreparedCases:
    """Prepare such a case.

    Raises:
        InputError: If nothing that was given can be used.
    """
    prepared = prepare_cases([case], roots, model.recipe)
    if not prepared.present.any():
        raise unusable({name: prepared.outcomes[0][name] for name in paths})
    return prepared


def unusable(outcomes: Mapping[str, Outcome]) -> InputError:
    """Why nothing that was given can be used, and how to mend the first of it."""
    noes = {name: outcome.no for name, outcome in outcomes.items() if outcome.no is not None}
    whys = [f"{name}: {_why(no)}" for name, no in noes.items()]
    mends = [mend for no in noes.values() if (mend := getattr(no, "mend", ""))]
    mend = mends[0] if mends else "Leave it out, or give other files"
    return InputError("Nothing that was given can be used", "; ".join(whys), mend)


def _why(no: Absent | Rejected | Failed) -> str:
    if isinstance(no, Absent):
        return "it holds nothing that the model knows"
    return f"{no.why} ({no.code})" if isinstance(no, Rejected) else no.why


def _due(text: str, zone: ZoneInfo) -> datetime:
    if (due := parse_iso(text, zone)) is None:
        raise UsageError(f"{text!r} is not a time", "--decision-time", "Write it as 2026-03-01T12:00:00+01:00")
    return due


def _zone(name: str) -> ZoneInfo:
    try:
        return site_zone(name)
    except TaskError as error:
        raise UsageError(error.what, "--site-timezone", error.mend) from None


def _options(names: Sequence[str]) -> str:
    return ", ".join(option(name) for name in names)
