"""Rows of the work list in a clinician's words. Pure; nothing here draws or orders.

In:  rows of the store (`WorklistRow`), in their order. Out: the columns of the table.
"""

from collections.abc import Callable, Sequence
from typing import Final

import pandas as pd

from clinic_mm.report.run import RunInfo
from clinic_mm.report.words import label_of
from clinic_mm.store.values import State, WorklistRow

HIDDEN: Final = "Hidden"
SEALED: Final = "Sealed"
NO_ANSWER: Final = "No answer"
STATE_WORDS: Final[dict[State, str]] = {
    "new": "New",
    "running": "Running",
    "ready": "Ready",
    "in_review": "In review",
    "signed": "Signed",
    "amended": "Amended",
}
SHOWN_RANGE: Final = (0.01, 0.99)
"""No bar is drawn as certain; the case page says `> 0.99`."""

Who = Callable[[str], str]


def shown(
    rows: Sequence[WorklistRow], info: RunInfo, who: Who, hides: Callable[[tuple[str, ...]], str]
) -> pd.DataFrame:
    """The table.

    Args:
        rows: In order.
        info: Of the run: labels of the modalities.
        who: The name of a user.
        hides: Why monitoring hides the answers of a pattern, "" where it does not.
    """
    why = [hides(row.pattern) if row.pattern and not row.sealed else "" for row in rows]
    low, high = SHOWN_RANGE
    urgency = [
        None if hidden or row.urgency is None or not row.answered else min(max(row.urgency, low), high)
        for row, hidden in zip(rows, why, strict=True)
    ]
    return pd.DataFrame(
        {
            "Case": pd.Series([row.case_key for row in rows], dtype="str"),
            "State": [STATE_WORDS[row.state] + (" · newer answer" if row.newer else "") for row in rows],
            "Urgency": pd.Series(urgency, dtype="float64"),
            "Why it stands here": [
                f"Hidden by monitoring: {hidden}" if hidden else row.reason
                for row, hidden in zip(rows, why, strict=True)
            ],
            "Answer": [HIDDEN if hidden else _answer(row) for row, hidden in zip(rows, why, strict=True)],
            "Evidence": [pattern_in_words(row.pattern, info) for row in rows],
            "Waits": [waits_in_words(row.waits_h) for row in rows],
            "Read by": [f"{who(row.lock.by)}, since {row.lock.since:%H:%M} UTC" if row.lock else "" for row in rows],
            "For": [who(row.assigned) if row.assigned else "" for row in rows],
        }
    )


def waits_in_words(hours: float) -> str:
    """`40 min`, `7 h`, `3 d`; nothing for a case that waits for nobody."""
    if hours <= 0:
        return ""
    if hours < 1:
        return f"{hours * 60:.0f} min"
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} d"


def pattern_in_words(pattern: Sequence[str], info: RunInfo) -> str:
    """`CT · EEG`, in the order of the task; `All 5` where nothing is missing."""
    names = set(pattern)
    if len(names) == len(info.modalities) > 1:
        return f"All {len(names)}"
    return " · ".join(label_of(name, labels(info)) for name in info.modalities if name in names) or "none"


def labels(info: RunInfo) -> dict[str, str]:
    """Label of each modality of the run: its own name where several share a kind, else the label of the kind."""
    kinds = list(info.modalities.values())
    return {name: label_of(kind) if kinds.count(kind) == 1 else name for name, kind in info.modalities.items()}


def _answer(row: WorklistRow) -> str:
    if row.state in ("new", "running"):
        return ""
    if row.sealed:
        return SEALED
    return row.decision if row.answered else NO_ANSWER
