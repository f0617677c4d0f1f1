"""Let a reader turn files into rows, and say whose they are by the source's policy.

In:  files of one source, a reader of facts or notes. Out: row frames, and what was refused.

Where folder or file name say whose rows are, one patient's files are read at a time. Nothing here keys a patient.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

import pandas as pd

from clinic_mm.cohort.guard import guarded
from clinic_mm.cohort.owned import Owned, Place, owner
from clinic_mm.types import Rejected


class RowReader(Protocol):
    """A reader of files whose content is kept as rows."""

    def __call__(self, files: Sequence[Path], zone: ZoneInfo) -> tuple[pd.DataFrame, list[Rejected]]:
        """Rows with the source's `patient_id`, and what was refused."""


def read_rows(name: str, reader: RowReader, place: Place, files: list[Path]) -> tuple[list[pd.DataFrame], list[Owned]]:
    """Rows of a reader; where folder or file name say whose they are, one patient's files at a time."""
    frames: list[pd.DataFrame] = []
    found: list[Owned] = []
    for patient_id, mine in _by_owner(place, files).items():
        result, bad = guarded(lambda some: reader(some, place.zone), mine, name)
        found += [place.owned(finding, path) for path, finding in bad]
        if result is not None:
            frame, rejected = result
            found += [place.owned(place.named(one)) for one in rejected]
            if patient_id is None:
                frames.append(place.rows(frame))
            elif (several := frame.loc[frame["patient_id"] != "", "patient_id"].nunique()) > 1:
                found += [place.owned(_several(place, path, name, several)) for path in mine]
            else:
                frames.append(place.rows(frame.assign(patient_id=patient_id)))
    return frames, found


def _several(place: Place, path: Path, name: str, several: int) -> Rejected:
    """Folder or file name say that all is one patient's, and the files say otherwise: never merged."""
    why, mend = f"The files of one patient name {several}", "Give each patient files of their own"
    return place.refused(path, name, f"{name}.several_patients", why, mend)


def _by_owner(place: Place, files: list[Path]) -> dict[str | None, list[Path]]:
    if place.source.patient == "header":
        return {None: files}
    groups: dict[str | None, list[Path]] = defaultdict(list)
    for path in files:
        groups[owner(place.source.patient, "", [place.relative(path)])].append(path)
    return dict(groups)
