"""Ingest: from folders of evidence to one cohort folder, joined by patient, without copying a pixel.

In:  `cohort.toml`, or any folder of files. Out: the cohort folder (see `manifest`), opened.

One bad file never stops it: what cannot be used is listed with its reason. Nothing is guessed: a finding that names
no patient is refused, not assigned.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import pandas as pd

from clinic_mm.cohort.gather import Gathered, Owned, Progress, gather
from clinic_mm.cohort.labels import Labels, read_labels
from clinic_mm.cohort.link import patient_keys, read_key
from clinic_mm.cohort.manifest import (
    EVIDENCE_COLUMNS,
    EVIDENCE_FILE,
    INFO_FILE,
    LABELS_FILE,
    REJECTED_COLUMNS,
    REJECTED_FILE,
    ROW_COLUMNS,
    ROW_FILES,
    Cohort,
    check_free,
    open_cohort,
    write_frame,
    write_info,
    write_rejected,
)
from clinic_mm.cohort.spec import RESERVED_ROOT, SPEC_NAME, CohortSpec, read_spec
from clinic_mm.signals import NOTE_COLUMNS, RECORD_COLUMNS
from clinic_mm.times import site_zone
from clinic_mm.types import Evidence, Failed, Rejected

SOURCE_COLUMNS: Final = {"record": RECORD_COLUMNS, "note": NOTE_COLUMNS}
NOBODY_WHY: Final = "Nothing says which patient this is"
NOBODY_MEND: Final = 'Say where it stands: patient = "folder", "stem" or "table" under [[source]]'


def ingest(given: Path, out: Path, *, key: Path | None = None, progress: Progress | None = None) -> Cohort:
    """Join a folder of evidence into a cohort.

    Args:
        given: The ingest file, or a folder with one, or any folder.
        out: The cohort folder: new, empty, or an earlier cohort, which is replaced.
        key: The pseudonym key file, see `link.key_path`.
        progress: Told of stage, done and total.

    Raises:
        TaskError: If the ingest file, a mapping or the labels are wrong.
        InputError: If `out` holds something else, or the key cannot be used.
    """
    spec, base = read_spec(given)
    check_free(out)
    secret = read_key(key, outside=out)
    zone = site_zone(spec.site_timezone)
    labels = read_labels(spec.labels, base, zone) if spec.labels else None
    skip = _no_evidence(spec, base, given, out)
    roots: dict[str, str] = {}
    all_of_it = Gathered()
    for source in spec.source:
        root, part = gather(source, base, zone, skip, progress)
        roots[source.name] = str(root)
        all_of_it.found += part.found
        all_of_it.record += part.record
        all_of_it.note += part.note
    return _write(out, spec, roots, all_of_it, labels, secret)


def _no_evidence(spec: CohortSpec, base: Path, given: Path, out: Path) -> frozenset[Path]:
    """Files and folders below a source that are not evidence."""
    mappings = [base / source.mapping for source in spec.source if isinstance(source.mapping, str)]
    labels = [base / spec.labels.path] if spec.labels else []
    return frozenset(
        path.resolve() for path in (out, given if given.is_file() else base / SPEC_NAME, *mappings, *labels)
    )


def _write(
    out: Path, spec: CohortSpec, roots: dict[str, str], gathered: Gathered, labels: Labels | None, secret: bytes
) -> Cohort:
    rows = {name: _whole(name, getattr(gathered, name)) for name in ROW_FILES}
    ids: set[str] = {owned.patient_id for owned in gathered.found}
    for frame in rows.values():
        ids.update(frame["patient_id"].unique())
    if labels is not None:
        ids.update(labels.patient_ids)
    keys = patient_keys(secret, ids)
    keyed = {name: _keyed(name, frame, keys) for name, frame in rows.items()}
    found = [*gathered.found, *(Owned("", r, r.paths[0]) for r in (labels.rejected if labels else ()))]
    found += [_strangers(name, frame) for name, frame in rows.items() if (frame["patient_id"] == "").any()]
    found = [_with_owner(owned) for owned in found]

    out.mkdir(parents=True, exist_ok=True)
    (out / INFO_FILE).unlink(missing_ok=True)  # until all is written anew, this is no cohort
    evidence = evidence_frame(((keys.get(o.patient_id, ""), o.finding) for o in found), keyed)
    write_frame(evidence, out / EVIDENCE_FILE)
    for name, frame in keyed.items():
        write_frame(frame, out / ROW_FILES[name])
    write_rejected(_rejected_frame(found), out / REJECTED_FILE)
    (out / LABELS_FILE).unlink(missing_ok=True)
    if labels is not None:
        table = labels.rows.copy()
        table.insert(0, "patient_key", labels.patient_ids.map(keys))
        write_frame(table, out / LABELS_FILE)
    write_info(
        out,
        {
            "name": spec.name,
            "site_timezone": spec.site_timezone,
            "undated": spec.undated,
            "timeless": tuple(source.name for source in spec.source if source.timeless),
            "simulated": spec.simulated,
            "roots": roots,
            "times": labels.times if labels else (),
            "counts": _counts(evidence, keyed, labels, len(keys)),
        },
    )
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
        for key, f in [*found, *_row_evidence(rows)]
    ]
    frame = pd.DataFrame(lines, columns=list(EVIDENCE_COLUMNS))
    frame = frame.astype(dict.fromkeys(EVIDENCE_COLUMNS, "str") | {"acquired_at": "datetime64[us, UTC]"})
    return frame.sort_values(["patient_key", "modality", "acquired_at", "finding"], ignore_index=True)


def _row_evidence(rows: Mapping[str, pd.DataFrame]) -> Iterable[tuple[str, Evidence]]:
    for name, frame in rows.items():
        hashes = pd.util.hash_pandas_object(frame, index=False)
        for key, mine in hashes.groupby(frame["patient_key"], sort=True):
            content = hashlib.sha256(mine.to_numpy().tobytes()).hexdigest()
            yield (
                str(key),
                Evidence(
                    modality=name,
                    root=RESERVED_ROOT,
                    paths=(ROW_FILES[name],),
                    locator=str(key),
                    content_hash=content,
                    meta={"rows": len(mine)},
                ),
            )


def _whole(name: str, frames: list[pd.DataFrame]) -> pd.DataFrame:
    columns = list(SOURCE_COLUMNS[name])
    kinds = dict.fromkeys(columns, "str") | {"time": "datetime64[us, UTC]"}
    kinds |= {"value": "float64"} if name == "record" else {}
    kept = [frame[columns].astype(kinds) for frame in frames if len(frame)]
    whole = pd.concat(kept, ignore_index=True) if kept else pd.DataFrame({c: [] for c in columns}).astype(kinds)
    whole["patient_id"] = whole["patient_id"].fillna("").str.strip()
    return whole


def _keyed(name: str, frame: pd.DataFrame, keys: Mapping[str, str]) -> pd.DataFrame:
    """Rows with `patient_key` for `patient_id`, by patient and time, oldest first, undated ones last."""
    known = frame[frame["patient_id"] != ""]
    keyed = known.drop(columns="patient_id")
    keyed.insert(0, "patient_key", known["patient_id"].map(keys).astype("str"))
    order = [c for c in ROW_COLUMNS[name] if c in {"patient_key", "time", "code", "kind", "source_id"}]
    order.sort(key=("patient_key", "time", "code", "kind", "source_id").index)
    return keyed.sort_values(order, kind="stable", ignore_index=True)[list(ROW_COLUMNS[name])]


def _strangers(name: str, frame: pd.DataFrame) -> Owned:
    count = int((frame["patient_id"] == "").sum())
    why = f"{count} rows name no patient"
    return Owned("", Rejected(modality=name, code="patient.unknown", why=why, mend=NOBODY_MEND), "")


def _with_owner(owned: Owned) -> Owned:
    """Usable evidence of nobody is refused."""
    finding = owned.finding
    if owned.patient_id or not isinstance(finding, Evidence):
        return owned
    refused = Rejected(
        modality=finding.modality,
        code="patient.unknown",
        why=NOBODY_WHY,
        mend=NOBODY_MEND,
        root=finding.root,
        paths=finding.paths,
        acquired_at=finding.acquired_at,
    )
    return Owned("", refused, owned.path)


def _rejected_frame(found: Iterable[Owned]) -> pd.DataFrame:
    lines = [
        (o.path, f.modality, getattr(f, "code", "failed"), f.why, getattr(f, "mend", ""))
        for o in found
        if isinstance(f := o.finding, Rejected | Failed)
    ]
    return pd.DataFrame(lines, columns=list(REJECTED_COLUMNS)).sort_values(["modality", "code", "path"])


def _counts(
    evidence: pd.DataFrame, rows: Mapping[str, pd.DataFrame], labels: Labels | None, patients: int
) -> dict[str, int]:
    by_status = evidence["status"].value_counts()
    counts = {"patients": patients, **{s: int(by_status.get(s, 0)) for s in ("present", "rejected", "failed")}}
    counts |= {f"{name}_rows": len(frame) for name, frame in rows.items()}
    return counts | {"labels": len(labels.rows) if labels else 0}
