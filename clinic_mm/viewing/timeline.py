"""A patient record as lanes over time: what happened, and each laboratory value with its unit and reference range.

In:  a record in long form (RECORD_COLUMNS) and the decision time.
Out: plain values for JSON: lanes with facts at hours before the decision, newest last; what is left out is counted.

Values are those of the record: nothing is converted, averaged or filled in. Shows no source id, no patient id and no
birth date. A flag is the source's own; where it gives none but a reference range, the range speaks, and that is said.
"""

import math
from collections.abc import Callable, Hashable, Iterable
from datetime import datetime
from typing import Any, Final

import pandas as pd

from clinic_mm.signals import PatientRecord

Row = dict[Hashable, Any]
"""A fact by RECORD_COLUMNS, as pandas gives it out."""
MOST_FACTS: Final = 3000
MOST_LANES: Final = 60
EVENTS: Final = {
    "encounter": "Encounters",
    "condition": "Conditions",
    "procedure": "Procedures",
    "medication": "Medication",
    "allergy": "Allergies",
    "imaging": "Imaging",
    "report": "Reports",
}
"""Kinds of fact that share a lane each, in the order in which they stand."""
HIDDEN: Final = frozenset({"birth_date"})
FLAGS: Final = {
    "H": "high",
    "HH": "critically high",
    "HU": "significantly high",
    "L": "low",
    "LL": "critically low",
    "LU": "significantly low",
    "N": "normal",
    "A": "abnormal",
    "AA": "critically abnormal",
    "POS": "positive",
    "NEG": "negative",
    "DET": "detected",
    "ND": "not detected",
    "R": "resistant",
    "S": "susceptible",
    "I": "intermediate",
}
"""HL7 v3 ObservationInterpretation in words; what is not here is shown as the source wrote it."""
NO_ALARM: Final = frozenset({"", "N", "NEG", "ND", "S"})


def timeline(
    record: PatientRecord,
    at: datetime | None,
    unit_words: Callable[[str], str] = str,
    studies: Iterable[tuple[str, datetime | None]] = (),
) -> dict[str, Any]:
    """Lanes of a record.

    Args:
        record: All facts known at the decision.
        at: The decision time; without one, hours count from the newest fact, and `decision` is False.
        unit_words: How a UCUM unit is written for a reader; the value itself stays as it is.
        studies: What else was acquired of the patient, and when: a lane of its own; what is undated is not in it.

    Returns:
        `lanes`: name, kind (`events` or `numbers`), unit, low, high (of the newest fact that has a range), facts; each
        fact: hours before, value (None where it has no number), words, flag, flag in words, alarm, when (UTC). Counts
        `undated`, `left_out` and `lanes_left_out`; `after`: facts after the decision, which no record should hold.
    """
    rows = record.rows[(record.rows["category"] != "demographic") & ~record.rows["code"].isin(HIDDEN)]
    dated = rows[rows["time"].notna()]
    zero = pd.Timestamp(at) if at is not None else dated["time"].max()
    kept = [_timed(row, zero, unit_words) for row in dated.tail(MOST_FACTS).to_dict("records")]
    lanes = [lane for lane in [_studies(studies, zero), *_lanes(kept)] if lane["facts"]]
    return {
        "lanes": lanes[:MOST_LANES],
        "decision": at is not None,
        "undated": int(rows["time"].isna().sum()),
        "left_out": len(dated) - len(kept),
        "lanes_left_out": max(0, len(lanes) - MOST_LANES),
        "after": sum(row["hours"] < 0 for row in kept),
    }


def _timed(row: Row, zero: pd.Timestamp, unit_words: Callable[[str], str]) -> Row:
    return row | {"hours": _hours(row["time"], zero), "unit": unit_words(str(row["unit"]))}


def _hours(when: pd.Timestamp, zero: pd.Timestamp) -> float:
    return (zero - when).total_seconds() / 3600


def _studies(studies: Iterable[tuple[str, datetime | None]], zero: pd.Timestamp) -> dict[str, Any]:
    dated = sorted(((pd.Timestamp(when), label) for label, when in studies if when is not None))
    empty = {"value": None, "range": "", "flag": "", "said": "", "alarm": False}
    facts = [
        empty | {"hours": _hours(when, zero), "words": label, "when": f"{when:%Y-%m-%d %H:%M}"}
        for when, label in dated
        if not pd.isna(zero)
    ]
    return {"name": "Studies", "kind": "events", "unit": "", "low": None, "high": None, "facts": facts}


def _lanes(rows: list[Row]) -> list[dict[str, Any]]:
    """Events by kind, then measured values, what was measured most often first, then what has words only.

    Two units are two lanes, never one line.
    """
    events: dict[str, list[Row]] = {kind: [] for kind in EVENTS}
    numbers: dict[tuple[str, str], list[Row]] = {}
    texts: list[Row] = []
    for row in rows:
        if row["category"] in events:
            events[row["category"]].append(row)
        elif _number(row["value"]) is None:
            texts.append(row)
        else:
            numbers.setdefault((row["code"], row["unit"]), []).append(row)
    often = sorted(numbers, key=lambda one: (-len(numbers[one]), one))
    return [
        *(_lane(EVENTS[kind], "events", some) for kind, some in events.items()),
        *(_numbers(numbers[one]) for one in often),
        _lane("Other findings", "events", texts),
    ]


def _numbers(rows: list[Row]) -> dict[str, Any]:
    """A lane of one value, named as the source wrote it last, with the reference range it gave last."""
    ranges = [(_number(row["ref_low"]), _number(row["ref_high"])) for row in rows]
    low, high = next((one for one in reversed(ranges) if one != (None, None)), (None, None))
    return _lane(_display(rows[-1]), "numbers", rows) | {"unit": rows[-1]["unit"], "low": low, "high": high}


def _lane(name: str, kind: str, rows: list[Row]) -> dict[str, Any]:
    facts = [_fact(row, kind) for row in rows]
    return {"name": name, "kind": kind, "unit": "", "low": None, "high": None, "facts": facts}


def _fact(row: Row, kind: str) -> dict[str, Any]:
    flag, said = _flag(row)
    value = _number(row["value"])
    text = str(row["text"])
    shown = f"{value:.6g} {row['unit']}".strip() if value is not None else text
    words = shown if kind == "numbers" else " ".join(part for part in (_display(row), shown) if part)
    return {
        "hours": float(row["hours"]),
        "value": value,
        "words": words,
        "range": _range(_number(row["ref_low"]), _number(row["ref_high"])),
        "flag": flag,
        "said": said,
        "alarm": flag not in NO_ALARM,
        "when": f"{row['time']:%Y-%m-%d %H:%M}",
    }


def _flag(row: Row) -> tuple[str, str]:
    """The source's flag and its words, or what its reference range says."""
    given = str(row["interpretation"])
    if given:
        return given, FLAGS.get(given, given)
    value, low, high = (_number(row[name]) for name in ("value", "ref_low", "ref_high"))
    if value is not None and high is not None and value > high:
        return "H", "above the reference range"
    if value is not None and low is not None and value < low:
        return "L", "below the reference range"
    return "", ""


def _range(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return ""
    if low is None:
        return f"up to {high:.6g}"
    return f"from {low:.6g}" if high is None else f"{low:.6g}–{high:.6g}"


def _display(row: Row) -> str:
    """The source's words without what LOINC adds: `Sodium` of `Sodium [Moles/volume] in Serum or Plasma`."""
    return str(row["display"] or row["code"]).partition(" [")[0]


def _number(value: object) -> float | None:
    number = float(str(value))
    return number if math.isfinite(number) else None
