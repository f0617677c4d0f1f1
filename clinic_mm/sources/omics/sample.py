"""Read samples of omics: one piece of evidence for each sample of a matrix, and the values of one of them.

In:  matrices (CSV, TSV, Parquet) as their source declares them, or sheets of one sample. Out: `Found`, `OmicsSample`.

Values stay on the scale that they have; nothing is normalised or filled in. A sample without a patient is nobody's.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import orjson
from jaxtyping import Float32
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError, InputError, TaskError
from clinic_mm.signals import OmicsSample
from clinic_mm.sources.found import Found
from clinic_mm.sources.omics.declared import Declared, SampleSheet, declared, omics_policy
from clinic_mm.sources.omics.matrix import Matrix, open_matrix
from clinic_mm.sources.place import content_hash, rejected, relative
from clinic_mm.sources.tables.table_file import open_columns
from clinic_mm.sources.tables.table_times import utc_times
from clinic_mm.types import Evidence, Flag

SAMPLE: Final = "sample"


class Owner(NamedTuple):
    """Whose a sample is, and when it was taken."""

    patient_id: str
    time: datetime | None


def load(files: Sequence[Path], *, locator: str = "", until: datetime | None = None) -> OmicsSample:
    """The values of one sample.

    Args:
        files: One table.
        locator: Which sample of it, and what its source declares, as `find_omics` wrote it; "" for a sheet.
        until: Not used: a sample is dated as a whole.

    Raises:
        EvidenceError: Code and reason why it cannot be used.
    """
    del until
    if len(files) != 1:
        raise EvidenceError("omics.several_files", "These files are several tables", "", "Give one table")
    told = orjson.loads(locator) if locator else {}
    at = int(told.pop(SAMPLE, 0))
    matrix = open_matrix(files[0], Declared.model_validate(told) if told else None)
    values = np.array(matrix.values[at])
    flags = (*_matrix_flags(matrix), *_sample_flags(values, matrix))
    peers = matrix if matrix.count > 1 else None
    return OmicsSample(values, matrix.features, matrix.scale, matrix.ids, peers, flags)


def find_omics(root: Path, root_name: str, files: Sequence[Path], zone: tzinfo, **options: object) -> Iterator[Found]:
    """One `Found` for each sample.

    Args:
        root: The folder looked through.
        root_name: Its name in the cohort.
        files: Tables below `root`.
        zone: Of the site, for moments of sampling without one.
        options: Of the source, see `Declared`; without any, each file must be a sheet.

    Raises:
        TaskError: If an option is wrong, or the sheet of samples cannot be read.
    """
    told = declared(options) if options else None
    listed = _listed(root, told.samples, zone) if told and told.samples else None
    for path in files:
        if told and told.samples and path == root / told.samples.path:
            continue
        try:
            matrix = open_matrix(path, told)
            paths, content = relative(root, [path]), content_hash([path])
        except EvidenceError as fault:
            yield Found("", rejected(fault, "omics", root_name, root, [path]))
            continue
        sheet = told is None or told.layout == "sheet"
        for at, name in enumerate(matrix.samples):
            owner = Owner("" if sheet else name, None) if listed is None else listed.get(name, Owner("", None))
            locator = _locator(told, at)
            try:
                flags = (*_matrix_flags(matrix), *_sample_flags(matrix.values[at], matrix))
            except EvidenceError as fault:
                yield Found(owner.patient_id, rejected(fault, "omics", root_name, root, [path], owner.time))
                continue
            evidence = Evidence(
                modality="omics",
                root=root_name,
                paths=paths,
                locator=locator,
                acquired_at=owner.time,
                content_hash=content,
                flags=flags,
                meta={"scale": matrix.scale, "ids": matrix.ids, "features": len(matrix.features)},
            )
            yield Found(owner.patient_id, evidence)


def _locator(told: Declared | None, at: int) -> str:
    """Which sample, and how its table is read: all that `load` needs."""
    given = told.model_dump(mode="json", exclude={"samples"}) if told else {}
    return orjson.dumps({**given, SAMPLE: at}, option=orjson.OPT_SORT_KEYS).decode() if told else ""


def _listed(root: Path, sheet: SampleSheet, zone: tzinfo) -> Mapping[str, Owner]:
    """Whose each sample is, by the sheet of samples; a sample of two patients or two moments is nobody's."""
    path, where = root / sheet.path, "source / options / samples"
    names = {key: getattr(sheet, key).strip().lower() for key in ("sample", "patient", "time")}
    try:
        frame = open_columns(path)
    except (InputError, OSError):
        mend = "Its path is relative to the folder of the source"
        raise TaskError("The sheet of samples cannot be read", where, mend) from None
    for key, name in names.items():
        if name and name not in frame:
            known = ", ".join(map(str, frame.columns[:20]))
            raise TaskError(f"The sheet of samples has no column {name!r}", f"{where} / {key}", f"It has: {known}")
    times = utc_times(frame[names["time"]], zone) if names["time"] else [None] * len(frame)
    found: dict[str, Owner] = {}
    for sample, patient, time in zip(frame[names["sample"]], frame[names["patient"]], times, strict=True):
        owner = Owner(_text(patient), time.to_pydatetime() if time is not None and time == time else None)
        name = _text(sample)
        found[name] = owner if found.setdefault(name, owner) == owner else Owner("", None)
    return found


def _text(cell: object) -> str:
    return "" if cell is None or cell != cell else str(cell).strip()


def _matrix_flags(matrix: Matrix) -> Iterator[Flag]:
    if matrix.dates:
        why = f"{matrix.dates} features bear the name of a date: a spreadsheet changed gene symbols"
        yield Flag(code="omics.dates_for_genes", why=why)
    if matrix.fractional:
        yield Flag(code="omics.fractional_counts", why="Counts have fractions: they were estimated")


def _sample_flags(values: Float32[Array, " feature"], matrix: Matrix) -> Iterator[Flag]:
    """What is wrong with one sample.

    Raises:
        EvidenceError: `omics.missing`, `omics.constant`.
    """
    policy, missing = omics_policy(), float(np.isnan(values).mean())
    if missing > policy.missing_refuse:
        what = f"{100 * missing:.0f} % of the features of the sample were not measured"
        raise EvidenceError("omics.missing", what, "", "Leave the sample out")
    if np.nanmin(values) == np.nanmax(values) and len(values) > 1:
        what = "All features of the sample have the same value"
        raise EvidenceError("omics.constant", what, "", "Leave the sample out, or export it again")
    if missing > policy.missing_flag:
        why = f"{100 * missing:.0f} % of the features of the sample were not measured"
        yield Flag(code="omics.missing", why=why)
