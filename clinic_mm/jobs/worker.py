"""Answer one unit of cases: the work of screening, wherever it is done.

In:  a job, the run folder, a unit. Out: its shard and FHIR reports on disk, each whole or not there, and `Answered`:
what became of every case, in statuses only.

A worker loads the model once and opens no database. It answers a unit twice in the same way, and raises nothing: our
own fault is `Died`, a model or a disk that serves no unit is `Broken`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import torch
from threadpoolctl import threadpool_limits

from clinic_mm.cohort.manifest import Cohort, open_cohort
from clinic_mm.encoders.runtime.setting import runtime_of
from clinic_mm.errors import ArtifactError, InputError
from clinic_mm.evaluate.monitor.state import MonitorState, read_state
from clinic_mm.jobs.spec import CacheAt, JobSpec
from clinic_mm.jobs.unit import Answered, Broken, CaseRow, Died, Outcome, Shard, Unit, Why
from clinic_mm.jobs.weighted import reweighted
from clinic_mm.predict.deploy import load_deployed
from clinic_mm.predict.model import Model
from clinic_mm.predict.prediction import Prediction
from clinic_mm.predict.predictor import predict_cases
from clinic_mm.predict.shifted import at_level
from clinic_mm.predict.within.asked import Why as Explain
from clinic_mm.prep.batch import prepare_cases
from clinic_mm.prep.cache import PrepCache
from clinic_mm.report.fhir import fhir_report, report_bytes
from clinic_mm.report.run import drop_reports, write_reports, write_shard
from clinic_mm.report.setting import Setting
from clinic_mm.report.urgency import reason_of, unknown_urgency, urgency_of
from clinic_mm.types import CaseRecord

NEVER: Final = "Never acquired, or after the decision time"
CHANGED: Final = "Let it be, and start again with --resume: what it changes is then answered again"


@dataclass(frozen=True, slots=True)
class Worker:
    """Everything that is loaded once."""

    spec: JobSpec
    run: Path
    model: Model
    cohort: Cohort
    monitor: MonitorState | None
    cache: PrepCache

    def __call__(self, unit: Unit) -> Outcome:
        """Answer a unit; whatever goes wrong is an outcome."""
        try:
            predictions = self._predictions(unit)
            reports = {p.case_key: self._report(p, unit.at) for p in predictions if p.pattern and not p.withheld}
            rows = [self._row(case, p) for case, p in zip(unit.cases, predictions, strict=True)]
        except Exception as error:  # noqa: BLE001 - the one border: our own fault must not stop the other cases
            return Died(unit.number, f"{type(error).__name__} while answering")
        try:
            shard = self._write(unit, predictions, reports)
        except OSError as error:
            mend = "Make room on its disk, and go on with --resume"
            return Broken(unit.number, InputError(f"The run cannot be written: {error.strerror}", "", mend))
        return Answered(unit.number, tuple(rows), shard, unknown_urgency(self.model.prior))

    def _predictions(self, unit: Unit) -> list[Prediction]:
        settings = self.spec.settings
        prepared = prepare_cases(unit.cases, self.cohort.roots, self.model.recipe, cache=self.cache)
        why = Explain(self.cohort.roots, occlude=settings.explain)
        found = predict_cases(self.model, self.spec.model_hash, prepared, self.spec.run_id, why)
        return [self._marked(one) for one in found]

    def _marked(self, prediction: Prediction) -> Prediction:
        """The same answer, marked where monitoring hides it."""
        why = self.monitor.withheld(prediction.pattern) if self.monitor else ""
        return prediction.model_copy(update={"withheld": why}) if why else prediction

    def _report(self, prediction: Prediction, created: datetime) -> bytes:
        version, simulated = str(self.model.facts["clinic_mm"]), self.cohort.info.simulated
        setting = Setting(created.replace(microsecond=0), self.model.task.target, version, simulated=simulated)
        return report_bytes(fhir_report(prediction, setting, validate=self.spec.settings.validate_reports))

    def _row(self, case: CaseRecord, prediction: Prediction) -> CaseRow:
        kind_of, unknown = self.model.task.kind_of, unknown_urgency(self.model.prior)
        ours = not prediction.pattern and any(m.status == "failed" for m in prediction.missing)
        refused = [m for m in prediction.missing if m.status == "rejected" and case.usable(kind_of(m.modality))]
        whys = () if prediction.pattern else prediction.missing
        return CaseRow(
            case_key=case.case_key,
            state="done" if prediction.pattern else "failed" if ours else "skipped",
            silent=bool(prediction.pattern and prediction.abstained),
            urgency=urgency_of(prediction, unknown),
            pattern="+".join(prediction.pattern),
            reason=reason_of(prediction),
            refused=tuple(m.code for m in refused),
            whys=tuple(Why(m.status, m.modality, m.code, m.why or NEVER) for m in whys),
        )

    def _write(self, unit: Unit, predictions: Sequence[Prediction], reports: dict[str, bytes]) -> Shard | None:
        """Reports before the shard, the shard before the ledger: what is killed in between is written again."""
        write_reports(reports, self.run)
        drop_reports([case.case_key for case in unit.cases if case.case_key not in reports], self.run)
        kept = [p for p in predictions if p.pattern]
        if not kept:
            return None
        labels = {case.case_key: case.label for case in unit.cases}
        path = self.run / "shards" / unit.shard
        size, sha256 = write_shard(kept, path, labels)
        return Shard(unit.shard, size, sha256, path.stat().st_mtime_ns, len(kept))


def hire(spec: JobSpec, run: Path) -> Worker:
    """A worker, in the process where it is to work: from here on, sums have the threads that the job says.

    Raises:
        ArtifactError: If the model cannot be read, or is no longer that of the job.
        InputError: If the cohort, or the cache, cannot be opened, or there is no such device.
    """
    torch.set_num_threads(spec.settings.threads)
    threadpool_limits(spec.settings.threads)
    settings = spec.settings
    runtime = runtime_of(settings.device, settings.precision, settings.threads)
    model, model_hash = load_deployed(Path(spec.model), runtime)
    if model_hash != spec.model_hash:
        raise ArtifactError("The model changed while it was screened with", spec.model, CHANGED)
    monitor = read_state(run, model_hash) if spec.settings.monitor else None
    model = reweighted(at_level(model, spec.settings.level), run)
    cache = (spec.cache or CacheAt()).opened()  # files that changed since ingest are refused, cache or none
    return Worker(spec, run, model, open_cohort(Path(spec.cohort)), monitor, cache)
