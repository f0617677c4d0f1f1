"""Rows of records and notes on their way into the cohort: typed, judged, keyed, and named as evidence.

In:  frames with the source's `patient_id`. Out: frames with `patient_key` first, by patient and time.

Nothing here looks into a fact or a text.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

import pandas as pd

from clinic_mm.cohort.cases import WHY
from clinic_mm.cohort.join import UNDATED
from clinic_mm.cohort.manifest import ROW_COLUMNS, ROW_FILES
from clinic_mm.cohort.owned import Owned
from clinic_mm.cohort.spec import RESERVED_ROOT
from clinic_mm.signals import NOTE_COLUMNS, RECORD_COLUMNS, RECORD_NUMBERS
from clinic_mm.types import Evidence, Rejected

SOURCE_COLUMNS: Final = {"record": RECORD_COLUMNS, "note": NOTE_COLUMNS}
UNKNOWN: Final = "patient.unknown"
NOBODY_MEND: Final = 'Say where it stands: patient = "folder", "stem" or "table" under [[source]]'


def judge_rows(name: str, frame: pd.DataFrame, *, accept_undated: bool) -> tuple[pd.DataFrame, list[Owned]]:
    """Refuse rows that name no patient, and rows that nothing dates (demographic facts need no date).

    Returns:
        The rows kept, and what was refused: one line for all strangers, one for each patient left without a row.
    """
    found = []
    nobody = frame["patient_id"] == ""
    if nobody.any():
        found.append(Owned("", _refused_rows(name, UNKNOWN, int(nobody.sum()), "name no patient"), ""))
    undated = frame["time"].isna() & ~nobody & ~frame["timeless"]
    if name == "record":
        undated &= frame["category"] != "demographic"
    undated &= not accept_undated
    kept = frame[~nobody & ~undated]
    counted = kept[kept["category"] != "demographic"] if name == "record" else kept
    left = frame[undated & ~frame["patient_id"].isin(counted["patient_id"])]
    for patient_id, count in left["patient_id"].value_counts().sort_index().items():
        found.append(Owned(str(patient_id), _refused_rows(name, UNDATED, int(count), "have no time"), ""))
    others = int(undated.sum()) - len(left)
    if others:
        found.append(Owned("", _refused_rows(name, UNDATED, others, "have no time, beside others that have"), ""))
    return kept.drop(columns="timeless"), found


def whole(name: str, frames: list[pd.DataFrame]) -> pd.DataFrame:
    """All rows of one kind with their types, ids stripped."""
    columns = [*SOURCE_COLUMNS[name], "timeless"]
    kinds = dict.fromkeys(columns, "str") | {"time": "datetime64[us, UTC]", "timeless": "bool"}
    kinds |= dict.fromkeys(RECORD_NUMBERS, "float64") if name == "record" else {}
    kept = [frame[columns].astype(kinds) for frame in frames if len(frame)]
    whole = pd.concat(kept, ignore_index=True) if kept else pd.DataFrame({c: [] for c in columns}).astype(kinds)
    whole["patient_id"] = whole["patient_id"].fillna("").str.strip()
    return whole


def keyed(name: str, frame: pd.DataFrame, keys: Mapping[str, str]) -> pd.DataFrame:
    """Rows with `patient_key` for `patient_id`, by patient and time, undated first, as readers have it."""
    known = frame[frame["patient_id"] != ""]
    keyed = known.drop(columns="patient_id")
    keyed.insert(0, "patient_key", known["patient_id"].map(keys).astype("str"))
    order = [c for c in ROW_COLUMNS[name] if c in {"patient_key", "time", "code", "kind", "source_id"}]
    order.sort(key=("patient_key", "time", "code", "kind", "source_id").index)
    return keyed.sort_values(order, kind="stable", na_position="first", ignore_index=True)[list(ROW_COLUMNS[name])]


def row_evidence(rows: Mapping[str, pd.DataFrame]) -> Iterable[tuple[str, Evidence]]:
    """One piece of evidence for each patient with rows of a kind; its hash is of those rows alone."""
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


def _refused_rows(name: str, code: str, count: int, why: str) -> Rejected:
    mend = NOBODY_MEND if code == UNKNOWN else WHY[code][1]
    return Rejected(modality=name, code=code, why=f"{count} rows {why}", mend=mend)
