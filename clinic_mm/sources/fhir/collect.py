"""Collect the facts or notes of FHIR files that are read together, each resource once, and settle them at the end.

In:  rows resource by resource. Out: one frame, and what was left out of each file, by reason.

A resource that comes again says the same (once is enough), or a newer version of it counts, or nobody can tell which
of the two is right, and neither is used.
"""

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, Final, Generic, TypeAlias, TypeVar

import numpy as np
import pandas as pd
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.fhir.files import IDENTIFIED, FhirFile, read_resources
from clinic_mm.sources.fhir.people import DAY, NEVER, REASONS, Person, refusals, settle, shifted_files, tolerant
from clinic_mm.sources.fhir.policy import Resource
from clinic_mm.sources.fhir.reading import Reading
from clinic_mm.sources.found import rejection
from clinic_mm.sources.record.rows import microseconds
from clinic_mm.types import Rejected

CONFLICTING: Final = -1
Key: TypeAlias = tuple[str, str, str]
WHY: Final = {
    "fhir.after_death": "rows are dated more than a month after the patient's death",
    "fhir.bad_line": "lines are not JSON",
    "fhir.bad_resource": "resources have another shape than FHIR R4",
    "fhir.bad_status": "resources have a status that FHIR R4 does not know",
    "fhir.before_birth": "rows are dated before the patient's birth",
    "fhir.birth_after_death": "patients are born after their death; their birth and death are not used",
    "fhir.conflicting": "resources share an id and differ, without saying which is newer; none of them is used",
    "fhir.conflicting_patient": "patients have entries that contradict each other; what differs is not used",
    "fhir.doubled_key": "resources say one thing twice",
    "fhir.duplicate": "rows or resources say again what was said",
    "fhir.entered_in_error": "resources are marked as entered in error",
    "fhir.far_past": "dates are older than any patient, such as 1900-01-01",
    "fhir.future": "dates lie in the future, or after the bundle that holds them",
    "fhir.no_code": "resources have no code",
    "fhir.no_patient": "resources name no patient that is known",
    "fhir.no_value": "results have no value that is read",
    "fhir.not_done": "resources are planned, cancelled or not done",
    "fhir.not_fhir": "documents are not FHIR resources",
    "fhir.other_patient": "resources are about another patient than the one of their bundle",
    "fhir.refuted": "conditions or allergies are refuted",
    "fhir.shifted_dates": "dates lie in the future, as most of the file: taken as shifted dates and kept",
    "fhir.superseded": "resources come in a newer version, which is used",
    "fhir.undated": "facts have no time that could be read",
    "fhir.unit_mismatch": "values have a unit that measures something else",
    "fhir.version": "resources are of another version of FHIR",
    "note.draft": "texts are drafts that software wrote, and no evidence",
    "note.damaged": "attachments are not as long, or not the same, as their document says",
    "note.not_inline": "attachments are not in the file; nothing is fetched",
    "note.not_text": "attachments are not plain text or HTML",
    "note.too_large": "attachments are too large",
    "note.undecodable": "attachments cannot be decoded",
}
Row = TypeVar("Row", bound=tuple[Any, ...])


class Collector(Generic[Row]):
    """Rows of all files, and of which file each is.

    Args:
        reading: What the readers share.
        identity: Whose a row is, its category, and the id of its resource.
    """

    def __init__(self, reading: Reading, identity: Callable[[Row], Key]) -> None:
        self.reading, self.identity = reading, identity
        self.rows: list[Row] = []
        self.troubles: list[Counter[str]] = []
        self._spans: list[tuple[int, int, int]] = []  # first row, number of the file, latest moment
        self._seen: dict[Key, tuple[int, str]] = {}
        self._dead: set[int] = set()
        self._stamp = ""

    def begin(self) -> None:
        """The next file, which is the one of `reading`."""
        self.reading.number = len(self.troubles)
        self.troubles.append(self.reading.file.troubles)
        self._span("")

    def forget(self) -> None:
        """Nothing of the file that was begun last is used: it turned out to be unreadable."""
        self.troubles[-1].clear()
        start = next(first for first, number, _ in self._spans if number == self.reading.number)
        del self.rows[start:]
        self._spans = [span for span in self._spans if span[1] != self.reading.number]
        self._seen = {key: held for key, held in self._seen.items() if held[0] < start}
        self._dead = {row for row in self._dead if row < start}
        for who in [who for who, said in self.reading.people.items() if said[-1].file == self.reading.number]:
            said = [one for one in self.reading.people.pop(who) if one.file != self.reading.number]
            if said:
                self.reading.people[who] = said

    def add(self, resource: Resource, rows: Sequence[Row]) -> None:
        """The rows of one resource."""
        if not rows:
            return
        if self.reading.file.stamp != self._stamp:
            self._span(self.reading.file.stamp)
        key = self.identity(rows[0])
        if key[2]:
            known, updated = self._seen.get(key), _updated(resource)
            if known is not None and not self._newer(key, known, rows, updated):
                return
            self._seen[key] = (len(self.rows), updated)
        self.rows += rows

    def finish(
        self, to_frame: Callable[[Sequence[Row]], pd.DataFrame], now: datetime
    ) -> tuple[pd.DataFrame, dict[str, Person]]:
        """Everything that stands, and whom it is about; what does not is counted in the troubles of its file."""
        spans = np.array(self._spans, np.int64).reshape(-1, 3)
        lengths = np.append(spans[1:, 0], len(self.rows)) - spans[:, 0]
        file, latest = np.repeat(spans[:, 1], lengths), np.repeat(spans[:, 2], lengths)
        frame, alive = self._of_known_patients(to_frame(self.rows), file), self._alive()
        self.rows.clear()  # a frame is a quarter of their size
        self._seen.clear()
        kept = alive & (frame["patient_id"] != "").to_numpy()
        frame, file, latest = frame[kept], file[kept], np.minimum(latest, tolerant(now))[kept]
        future = microseconds(frame["time"]) > tolerant(now)
        shifted = shifted_files(future, file)
        self._count("fhir.shifted_dates", file[future & shifted])
        people = settle(self.reading.people, self.troubles, None if shifted.any() else now)
        why = refusals(frame, people, np.where(shifted, NEVER, latest))
        for number, code in enumerate(REASONS[1:], start=1):
            self._count(code, file[why == number])
        return frame[why == 0], people

    def _span(self, stamp: str) -> None:
        """From here on rows are of another bundle; none of them can be later than it, but for a day."""
        self._stamp = stamp
        at = self.reading.moment(stamp)
        self._spans.append((len(self.rows), self.reading.number, NEVER if at is None else at + DAY))

    def _newer(self, key: Key, known: tuple[int, str], rows: Sequence[Row], updated: str) -> bool:
        """Whether the rows of a resource that was read before replace those."""
        start, was = known
        if start == CONFLICTING:
            self.reading.trouble("fhir.conflicting")
            return False
        old = list(takewhile(lambda row: self.identity(row) == key, islice(self.rows, start, None)))
        if old == [row for row in rows if self.identity(row) == key]:
            self.reading.trouble("fhir.duplicate")
            return False
        before, after = self.reading.moment(was), self.reading.moment(updated)
        if before is None or after is None or before == after:
            self.reading.file.troubles["fhir.conflicting"] += 2
            self._seen[key] = (CONFLICTING, "")
        else:
            self.reading.trouble("fhir.superseded")
            if after < before:
                return False
        self._dead.update(range(start, start + len(old)))
        return self._seen[key][0] != CONFLICTING

    def _alive(self) -> Array:
        """Which rows were not replaced or taken back."""
        alive = np.ones(len(self.rows), bool)
        alive[list(self._dead)] = False
        if gone := self.reading.retracted:
            alive &= np.array([self.identity(row) not in gone for row in self.rows], bool)
        return alive

    def _of_known_patients(self, frame: pd.DataFrame, file: Array) -> pd.DataFrame:
        """Patients named by an identifier take the id of the one Patient who has it; without one they are unknown."""
        codes, names = pd.factorize(frame["patient_id"])
        if not any(str(name).startswith(IDENTIFIED) for name in names):
            return frame
        ids = [self._patient_id(str(name)) for name in names]
        self._count("fhir.no_patient", file[np.array([one == "" for one in ids], bool)[codes]])
        return frame.assign(patient_id=pd.array(ids, dtype="str").take(codes))

    def _patient_id(self, name: str) -> str:
        if not name.startswith(IDENTIFIED):
            return name
        found = self.reading.identifiers.get(name.removeprefix(IDENTIFIED), set())
        return next(iter(found)) if len(found) == 1 else ""

    def _count(self, code: str, files: Array) -> None:
        for number, count in zip(*np.unique(files, return_counts=True), strict=True):
            self.troubles[int(number)][code] += int(count)


def _updated(resource: Resource) -> str:
    meta = resource.get("meta")
    said = meta.get("lastUpdated") if meta else None
    return said if said.__class__ is str else ""


def collect(
    files: Sequence[Path],
    collector: Collector[Any],
    take: Callable[[Resource], None],
    wanted: frozenset[str],
    name: str,
) -> list[Rejected]:
    """Read files one after another; those that cannot be used as a whole are returned as rejections."""
    refused = []
    for path in files:
        collector.reading.file = FhirFile()
        collector.begin()
        try:
            for resource in read_resources(path, collector.reading.file, wanted):
                take(resource)
        except EvidenceError as error:
            refused.append(rejection(error, name, path))
            collector.forget()
    return refused


@contextmanager
def without_cycles() -> Iterator[None]:
    """Hold the collector of cyclic garbage: JSON has no cycles, and it would visit all rows again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def counted_in(files: Sequence[Path], troubles: Sequence[Counter[str]], modality: str) -> list[Rejected]:
    """One rejection for each kind of trouble in each file that was otherwise used."""
    return [
        Rejected(modality=modality, code=code, why=f"{count} {WHY[code]}", paths=(path.as_posix(),))
        for path, found in zip(files, troubles, strict=True)
        for code, count in sorted(found.items())
    ]
