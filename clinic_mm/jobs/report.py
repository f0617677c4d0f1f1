"""Reports of a run, of one case or of all: each in the spelling that is asked for, hidden answers as hidden.

In:  a run folder; for an identified report also its cohort. Out: bytes, or files that are each whole or not there.

Nothing here runs a model. A file is named after the opaque key of its case, identified or not.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from pydicom.dataset import Dataset

from clinic_mm.cohort.manifest import Cohort, open_cohort
from clinic_mm.errors import ClinicError, InputError, UsageError
from clinic_mm.evaluate.monitor.state import MonitorState, state_of_run
from clinic_mm.jobs.audit import heads_folder
from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.atomic import written_whole
from clinic_mm.report.dicom_sources import source_headers, whose
from clinic_mm.report.render import BINARY, SUFFIXES, checked_spelling, rendered
from clinic_mm.report.run import Run, checked_key, open_run
from clinic_mm.report.setting import setting_of
from clinic_mm.report.signed import UNSIGNED, Signed
from clinic_mm.store.casefile import case_file
from clinic_mm.store.database import opened
from clinic_mm.store.reported import signed_of
from clinic_mm.times import site_zone
from clinic_mm.types import CaseRecord

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Reports:
    """A run opened for reporting.

    Attributes:
        spelling: One of `SUFFIXES`.
        identified: Whether the patient is named, and DICOM SR refers to the images.
        signed: What people did with the answer of a case.
    """

    run: Run
    spelling: str
    identified: bool
    signed: Callable[[str], Signed]

    def predictions(self) -> Iterator[Prediction]:
        """Every answer of the run, marked where monitoring hides it."""
        return map(self._marked, self.run.predictions())

    def of_case(self, case_key: str) -> bytes:
        """The report of one case.

        Raises:
            InputError: If the run has no such case; if it is to be identified, and nothing says who the patient is.
            ArtifactError: If run or monitoring state are damaged.
        """
        return self.of(self._marked(self.run.prediction(case_key)))

    def of(self, prediction: Prediction) -> bytes:
        """The report of one answer. Raises what `of_case` does."""
        setting = setting_of(self.run.info, prediction, self.signed(prediction.case_key))
        if not self.identified:
            return rendered(prediction, setting, self.spelling)
        headers = self._headers(prediction)
        made = setting.created.astimezone(site_zone(self._cohort.info.site_timezone))
        return rendered(prediction, replace(setting, created=made, whose=whose(headers)), self.spelling, headers)

    def _headers(self, prediction: Prediction) -> list[Dataset]:
        case = self._cases.get(prediction.case_key)
        place = f"case {prediction.case_key}"
        if case is None:
            raise InputError("The cohort no longer forms this case", place, "Screen the cohort again")
        kinds = [(self.run.info.modalities.get(name, name), name) for name in prediction.pattern]
        try:
            return source_headers(case, kinds, self._cohort.roots)
        except ClinicError as error:
            raise InputError(error.what, place, error.mend) from None

    def _marked(self, prediction: Prediction) -> Prediction:
        return self._state.marked(prediction) if self._state else prediction

    @cached_property
    def _state(self) -> MonitorState | None:
        return state_of_run(self.run.path, self.run.info.model.hash)

    @cached_property
    def _cohort(self) -> Cohort:
        return open_cohort(self.run.cohort_folder)

    @cached_property
    def _cases(self) -> dict[str, CaseRecord]:
        info = self.run.info
        kinds = sorted(set(info.modalities.values()))
        return {case.case_key: case for case in self._cohort.cases(decision=info.decision_time, modalities=kinds)}


def write_report(reports: Reports, case_key: str, out: Path) -> Path:
    """Write the report of one case.

    Args:
        reports: Of a run.
        case_key: Which.
        out: The file; or a folder that is there, which gets `<case_key>.<suffix>`.
    """
    content = reports.of_case(case_key)
    path = out / _name(reports, case_key) if out.is_dir() else out
    written_whole(path, content)
    return path


def write_all(reports: Reports, out: Path, progress: Progress = lambda *_: None) -> list[Path]:
    """Write the reports of all answers of a run into a folder.

    Raises:
        UsageError: If `out` is a file.
    """
    if out.exists() and not out.is_dir():
        raise UsageError("All reports go into a folder, and this is a file", str(out), "Name a folder")
    total = reports.run.info.counts.done
    paths = []
    for prediction in reports.predictions():
        path = out / _name(reports, prediction.case_key)
        written_whole(path, reports.of(prediction))
        paths.append(path)
        progress(len(paths), max(total, len(paths)))
    return paths


def reports_of(
    folder: Path, spelling: str, *, identified: bool = False, store: str = "", heads: Path | None = None
) -> Reports:
    """Open a run for reporting.

    Args:
        folder: Of the run.
        spelling: One of `SUFFIXES`.
        identified: Whether the patient is named.
        store: SQLite file or URL of the store that has the human acts; "" for reports that nobody signed.
        heads: Folder of its heads; `heads` beside an SQLite file where it is not given.

    Raises:
        UsageError: If there is no such spelling, or the folder of the heads must be named.
        ArtifactError: If it is no run or no store, or one is damaged.
    """
    acts = _acts_of(store, heads_folder(store, heads)) if store else _unread
    return Reports(open_run(folder), checked_spelling(spelling), identified, acts)


def _unread(_: str) -> Signed:
    return UNSIGNED


def _acts_of(store: str, heads: Path) -> Callable[[str], Signed]:
    """What people did with a case, by a store that is only read."""

    def acts(case_key: str) -> Signed:
        database = opened(store, heads, only_read=True)
        try:
            with database.reading() as session:
                return signed_of(case_file(session, case_key))
        finally:
            database.close()

    return acts


def needs_out(spelling: str, case_key: str, out: Path | None, *, json: bool = False) -> None:
    """What cannot go to a terminal, or is no JSON where that is asked for, needs a place.

    Raises:
        UsageError: If there is none.
    """
    if out is None and (not case_key or spelling in BINARY or (json and spelling != "fhir")):
        one = f"A report as {spelling} is no {'JSON' if json else 'text'}"
        raise UsageError(one if case_key else "Reports of a whole run are files", "report", "Say where with --out")


def _name(reports: Reports, case_key: str) -> str:
    return f"{checked_key(case_key)}{SUFFIXES[reports.spelling]}"
