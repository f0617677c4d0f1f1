"""Read MEDS events: Parquet files of subject, time, code and value, versions 0.3 and 0.4.

In:  a single file, or the shards below `data/` of a dataset, with `metadata/codes.parquet` where there is one.
Out: rows in RECORD_COLUMNS, and how many events were left out, by reason.

A MEDS time without a zone takes the site's. Where only the day is known (MEDS then writes midnight) it counts as its
end. Diagnoses coded after a stay are known when the stay ends. Death is left out: it is only known later.

Nothing here maps a site's own codes to a standard: only the dataset's metadata can say what they stand for.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Int
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.found import rejection
from clinic_mm.sources.record.checked import checked, told
from clinic_mm.sources.record.rows import record_frame
from clinic_mm.sources.tables.meds_codes import LEFT_OUT, UNKNOWN, Meaning, meaning
from clinic_mm.sources.tables.table_times import utc_times
from clinic_mm.types import Rejected

NEEDED: Final = frozenset({"subject_id", "time", "code"})
NUMBERS: Final = ("numeric_value", "value")
"""The schema's name of the number, and the short one that some extractions write."""
METADATA: Final = Path("metadata", "codes.parquet")
UP: Final = 4
"""How many folders above a shard its metadata may lie: <dataset>/data/<split>/<shard>.parquet."""


class _Events(NamedTuple):
    """One file: its columns, and what each distinct code means."""

    frame: pd.DataFrame
    code: Int[Array, " event"]
    meanings: list[Meaning]
    displays: list[str]


def read_meds(files: Sequence[Path], zone: tzinfo) -> tuple[pd.DataFrame, list[Rejected]]:
    """Facts of all subjects in MEDS files.

    Args:
        files: Parquet files with the columns of MEDS; each holds whole subjects, as the schema wants it.
        zone: Of the site, for times without a zone.

    Returns:
        Rows in RECORD_COLUMNS by patient and time, `patient_id` being the subject id, and what was left out: one
        rejection per file and reason, with the path as it was given. `meds.unreadable` for a file that cannot be read.
    """
    frames, rejected = [], []
    for path in files:
        counts: Counter[str] = Counter()
        try:
            events = _events(path)
            frames.append(checked(_facts(events, zone, counts), counts, _deaths(events, zone)))
        except EvidenceError as error:
            rejected.append(rejection(error, "record", path))
        rejected += told(counts, "meds", path)
    return pd.concat(frames, ignore_index=True) if frames else record_frame([]), rejected


def _events(path: Path) -> _Events:
    try:
        names = set(pq.read_schema(path).names)
        number = next((name for name in NUMBERS if name in names), None)
        wanted = [*sorted(NEEDED), *([number] if number else []), *(["text_value"] if "text_value" in names else [])]
        table = pq.read_table(path, columns=wanted)
        table.validate(full=True)  # text that is no UTF-8 would only be met on use
        codes = pc.dictionary_encode(pc.cast(table["code"], pa.string()).combine_chunks())
        frame = table.drop_columns("code").to_pandas()
    except (OSError, pa.ArrowException, ValueError):
        mend = "Export it again, or leave it out"
        raise EvidenceError("meds.unreadable", "The MEDS file cannot be read", "", mend) from None
    known = ["" if one is None else one for one in codes.dictionary.to_pylist()]
    about = _described(path)
    frame["number"] = _as_written(pd.to_numeric(frame[number], errors="coerce")) if number else np.nan
    said = frame["text_value"] if "text_value" in frame else pd.Series("", index=frame.index)
    frame["said"] = said.fillna("").astype("str").str.strip()
    meanings = [meaning(one, about.get(one, ("", ()))[1]) for one in known]
    displays = [about.get(one, (one, ()))[0] or one for one in known]
    place = codes.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
    return _Events(frame, place, [*meanings, Meaning(UNKNOWN, "")], [*displays, ""])


def _as_written(number: pd.Series) -> "pd.Series[float]":
    """MEDS keeps 32 bits: 3.9 is 3.9 again, not 3.9000000954."""
    if number.dtype != "float32":
        return number.astype("float64")
    distinct, place = np.unique(number.to_numpy(), return_inverse=True)
    return pd.Series(np.array([float(str(one)) for one in distinct])[place], index=number.index, dtype="float64")


def _facts(events: _Events, zone: tzinfo, counts: Counter[str]) -> pd.DataFrame:
    """Events as facts, those without a meaning of their own counted and left out."""
    frame, one = events.frame, _columns(events)
    number, said = frame["number"].mask(np.isinf(frame["number"])), frame["said"]
    silent = number.isna() & (said == "")
    observed = one["category"].isin(["observation", UNKNOWN])
    unknown = (one["category"] == UNKNOWN) & number.isna()
    left_out = one["category"] == LEFT_OUT
    no_value = observed & silent & ~unknown
    counts["unknown_code"] += int((unknown & (one["code"] != "")).sum())
    counts["no_value"] += int(no_value.sum())
    kept = ~(left_out | unknown & (one["code"] != "") | no_value)
    day = ~one["clock"]
    time = _known(utc_times(frame["time"], zone, midnight_is_a_day=day), utc_times(frame["time"], zone), one, frame)
    born = one["birth"]
    of_snomed = one["code"].str.startswith("snomed:") & ~silent
    facts = pd.DataFrame(
        {
            "patient_id": _ids(frame["subject_id"]),
            "category": one["category"].mask(one["category"] == UNKNOWN, "observation").mask(of_snomed, "observation"),
            "code": one["code"],
            "display": one["display"],
            "value": number,
            "text": one["text"].mask((one["text"] == "") & number.isna(), said),
            "unit": one["unit"],
            "time": time,
            "source_id": np.arange(1, len(frame) + 1),
        }
    )
    facts.loc[born, "text"] = pd.to_datetime(frame.loc[born, "time"]).dt.strftime("%Y-%m-%d").fillna("")
    facts.loc[facts["category"] == "demographic", "time"] = pd.NaT
    return facts[kept & ~(born & (facts["text"] == ""))]


def _deaths(events: _Events, zone: tzinfo) -> "pd.Series[pd.Timestamp]":
    """When subjects died: to check the others' dates by, and for nothing else."""
    dead = np.array([one.death for one in events.meanings], dtype=bool)[events.code]
    at = events.frame[dead & events.frame["time"].notna().to_numpy()]
    died = pd.Series(utc_times(at["time"], zone, midnight_is_a_day=True).array, index=_ids(at["subject_id"]).array)
    return died.groupby(level=0).max()


def _columns(events: _Events) -> pd.DataFrame:
    """What the codes mean, event by event."""
    by_code = pd.DataFrame(events.meanings, columns=list(Meaning._fields)).assign(display=events.displays)
    by_code = by_code.astype(dict.fromkeys(("category", "code", "unit", "text", "display"), "str"))
    return by_code.take(events.code).set_axis(events.frame.index)


def _known(time: pd.Series, exact: pd.Series, one: pd.DataFrame, frame: pd.DataFrame) -> pd.Series:
    """When each event was known: what is coded after a stay, at the stay's end.

    Args:
        time: Of each event, a day being its end.
        exact: The same, a day being its beginning: it says which stay is meant.
        one: What each event's code means.
        frame: The events.
    """
    subject = frame["subject_id"]
    waits = one["until_discharge"] & time.notna()
    ends = one["discharge"] & time.notna()
    if not waits.any() or not ends.any():
        return time
    starts = one["code"].str.startswith("meds:HOSPITAL_ADMISSION") & time.notna()
    waiting = _by_time(exact[waits], subject).rename(columns={"time": "at"})
    end = _by_time(exact[ends], subject).assign(end=lambda f: f["time"])
    start = _by_time(exact[starts], subject).assign(start=lambda f: f["time"])
    stay = pd.merge_asof(
        waiting, end, left_on="at", right_on="time", by="subject", direction="forward", suffixes=("", "_end")
    )
    stay = pd.merge_asof(
        stay,
        start,
        left_on="at",
        right_on="time",
        by="subject",
        direction="forward",
        allow_exact_matches=False,
        suffixes=("", "_start"),
    )
    inside = stay["end"].notna() & (stay["start"].isna() | (stay["end"] <= stay["start"]))
    later = time.copy()
    later.loc[stay.loc[inside, "event"]] = stay.loc[inside, "end"].array
    return later


def _by_time(time: pd.Series, subject: pd.Series) -> pd.DataFrame:
    frame = pd.DataFrame({"event": time.index, "subject": subject.loc[time.index].array, "time": time.array})
    return frame.sort_values("time", kind="stable", ignore_index=True)


def _ids(subject: pd.Series) -> "pd.Series[str]":
    whole = subject.astype("Int64") if pd.api.types.is_float_dtype(subject) else subject
    return whole.astype("str").where(subject.notna(), "").str.strip()


def _described(path: Path) -> Mapping[str, tuple[str, tuple[str, ...]]]:
    """What the dataset's metadata says of its codes: words, and codes of known vocabularies."""
    for folder in list(path.absolute().parents)[:UP]:
        if (folder / METADATA).is_file():
            return _metadata(folder / METADATA)
    return {}


def _metadata(path: Path) -> Mapping[str, tuple[str, tuple[str, ...]]]:
    try:
        table = pq.read_table(path)
        code = [str(one) for one in table["code"].to_pylist()]
        words = table["description"].to_pylist() if "description" in table.column_names else [None] * len(code)
        above = table["parent_codes"].to_pylist() if "parent_codes" in table.column_names else [None] * len(code)
    except (OSError, pa.ArrowException, KeyError):
        return {}
    return {
        one: (str(word or ""), tuple(map(str, parents or ())))
        for one, word, parents in zip(code, words, above, strict=True)
    }
