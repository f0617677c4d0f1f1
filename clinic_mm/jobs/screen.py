"""Screen a cohort: every case answered or skipped with its reason, shard by shard, one FHIR report each.

In:  a model folder, an open cohort, a run folder. Out: the run (report.run owns its format): Parquet shards of
Predictions, FHIR R4B reports, what was skipped and why, and `run.json` last.

One bad case never stops the rest: a unit that dies of our own fault is tried again case by case, and what still fails
is counted and listed.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from clinic_mm.cohort.manifest import Cohort, open_cohort
from clinic_mm.cohort.task_cases import task_cases
from clinic_mm.errors import InputError
from clinic_mm.evaluate.monitor.state import MonitorState, read_state, write_state
from clinic_mm.jobs.card import write_card
from clinic_mm.jobs.weighted import weighted_to
from clinic_mm.predict.artifact import load_model
from clinic_mm.predict.model import Model
from clinic_mm.predict.prediction import Prediction
from clinic_mm.predict.predictor import predict_cases
from clinic_mm.predict.seen import count_seen, unseen
from clinic_mm.predict.shifted import at_level
from clinic_mm.predict.within.asked import Why
from clinic_mm.prep.batch import Progress, prepare_cases
from clinic_mm.prep.cache import PrepCache
from clinic_mm.report.fhir import fhir_report, report_bytes
from clinic_mm.report.run import Counts, ModelOf, RunInfo, write_report, write_run, write_shard, write_skipped
from clinic_mm.types import CaseRecord

UNIT: Final = 64
"""Cases answered together, written as one shard."""


@dataclass(frozen=True, slots=True)
class ScreenOptions:
    """How to screen: workers, cache, whom to tell how far it is and what else, whether reports are validated.

    `explain`: also what experts that are networks rest on inside record and note, which takes longer than the answer.
    """

    workers: int = 1
    cache: PrepCache | None = None
    progress: Progress | None = None
    validate: bool = True
    level: float | None = None
    monitor: MonitorState | None = None
    """Which answers are hidden (`clinic-mm monitor`): they are stored, marked, and not reported."""
    say: Callable[[str], None] = lambda _: None
    explain: bool = False


DEFAULTS: Final = ScreenOptions()


@dataclass(slots=True)
class _Tally:
    """What became of the cases so far."""

    done: int = 0
    silent: int = 0
    shards: int = 0
    skipped: list[dict[str, str]] = field(default_factory=list)
    n_skipped: int = 0
    n_failed: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """By code: what ingest took, and reading refused."""

    @property
    def total(self) -> int:
        return self.done + self.n_skipped + self.n_failed


def screen(
    model_folder: Path, cohort: Cohort, cases: Sequence[CaseRecord], out: Path, options: ScreenOptions = DEFAULTS
) -> RunInfo:
    """Answer all cases and write the run.

    Args:
        model_folder: The artifact.
        cohort: Where the evidence of the cases lies.
        cases: What to screen, in this order.
        out: Run folder, new or empty.
        options: Workers, cache, progress.

    Raises:
        InputError: If the run folder holds anything.
        ArtifactError: If the model cannot be read.
    """
    check_run_free(out)
    return _screen(load_model(model_folder), model_folder, cohort, cases, out, options)


def check_run_free(out: Path) -> None:
    """A run is written to a new or empty folder.

    Raises:
        InputError: If it holds anything.
    """
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists():
        raise InputError("The run folder is not empty", str(out), "Name a new folder")


def _screen(
    loaded: tuple[Model, str],
    model_folder: Path,
    cohort: Cohort,
    cases: Sequence[CaseRecord],
    out: Path,
    options: ScreenOptions,
) -> RunInfo:
    model, model_hash = loaded
    info = _info(model, model_hash, model_folder, cohort, datetime.now(UTC))
    model = weighted_to(at_level(model, options.level), cohort, cases, options.workers, options.cache, options.say)
    tally = _Tally()
    for unit in _units(cases):
        _unit(model, info, cohort, unit, out, tally, options)
        if options.progress:
            options.progress(tally.total, len(cases))
    if tally.refused:
        told = ", ".join(f"{n} {code}" for code, n in tally.refused.most_common())
        options.say(f"Taken by ingest and refused when read: {told}. The cases' pages say how to mend each")
    write_skipped(tally.skipped, out)
    if options.monitor is not None:
        write_state(options.monitor, out)
    counts = Counts(done=tally.done, silent=tally.silent, skipped=tally.n_skipped, failed=tally.n_failed)
    info = info.model_copy(update={"counts": counts, "finished_at": datetime.now(UTC)})
    write_card(model_folder, out)
    write_run(info, out)
    return info


def screen_cohort(
    model_folder: Path,
    cohort_folder: Path,
    out: Path,
    *,
    unseen_only: bool = False,
    monitor: Path | None = None,
    options: ScreenOptions = DEFAULTS,
) -> RunInfo:
    """Screen all cases of a cohort folder, or only those of patients that the model has not seen.

    Args:
        model_folder: The artifact.
        cohort_folder: The cohort.
        out: Run folder, new or empty.
        unseen_only: Leave out patients that the model was trained on.
        monitor: What `clinic-mm monitor` found of this model, file or folder: what it hides is marked.
        options: Workers, cache, progress.

    Raises:
        InputError: If the run folder holds anything, or the cohort has no case.
        LeakError: If only unseen patients are asked for, and there is none.
        ArtifactError: If the model cannot be read.
    """
    check_run_free(out)
    model, model_hash = load_model(model_folder)
    if monitor is not None:
        options = replace(options, monitor=read_state(monitor, model_hash))
    cohort = open_cohort(cohort_folder)
    cases = task_cases(cohort, model.task)
    if not cases:
        mend = "See clinic-mm describe: a labels row needs the decision time that the task names"
        raise InputError("The cohort has no case", str(cohort_folder), mend)
    if unseen_only:
        cases = unseen(cases, model.facts)
    elif known := count_seen(cases, model.facts):
        told = f"{known} of these {len(cases)} cases are of patients that the model was trained on"
        options.say(f"{told}: their answers are no measure of it. Leave them out with --unseen")
    return _screen((model, model_hash), model_folder, cohort, cases, out, options)


def _info(model: Model, model_hash: str, folder: Path, cohort: Cohort, started: datetime) -> RunInfo:
    task = model.task
    return RunInfo(
        run_id=started.strftime("%Y%m%dT%H%M%S"),
        model=ModelOf(path=str(folder), hash=model_hash, name=task.target, version=str(model.facts["clinic_mm"])),
        cohort=str(cohort.path.resolve()),
        target=task.target,
        kind=task.kind,
        classes=task.classes,
        modalities={name: task.kind_of(name) for name in task.modalities},
        decision_time=task.decision_time,
        simulated=cohort.info.simulated,
    )


def _units(cases: Sequence[CaseRecord]) -> Iterator[Sequence[CaseRecord]]:
    for start in range(0, len(cases), UNIT):
        yield cases[start : start + UNIT]


def _unit(
    model: Model,
    info: RunInfo,
    cohort: Cohort,
    unit: Sequence[CaseRecord],
    out: Path,
    tally: _Tally,
    options: ScreenOptions,
) -> None:
    """Answer one unit; where it dies of our own fault, its cases one by one."""
    try:
        answered = _answer(model, info, cohort, unit, options)
    except Exception as error:  # noqa: BLE001 - the one border: our own fault must not stop the other cases
        if len(unit) > 1:
            for case in unit:
                _unit(model, info, cohort, [case], out, tally, options)
            return
        tally.n_failed += 1
        why = f"{type(error).__name__} while answering"
        tally.skipped.append(_row(unit[0].case_key, "failed", "", "", why))
        return
    _write(answered, unit, out, tally)


@dataclass(frozen=True, slots=True)
class _Answered:
    """One unit, answered: nothing that can fail by our own fault is left but writing it down."""

    predictions: list[Prediction]
    kinds: dict[str, str]
    reports: dict[str, bytes]


def _answer(
    model: Model, info: RunInfo, cohort: Cohort, unit: Sequence[CaseRecord], options: ScreenOptions
) -> _Answered:
    prepared = prepare_cases(unit, cohort.roots, model.recipe, workers=options.workers, cache=options.cache)
    why = Why(cohort.roots, occlude=options.explain)
    predictions = predict_cases(model, info.model.hash, prepared, info.run_id, why)
    predictions = [_marked(prediction, options.monitor) for prediction in predictions]
    created = datetime.now(UTC).replace(microsecond=0)
    bundles = {
        prediction.case_key: fhir_report(
            prediction,
            created=created,
            model_name=info.model.name,
            model_version=info.model.version,
            simulated=cohort.info.simulated,
            validate=options.validate,
        )
        for prediction in predictions
        if prediction.pattern and not prediction.withheld
    }
    return _Answered(predictions, info.modalities, {key: report_bytes(bundle) for key, bundle in bundles.items()})


def _marked(prediction: Prediction, monitor: MonitorState | None) -> Prediction:
    """The same answer, marked where monitoring hides it."""
    why = monitor.withheld(prediction.pattern) if monitor else ""
    return prediction.model_copy(update={"withheld": why}) if why else prediction


def _write(answered: _Answered, unit: Sequence[CaseRecord], out: Path, tally: _Tally) -> None:
    """One shard and its reports; cases without any usable evidence are skipped with the reason of each modality."""
    for case_key, report in answered.reports.items():
        write_report(report, case_key, out)
    kept = [p for p in answered.predictions if p.pattern]
    if kept:
        labels = {case.case_key: case.label for case in unit}
        # Numbered as they come: a number made from the unit's would be given twice once a unit falls apart.
        write_shard(kept, out / "shards" / f"part-{tally.shards:05d}.parquet", labels)
        tally.shards += 1
    tally.done += len(kept)
    tally.silent += sum(bool(p.abstained) for p in kept)
    for case, prediction in zip(unit, answered.predictions, strict=True):
        refused = [m for m in prediction.missing if m.status == "rejected"]
        tally.refused.update(m.code for m in refused if case.usable(answered.kinds[m.modality]))
        if not prediction.pattern:
            tally.n_skipped += 1
            tally.skipped.extend(_reasons(prediction))


def _reasons(prediction: Prediction) -> Iterator[dict[str, str]]:
    """Of a case without anything that speaks: what is missing, as the Prediction has it."""
    for one in prediction.missing:
        why = one.why or "Never acquired, or after the decision time"
        yield _row(prediction.case_key, one.status, one.modality, one.code, why)


def _row(case_key: str, status: str, modality: str, code: str, why: str) -> dict[str, str]:
    return {"case_key": case_key, "status": status, "modality": modality, "code": code, "why": why}
