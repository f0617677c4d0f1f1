"""Check facts that came in bulk: one unit for each code, nothing before birth or after today, nothing twice.

In:  facts of many patients as a frame.
Out: the facts that can stand, and how many could not, by reason.

Works on columns only: a hospital's export has millions of rows.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from clinic_mm.signals import RECORD_NUMBERS
from clinic_mm.sources.record.rows import TIME_TYPE, completed, in_order
from clinic_mm.sources.record.units import conversion
from clinic_mm.times import parse_iso
from clinic_mm.types import Rejected

ROW: Final = "source_id"
AFTER_DEATH: Final = pd.Timedelta(days=31)
"""Results of the last days come in late, and the dead are examined too."""
WHY: Final = {
    "after_death": "facts are dated more than 31 days after the patient's death",
    "ambiguous": "rows share their key with another row that says something else",
    "bad_number": "results have a number that cannot be read",
    "before_birth": "facts are dated before the patient's birth",
    "duplicate": "facts stand there twice; each counts once",
    "future": "facts are dated after today, beside others that are not",
    "no_code": "rows have no code",
    "no_patient": "rows name no patient",
    "no_person": "rows name a person that the person table does not have",
    "shifted_dates": "facts lie in the future, as all of their patient's do: taken as shifted dates, and kept",
    "no_value": "results have neither a number nor words",
    "undated": "rows have no time that could be read",
    "unit_mismatch": "results have a unit that cannot be one of their code",
    "unknown_code": "events have a code that is not known, and no number",
}
"""Why rows of a bulk source are left out, by the second half of their code."""


def checked(frame: pd.DataFrame, counts: Counter[str], deaths: "pd.Series[pd.Timestamp] | None" = None) -> pd.DataFrame:
    """The facts that can stand, in RECORD_COLUMNS by patient and time; the others are counted.

    Args:
        frame: Columns of RECORD_COLUMNS in any order; numbers and texts that the source does not have may lack.
            Demographic facts need no time; a row of another category without one is left out.
        counts: How many rows were left out, by the keys of WHY (those of shifted dates are kept).
        deaths: When patients died, by `patient_id`: to check facts by, never a fact itself.
    """
    undated = frame["time"].isna() & (frame["category"] != "demographic")
    nobody, nameless = frame["patient_id"] == "", frame["code"] == ""
    counts["no_patient"] += int(nobody.sum())
    counts["no_code"] += int((nameless & ~nobody).sum())
    counts["undated"] += int((undated & ~nameless & ~nobody).sum())
    frame = frame[~(nobody | nameless | undated)]
    late, shifted = _future(frame)
    counts["shifted_dates"] += int((late & shifted).sum())
    counts["future"] += int((late & ~shifted).sum())
    frame = frame[~late | shifted]
    died = frame["patient_id"].map({} if deaths is None else deaths.to_dict())
    for why, fault in (
        ("before_birth", _before_birth(frame)),
        ("after_death", frame["time"] > pd.to_datetime(died, utc=True).astype(TIME_TYPE) + AFTER_DEATH),
        ("unit_mismatch", _other_unit(frame)),
    ):
        counts[why] += int(fault.sum())
        frame = frame[~fault.reindex(frame.index)]
    frame = in_one_unit(frame)
    said = [name for name in frame.columns if name != ROW]
    twice = frame.duplicated(said)
    counts["duplicate"] += int(twice.sum())
    return in_order(completed(frame[~twice]))


def in_one_unit(frame: pd.DataFrame) -> pd.DataFrame:
    """Facts in UCUM and in the unit that their code is kept in, limits of reference ranges too.

    A unit that cannot be one of the code stays as it is: nothing says what the number then means.
    """
    pairs, place = _units(frame)
    known = [conversion(code, unit) for code, unit in pairs]
    units = pd.array([one.unit if one else unit for one, (_, unit) in zip(known, pairs, strict=True)], dtype="str")
    scale = np.array([one.scale if one else 1.0 for one in known])[place]
    offset = np.array([one.offset if one else 0.0 for one in known])[place]
    same = (scale == 1.0) & (offset == 0.0)
    numbers = {
        name: frame[name].where(same, (frame[name] * scale + offset).round(12))
        for name in RECORD_NUMBERS
        if name in frame
    }
    return frame.assign(unit=units.take(place) if len(pairs) else frame["unit"], **numbers)


def told(counts: Counter[str], kind: str, path: Path, modality: str = "record") -> list[Rejected]:
    """One refusal for each reason, `<kind>.<reason>`, with the count and the file as it was given."""
    return [
        Rejected(modality=modality, code=f"{kind}.{why}", why=f"{count} {WHY[why]}", paths=(path.as_posix(),))
        for why, count in sorted(counts.items())
        if count
    ]


def codes_of(kind: str) -> Mapping[str, str]:
    """Every code that rows of a bulk source can be left out with, and why."""
    return {f"{kind}.{why}": text for why, text in WHY.items()}


def _units(frame: pd.DataFrame) -> tuple[list[tuple[str, str]], np.ndarray]:
    """The distinct pairs of code and unit, and which of them each row has."""
    code, codes = pd.factorize(frame["code"])
    unit, units = pd.factorize(frame["unit"])
    pair, pairs = pd.factorize(code * max(len(units), 1) + unit)
    return [(str(codes[p // len(units)]), str(units[p % len(units)])) for p in pairs.tolist()], pair


def _other_unit(frame: pd.DataFrame) -> "pd.Series[bool]":
    pairs, place = _units(frame)
    refused = np.array([conversion(code, unit) is None for code, unit in pairs], dtype=bool)
    return pd.Series(refused[place] if len(pairs) else False, index=frame.index) & frame["value"].notna()


def _before_birth(frame: pd.DataFrame) -> "pd.Series[bool]":
    """Facts dated before the day (or month, or year) that the patient was born in begins."""
    births = frame[(frame["category"] == "demographic") & (frame["code"] == "birth_date")]
    born = {who: _start(text) for who, text in zip(births["patient_id"], births["text"], strict=True)}
    first = frame["patient_id"].map({who: at for who, at in born.items() if at is not None})
    return frame["time"] < pd.to_datetime(first, utc=True).astype(TIME_TYPE)


def _start(text: str) -> datetime | None:
    """The first moment that a birth date can mean, one day early: it is local, times are UTC."""
    first = parse_iso((text + "-01-01")[:10] if len(text) == 4 else (text + "-01")[:10])
    return None if first is None else first - pd.Timedelta(days=2)


def _future(frame: pd.DataFrame) -> "tuple[pd.Series[bool], pd.Series[bool]]":
    """Facts after today, and those of patients all of whose facts are: their dates were shifted on purpose."""
    late = frame["time"] > pd.Timestamp(datetime.now(UTC)) + pd.Timedelta(days=1)
    dated = frame["time"].notna()
    all_late = late[dated].groupby(frame.loc[dated, "patient_id"]).all()
    return late, frame["patient_id"].isin(all_late.index[all_late])
