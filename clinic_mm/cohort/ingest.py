"""Ingest: from folders of evidence to one cohort folder, joined by patient, without copying a pixel.

In:  `cohort.toml`, or any folder of files. Out: the cohort folder (see `manifest`), opened.

One bad file never stops it: what cannot be used is listed with its reason. Nothing is guessed: a finding that names
no patient is refused, not assigned.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import pandas as pd

from clinic_mm.cohort.gather import Progress, gather
from clinic_mm.cohort.labels import Labels, read_labels
from clinic_mm.cohort.link import patient_keys, read_key
from clinic_mm.cohort.manifest import (
    EVIDENCE_COLUMNS,
    EVIDENCE_FILE,
    INFO_FILE,
    LABELS_FILE,
    REJECTED_COLUMNS,
    REJECTED_FILE,
    ROW_FILES,
    Cohort,
    check_free,
    open_cohort,
    write_frame,
    write_info,
    write_rejected,
)
from clinic_mm.cohort.noted import FILE as STAMPS_FILE
from clinic_mm.cohort.noted import note_stamps
from clinic_mm.cohort.owned import Gathered, Owned
from clinic_mm.cohort.rows import NOBODY_MEND, UNKNOWN, judge_rows, keyed, row_evidence, whole
from clinic_mm.cohort.spec import SPEC_NAME, CohortSpec, read_spec
from clinic_mm.cohort.unchanged import FILE as INGESTED_FILE
from clinic_mm.cohort.unchanged import look_at, note, unchanged
from clinic_mm.errors import InputError
from clinic_mm.times import site_zone
from clinic_mm.types import Evidence, Failed, Rejected

NOBODY_WHY: Final = "Nothing says which patient this is"


def ingest(
    given: Path,
    out: Path,
    *,
    key: Path | None = None,
    progress: Progress | None = None,
    leave: frozenset[Path] = frozenset(),
    verify: bool = False,
) -> Cohort:
    """Join a folder of evidence into a cohort; where `out` holds just that already, no file is read.

    Args:
        given: The ingest file, or a folder with one, or any folder.
        out: The cohort folder: new, empty, or an earlier cohort, which is replaced.
        key: The pseudonym key file, see `link.key_path`.
        progress: Told of stage, done and total.
        leave: Resolved files that are left out for now, as if they were not there.
        verify: Read every file, whatever the file system says of it.

    Raises:
        TaskError: If the ingest file, a mapping or the labels are wrong.
        InputError: If `out` holds something else, the key cannot be used, or no file of evidence was found.
    """
    spec, base = read_spec(given)
    check_free(out)
    secret = read_key(key, outside=out)
    zone = site_zone(spec.site_timezone)
    told = no_evidence(spec, base, given, out)
    skip = told | leave
    look = partial(look_at, spec, base, skip, told, secret)
    begun_ns, before = time.time_ns(), look()
    if not verify and (cohort := unchanged(out, before)) is not None:
        return cohort
    labels = read_labels(spec.labels, base, zone) if spec.labels else None
    roots: dict[str, str] = {}
    all_of_it = Gathered()
    for source in spec.source:
        root, part = gather(source, base, zone, skip, progress)
        roots[source.name] = str(root)
        all_of_it.add(part)
    if not (all_of_it.found or all_of_it.record or all_of_it.note):
        mend = "Check the paths of its sources; links that lead out of a folder are not followed"
        raise InputError("There is no file of evidence", str(given), mend)
    joined = _join(spec, all_of_it, labels, secret)
    cohort = _write(out, spec, roots, labels.times if labels else (), joined)
    note_stamps(out, roots, (owned.finding for owned in all_of_it.found), begun_ns)
    if before.covers(roots, (owned.finding for owned in all_of_it.found)):
        note(cohort, before, look())
    return cohort


def no_evidence(spec: CohortSpec, base: Path, given: Path, out: Path) -> frozenset[Path]:
    """Files and folders below a source that are not evidence."""
    mappings = [base / source.mapping for source in spec.source if isinstance(source.mapping, str)]
    labels = [base / spec.labels.path] if spec.labels else []
    return frozenset(
        path.resolve() for path in (out, given if given.is_file() else base / SPEC_NAME, *mappings, *labels)
    )


@dataclass(frozen=True, slots=True)
class _Joined:
    """Everything by patient key, as it goes to disk."""

    evidence: pd.DataFrame
    rows: dict[str, pd.DataFrame]
    rejected: pd.DataFrame
    labels: pd.DataFrame | None
    patients: int


def _join(spec: CohortSpec, gathered: Gathered, labels: Labels | None, secret: bytes) -> _Joined:
    """Key all patients; refuse what names none, and rows that nothing dates."""
    accept = spec.undated == "accept" or labels is None or not labels.times
    found = [_with_owner(owned) for owned in gathered.found]
    found += [Owned("", one, one.paths[0]) for one in (labels.rejected if labels else ())]
    rows: dict[str, pd.DataFrame] = {}
    for name in ROW_FILES:
        rows[name], refused = judge_rows(name, whole(name, getattr(gathered, name)), accept_undated=accept)
        found += refused
    ids = {owned.patient_id for owned in found}.union(*(frame["patient_id"].unique() for frame in rows.values()))
    keys = patient_keys(secret, ids.union(labels.patient_ids) if labels else ids)
    by_key = {name: keyed(name, frame, keys) for name, frame in rows.items()}
    table = labels.rows.copy() if labels else None
    if table is not None and labels is not None:
        table.insert(0, "patient_key", labels.patient_ids.map(keys))
    evidence = evidence_frame(((keys.get(o.patient_id, ""), o.finding) for o in found), by_key)
    return _Joined(evidence, by_key, _rejected_frame(found), table, len(keys))


def _write(out: Path, spec: CohortSpec, roots: dict[str, str], times: tuple[str, ...], joined: _Joined) -> Cohort:
    out.mkdir(parents=True, exist_ok=True)
    for stale in (INFO_FILE, LABELS_FILE, INGESTED_FILE, STAMPS_FILE):  # until all is written anew, this is no cohort
        (out / stale).unlink(missing_ok=True)
    write_frame(joined.evidence, out / EVIDENCE_FILE)
    for name, frame in joined.rows.items():
        write_frame(frame, out / ROW_FILES[name])
    write_rejected(joined.rejected, out / REJECTED_FILE)
    if joined.labels is not None:
        write_frame(joined.labels, out / LABELS_FILE)
    about = {
        "name": spec.name,
        "site_timezone": spec.site_timezone,
        "undated": spec.undated,
        "timeless": tuple(source.name for source in spec.source if source.timeless),
        "simulated": spec.simulated,
        "roots": roots,
        "times": times,
        "counts": _counts(joined),
    }
    write_info(out, about)
    return open_cohort(out)


def evidence_frame(
    found: Iterable[tuple[str, Evidence | Rejected | Failed]], rows: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """All findings (EVIDENCE_COLUMNS), with one for each patient who has record or note rows."""
    lines = [
        (
            key,
            f.modality,
            f.status,
            getattr(f, "code", ""),
            getattr(f, "root", ""),
            getattr(f, "acquired_at", None),
            f.model_dump_json(),
        )
        for key, f in [*found, *row_evidence(rows)]
    ]
    frame = pd.DataFrame(lines, columns=list(EVIDENCE_COLUMNS))
    frame = frame.astype(dict.fromkeys(EVIDENCE_COLUMNS, "str") | {"acquired_at": "datetime64[us, UTC]"})
    return frame.sort_values(["patient_key", "modality", "acquired_at", "finding"], ignore_index=True)


def _with_owner(owned: Owned) -> Owned:
    """Usable evidence of nobody is refused."""
    finding = owned.finding
    if owned.patient_id or not isinstance(finding, Evidence):
        return owned
    refused = Rejected(
        modality=finding.modality,
        code=UNKNOWN,
        why=NOBODY_WHY,
        mend=NOBODY_MEND,
        root=finding.root,
        paths=finding.paths,
        acquired_at=finding.acquired_at,
    )
    return Owned("", refused, owned.path)


def _rejected_frame(found: Iterable[Owned]) -> pd.DataFrame:
    lines = [
        (
            f"{root}/{o.path}" if (root := getattr(f, "root", "")) else o.path,
            f.modality,
            getattr(f, "code", "failed"),
            f.why,
            getattr(f, "mend", ""),
        )
        for o in found
        if isinstance(f := o.finding, Rejected | Failed)
    ]
    return pd.DataFrame(lines, columns=list(REJECTED_COLUMNS)).sort_values(["modality", "code", "path"])


def _counts(joined: _Joined) -> dict[str, int]:
    by_status = joined.evidence["status"].value_counts()
    counts = {"patients": joined.patients, **{s: int(by_status.get(s, 0)) for s in ("present", "rejected", "failed")}}
    counts |= {f"{name}_rows": len(frame) for name, frame in joined.rows.items()}
    return counts | {"labels": 0 if joined.labels is None else len(joined.labels)}
