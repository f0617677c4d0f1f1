"""Rows of the work list in a clinician's words. Pure; nothing here draws or orders.

In:  rows of the store (`WorklistRow`), in their order. Out: lines of the table, plain data.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import quote

from clinic_mm.report.run import RunInfo
from clinic_mm.report.words import label_of, probability
from clinic_mm.store.values import State, WorklistRow
from clinic_mm.viewing.study import KINDS

HIDDEN: Final = "Hidden"
SEALED: Final = "Sealed"
NO_ANSWER: Final = "No answer"
BASE_RATE: Final = "Base rate"
STATE_WORDS: Final[dict[State, str]] = {
    "new": "New",
    "running": "Running",
    "ready": "Ready",
    "in_review": "In review",
    "signed": "Signed",
    "amended": "Amended",
}
SHOWN_RANGE: Final = (0.01, 0.99)
"""No bar is drawn as certain; the words say `> 0.99`."""

Who = Callable[[str], str]
Line = dict[str, Any]


def lines(rows: Sequence[WorklistRow], info: RunInfo, who: Who, hides: Callable[[tuple[str, ...]], str]) -> list[Line]:
    """The lines of the table.

    Args:
        rows: In order.
        info: Of the run: labels of the modalities.
        who: The name of a user.
        hides: Why monitoring hides the answers of a pattern, "" where it does not.

    Returns:
        For each row: `key`, `href`, `cells` (column to words), `urgency` (0 to 1, or None where it is not shown),
        `picture` (what is seen on it, "" for none) and `reading` (whether somebody has it open).
    """
    names = {user: who(user) for row in rows for user in (row.assigned, row.lock.by if row.lock else "") if user}
    return [_line(row, info, names, hides(row.pattern) if row.pattern and not row.sealed else "") for row in rows]


def waits_in_words(hours: float) -> str:
    """`40 min`, `7 h`, `3 d`; nothing for a case that waits for nobody."""
    if hours <= 0:
        return ""
    if hours < 1:
        return f"{hours * 60:.0f} min"
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} d"


def pattern_in_words(pattern: Sequence[str], info: RunInfo) -> str:
    """`2 of 5: CT · EEG`, in the order of the task; `All 5` where nothing is missing."""
    names, all_of_them = set(pattern), len(info.modalities)
    if len(names) == all_of_them > 1:
        return f"All {all_of_them}"
    named = " · ".join(label_of(name, labels(info)) for name in info.modalities if name in names)
    return f"{len(names)} of {all_of_them}: {named}" if named else f"None of {all_of_them}"


def labels(info: RunInfo) -> dict[str, str]:
    """Label of each modality of the run: its own name where several share a kind, else the label of the kind."""
    kinds = list(info.modalities.values())
    return {name: label_of(kind) if kinds.count(kind) == 1 else name for name, kind in info.modalities.items()}


def _line(row: WorklistRow, info: RunInfo, names: dict[str, str], hidden: str) -> Line:
    shown = row.urgency if row.answered and not hidden else None
    low, high = SHOWN_RANGE
    drawn, instead = _picture(row, info)
    cells = {
        "picture": instead,
        "case": row.case_key,
        "state": STATE_WORDS[row.state] + (" · newer answer" if row.newer else ""),
        "urgency": _urgency(row, shown),
        "why": f"Hidden by monitoring: {hidden}" if hidden else row.reason,
        "answer": HIDDEN if hidden else _answer(row),
        "evidence": pattern_in_words(row.pattern, info),
        "waits": waits_in_words(row.waits_h),
        "reader": f"Being read by {names[row.lock.by]} since {row.lock.since:%H:%M} UTC" if row.lock else "",
        "for": names.get(row.assigned, ""),
    }
    return {
        "key": row.case_key,
        "href": f"case?case={quote(row.case_key, safe='')}",
        "cells": cells,
        "urgency": None if shown is None else min(max(shown, low), high),
        "picture": drawn,
        "reading": row.lock is not None,
    }


def _picture(row: WorklistRow, info: RunInfo) -> tuple[str, str]:
    """What the small picture of a case shows, "" where it has none; and what stands in its place until it is here."""
    kinds = [info.modalities[name] for name in info.modalities if name in row.pattern]
    drawn = next((label_of(kind) for kind in KINDS if kind in kinds), "")
    return drawn, drawn or next((label_of(kind) for kind in kinds), "")


def _urgency(row: WorklistRow, shown: float | None) -> str:
    if row.state in ("new", "running"):
        return ""
    if row.sealed:
        return SEALED
    return BASE_RATE if shown is None else probability(shown)


def _answer(row: WorklistRow) -> str:
    if row.state in ("new", "running"):
        return ""
    if row.sealed:
        return SEALED
    return row.decision if row.answered else NO_ANSWER
