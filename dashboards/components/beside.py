"""When a study was taken, and which studies of its kind came before it: for the time cursor and the view beside it.

In:  a case, a piece of its evidence. Out: hours before the decision; addresses of priors with what they are in words.

A prior is a dated study of the same kind from before: series of one study are alternatives, not priors.
"""

from datetime import datetime
from typing import Any, Final

from clinic_mm.errors import ClinicError
from clinic_mm.report.words import time_before
from clinic_mm.sources.choose import in_order
from clinic_mm.types import CaseRecord, Evidence
from components.evidence import address, case_record

SAME_STUDY_H: Final = 1.0
"""What was taken within an hour is one examination, where nothing names its study."""
MOST: Final = 8


def moment(case: str, kind: str, shown: Evidence, at: datetime | None) -> dict[str, Any]:
    """What a canvas of pictures is told of time: `case`, `taken_h`, `priors` (address, words, apart)."""
    return {"case": case, "taken_h": taken_h(shown, at), "priors": _priors(case, kind, shown)}


def taken_h(evidence: Evidence, at: datetime | None) -> float | None:
    """Hours from the study (its first sample) to the decision; None where one of the two is not known."""
    if at is None or evidence.acquired_at is None:
        return None
    return (at - evidence.acquired_at).total_seconds() / 3600


def prior_studies(case: CaseRecord, kind: str, shown: Evidence) -> list[Evidence]:
    """What was taken before, the latest first, of other studies and meant for the same modality."""
    if shown.acquired_at is None:
        return []
    every = in_order(case.usable(kind), "latest")
    return [one for one in every if one.named == shown.named and _is_before(one, shown)][:MOST]


def _is_before(one: Evidence, shown: Evidence) -> bool:
    if one.acquired_at is None or shown.acquired_at is None or one.acquired_at >= shown.acquired_at:
        return False
    studies = one.meta.get("study"), shown.meta.get("study")
    if all(studies):
        return studies[0] != studies[1]
    return (shown.acquired_at - one.acquired_at).total_seconds() > SAME_STUDY_H * 3600


def _priors(case: str, kind: str, shown: Evidence) -> list[dict[str, Any]]:
    try:
        found = prior_studies(case_record(case), kind, shown) if case else []
    except ClinicError:
        return []  # said in the tile
    apart = [time_before(taken_h(one, shown.acquired_at) or 0.0) for one in found]
    return [
        {"address": address(case, kind, one), "words": _in_words(one, days), "apart": days}
        for one, days in zip(found, apart, strict=True)
    ]


def _in_words(one: Evidence, apart: str) -> str:
    """`2025-01-23 07:51 UTC, 43 days before this one, kernel B30`."""
    assert one.acquired_at is not None
    kernel, view = one.meta.get("kernel"), one.meta.get("view_position")
    more = [*([f"kernel {kernel}"] if kernel else []), *([f"view {view}"] if view else [])]
    return ", ".join([f"{one.acquired_at:%Y-%m-%d %H:%M} UTC", f"{apart} this one", *more])
