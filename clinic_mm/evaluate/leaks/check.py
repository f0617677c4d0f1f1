"""All checks before training over one cohort and task.

In:  an open cohort, a task, its labelled cases; then the same cases prepared. Out: `Checked`.

What needs columns only comes first, so that a cohort with copies is refused before a picture is decoded. Errors stop;
findings and shortcuts are kept and told. A model trained in spite of errors says so of itself.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy import ndarray as Array

from clinic_mm.cohort.load import load_evidence
from clinic_mm.cohort.manifest import Cohort
from clinic_mm.errors import EvidenceError, TaskError
from clinic_mm.evaluate.leaks.findings import Checked, Found, Leak, Looked, Shortcut, joined, refuse_errors
from clinic_mm.evaluate.leaks.fitted import fitted_omics, fitted_records
from clinic_mm.evaluate.leaks.keys import same_files, two_keys
from clinic_mm.evaluate.leaks.notes import copied_notes
from clinic_mm.evaluate.leaks.pictures import copies
from clinic_mm.evaluate.leaks.records import copied_records
from clinic_mm.evaluate.leaks.scored import Asked, asked_of
from clinic_mm.evaluate.leaks.shortcuts import audit
from clinic_mm.evaluate.leaks.times import dates_in_notes, late_evidence
from clinic_mm.evaluate.leaks.words import audit_words
from clinic_mm.prep.batch import PreparedCases, Recipe
from clinic_mm.prep.gaps import take
from clinic_mm.signals import OmicsSample
from clinic_mm.task import Task
from clinic_mm.types import CaseRecord

MOST_AUDITED: Final = 6000
"""Cases that shortcuts are scored on: more make the intervals no more useful."""
FEWEST_AUDITED: Final = 20
FACTS: Final = ("patient_key", "category", "code", "value", "text", "unit", "time")


@dataclass(frozen=True, slots=True)
class Checks:
    """The checks of one cohort and task, in the order in which they can be done.

    Attributes:
        cohort: Open cohort.
        task: What is asked.
        cases: Labelled cases.
        accept: Go on in spite of errors, and say so.
    """

    cohort: Cohort
    task: Task
    cases: Sequence[CaseRecord]
    accept: bool = False

    def of_rows(self) -> Found:
        """What needs no decoding: same files, copied notes and records, times, scaled tables.

        Raises:
            LeakError: If there is an error, and it is not accepted.
        """
        kinds = {self.task.kind_of(name) for name in self.task.modalities}
        patients = {case.patient_key for case in self.cases}
        found = [same_files(self.cases), late_evidence(self.cases)]
        if "note" in kinds:
            notes = self._rows("note", ("patient_key", "time", "text"), patients)
            found += [copied_notes(notes), dates_in_notes(self.cases, notes)]
        if "record" in kinds:
            facts = self.cohort.rows("record", FACTS)
            found.append(copied_records(facts[facts["patient_key"].isin(patients)]))
            found.append(fitted_records(facts, frozenset(patients)))
        found += [fitted_omics(name, self._samples(name, patients)) for name in self._named("omics")]
        return self._refused(joined(found))

    def of_prepared(self, rows: Found, prepared: PreparedCases, recipe: Recipe) -> Checked:
        """What needs the prepared cases: copies of recordings, shortcuts.

        Args:
            rows: From `of_rows`.
            prepared: The cases, or those of them that are trained on.
            recipe: How they were prepared.

        Raises:
            LeakError: If there is an error, and it is not accepted.
        """
        found = self.of_copies(rows, prepared, recipe)
        shortcuts, more, beside = self._audited(prepared)
        every = joined([found, more])
        return Checked(
            cohort=self.cohort.info.content_hash,
            target=self.task.target,
            simulated=self.cohort.info.simulated,
            n_cases=len(self.cases),
            n_patients=len({case.patient_key for case in self.cases}),
            leaks=every.leaks,
            looked=every.looked,
            shortcuts=shortcuts,
            beside=beside,
            accepted=self.accept and any(leak.severity == "error" for leak in every.leaks),
        )

    def of_copies(self, rows: Found, prepared: PreparedCases, recipe: Recipe) -> Found:
        """Copies of recordings, and whoever has two keys, beside what the rows showed. Arguments as `of_prepared`.

        Raises:
            LeakError: If there is an error, and it is not accepted.
        """
        pictures = copies(prepared, recipe)
        return self._refused(joined([rows, pictures, two_keys([rows, pictures], self.cases)]))

    def _refused(self, found: Found) -> Found:
        if not self.accept:
            refuse_errors(found.leaks, "checks before training")
        return found

    def _named(self, kind: str) -> list[str]:
        return [name for name in self.task.modalities if self.task.kind_of(name) == kind]

    def _samples(self, name: str, asked: set[str]) -> Iterator[tuple[OmicsSample, bool]]:
        """Each sample of the cohort once, and whether its patient is one of the task."""
        seen = set()
        for case in self.cohort.cases(modalities=["omics"]):
            for one in case.usable("omics", name):
                if (which := (one.paths, one.locator)) in seen:
                    continue
                seen.add(which)
                with suppress(EvidenceError):  # told where it is prepared
                    signal = load_evidence(one, self.cohort.roots, "omics")
                    assert isinstance(signal, OmicsSample)
                    yield signal, case.patient_key in asked

    def _rows(self, kind: str, columns: Sequence[str], patients: set[str]) -> pd.DataFrame:
        rows = self.cohort.rows(kind, columns)
        return rows[rows["patient_key"].isin(patients)]

    def _audited(self, prepared: PreparedCases) -> tuple[tuple[Shortcut, ...], Found, Shortcut | None]:
        """Shortcuts and words, on no more cases than intervals need."""
        chosen = _some(prepared.patients, prepared.labels, self.task.seed)
        part = take(prepared, chosen)
        try:
            asked = _asked(part)
        except TaskError as error:
            return (), Found(looked=(Looked(check="shortcuts", of=0, how=error.what),)), None
        shortcuts, leaks, looked, beside = audit(part.cases, self.task, self.cohort.roots, part, asked)
        told: list[Looked] = [looked]
        if names := self._named("note"):
            words, more, look = self._words(part, names[0], asked)
            shortcuts, leaks, told = [*shortcuts, *words], [*leaks, *more], [*told, look]
        return tuple(shortcuts), Found(tuple(leaks), tuple(told)), beside

    def _words(self, part: PreparedCases, name: str, asked: Asked) -> tuple[list[Shortcut], list[Leak], Looked]:
        column = part.names.index(name)
        rows = np.flatnonzero(part.present[:, column])
        notes = self._rows("note", ("patient_key", "time", "text"), set(part.patients[rows].tolist()))
        texts = texts_known([part.cases[i] for i in rows], notes)
        try:
            own = asked_of(asked.labels[rows], part.patients[rows], seed=self.task.seed)
        except TaskError as error:
            return [], [], Looked(check="words of notes", of=0, how=error.what)
        return audit_words(texts, own, self.task.target, self.task.classes)


def texts_known(cases: Sequence[CaseRecord], notes: pd.DataFrame) -> list[str]:
    """All notes of each case that were known by its decision, as one text."""
    of_patient = dict(iter(notes.groupby("patient_key")))
    texts = []
    for case in cases:
        mine = of_patient.get(case.patient_key)
        if mine is None:
            texts.append("")
            continue
        known = mine if case.decision_time is None else mine[~(mine["time"] > case.decision_time)]
        texts.append("\n".join(map(str, known["text"])))
    return texts


def _asked(part: PreparedCases) -> Asked:
    """Labels and folds.

    Raises:
        TaskError: If there are too few cases or patients of a class.
    """
    if len(part) < FEWEST_AUDITED or len(set(part.labels.tolist())) < 2:
        raise TaskError(f"{len(part)} cases are too few for intervals", "shortcuts", "Take more")
    return asked_of(part.labels, part.patients)


def _some(patients: Array, labels: Array, seed: int) -> Array:
    """Labelled cases, of patients drawn at random where there are too many."""
    known = np.flatnonzero(labels >= 0)
    if len(known) <= MOST_AUDITED:
        return known
    names, index = np.unique(patients[known], return_inverse=True)
    rank = np.random.default_rng(seed).permutation(len(names))[index]
    order = np.argsort(rank, kind="stable")[:MOST_AUDITED]
    return np.sort(known[order])
