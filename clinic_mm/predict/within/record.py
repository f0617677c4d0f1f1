"""What the codes of a record add to the opinion of the record's expert.

In:  records of k cases, prepared. Out: a `Within` for each: one line a code, with the patient's last value and when.

All summaries of a code (last, mean, count, age …, and whether they are missing) are one line. An expert that judges by
plain summaries has exact shares; a network is asked again without each code, where that is wanted.
"""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float, Float64
from numpy import ndarray as Array

from clinic_mm.predict.within.asked import Asked
from clinic_mm.predict.within.told import FeatureShare, Way, Within
from clinic_mm.prep.record import RecordPrep

LISTED: Final = 12
"""Codes that a Prediction stores, the weightiest."""
SECONDS: Final = 60
"""Times are kept to the minute: that is what hours in single precision carry over years."""


class _Shares(NamedTuple):
    way: Way
    opinion: float
    baseline: float
    share: Float64[Array, " codes"]


def record_within(asked: Asked) -> list[Within | None]:
    """Explain each record; None where the expert has no exact shares and occlusion is not wanted."""
    prep = asked.prep
    assert isinstance(prep, RecordPrep)
    codes = list(dict.fromkeys(f.code for f in prep.features))
    owner = np.array([codes.index(f.code) for f in prep.features])
    return [
        None if one is None else _told(asked, row, prep, codes, owner, one)
        for row, one in enumerate(_shares(asked, prep, owner, len(codes)))
    ]


def _shares(asked: Asked, prep: RecordPrep, owner: Array, n_codes: int) -> list[_Shares] | list[None]:
    exact = asked.exact()
    if exact is not None:
        cell_owner = np.repeat(owner, [len(prep.cells(f)) for f in prep.features])
        told = zip(exact.opinion, exact.baseline, exact.share, strict=True)
        return [
            _Shares(exact.way, float(opinion), float(base), np.bincount(cell_owner, share, n_codes))
            for opinion, base, share in told
        ]
    if not asked.why.occlude:
        return [None] * len(asked.cases)
    return [_occluded(asked, row, prep, owner, n_codes) for row in range(len(asked.cases))]


def _occluded(asked: Asked, row: int, prep: RecordPrep, owner: Array, n_codes: int) -> _Shares:
    """The opinion with and without each code that says something, and without all of them."""
    x, width = asked.x[row], [len(prep.cells(f)) for f in prep.features]
    known = np.unique(owner[np.isfinite(x).any(axis=1)])
    gone = np.stack([np.zeros(len(owner), bool), np.ones(len(owner), bool), *(owner == code for code in known)])
    versions = np.where(gone[:, :, None], np.nan, x).astype(x.dtype)
    plain = np.where(np.repeat(gone, width, axis=1), np.nan, asked.plain[row]).astype(np.float32)
    said = asked.opinion(row, versions, plain)
    share = np.zeros(n_codes)
    share[known] = said[0] - said[2:]
    return _Shares("occlusion", float(said[0]), float(said[1]), share)


def _told(asked: Asked, row: int, prep: RecordPrep, codes: list[str], owner: Array, one: _Shares) -> Within:
    due = _due(asked, row)
    order = np.lexsort((np.arange(len(codes)), -np.abs(one.share)))[:LISTED]
    lines = tuple(
        _known(prep, np.flatnonzero(owner == code), asked.x[row], due).model_copy(
            update={"code": codes[code], "share": float(one.share[code])}
        )
        for code in order
        if one.share[code]
    )
    return Within(
        modality=asked.name,
        way=one.way,
        opinion=one.opinion,
        baseline=one.baseline,
        features=lines,
        rest=one.opinion - one.baseline - sum(line.share for line in lines),
    )


def _due(asked: Asked, row: int) -> datetime | None:
    """When the record was cut off, from which ages are counted; None where that is not one moment."""
    until = {evidence.until for evidence in asked.cases[row].usable(asked.expert.kind, asked.name)}
    return until.pop() if len(until) == 1 else None


def _known(prep: RecordPrep, features: Array, x: Float[Array, "f s"], due: datetime | None) -> FeatureShare:
    """What the patient has of one code: the newest number, else what stands in its place."""
    age = prep.summaries.index("age h")
    found: list[tuple[float, FeatureShare]] = []
    for at in features:
        feature, cells = prep.features[at], x[at]
        if not np.isfinite(cells[0]):
            continue
        value, hours = float(f"{cells[0]:.6g}"), float(cells[age]) if feature.how == "number" else np.inf
        match feature.how:
            case "number":
                line = FeatureShare(code="", value=value, unit=feature.detail, time=_before(due, hours), share=0.0)
            case "age":
                # In whole years: with the decision time, parts of one would tell the birth date.
                line = FeatureShare(code="", value=float(np.floor(value)), unit="a", share=0.0)
            case "listed":
                line = FeatureShare(code="", text="listed" if value else "not listed", share=0.0)
            case "level":
                line = FeatureShare(code="", text=feature.detail if value else "another", share=0.0)
        if feature.how != "level" or value or len(features) == 1:
            found.append((hours if np.isfinite(hours) else np.inf, line))
    if not found:
        return FeatureShare(code="", text="not measured", share=0.0)
    return min(found, key=lambda known: known[0])[1]


def _before(due: datetime | None, hours: float) -> datetime | None:
    if due is None or not np.isfinite(hours):
        return None
    return due - timedelta(seconds=round(hours * 3600 / SECONDS) * SECONDS)
