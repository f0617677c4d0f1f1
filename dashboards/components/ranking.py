"""Order and filter the worklist. Pure frames; nothing here draws.

In:  the cheap columns of a run (`Run.worklist`). Out: the rows to show, in order, in a clinician's words.
"""

import pandas as pd

from clinic_mm.report.run import JOIN, RunInfo
from clinic_mm.report.words import STATUS_WORDS, label_of

SHOWN_RANGE = (0.01, 0.99)
"""No bar is drawn as certain; the case page says `> 0.99`."""
ANY, ANSWERED, ABSTAINED, HIDDEN = "All", "Answered", "No answer", "Hidden"


def ranked(frame: pd.DataFrame, class_index: int) -> pd.DataFrame:
    """Highest probability of a class first; cases without an answer last; ties by key."""
    no_answer = without_answer(frame)
    keyed = frame.assign(no_answer=no_answer, rank_by=frame[f"p_{class_index}"].where(~no_answer))
    order = keyed.sort_values(["no_answer", "rank_by", "case_key"], ascending=[True, False, True], kind="stable")
    return order.reset_index(drop=True)


def filtered(frame: pd.DataFrame, *, pattern: str | None, answer: str, text: str) -> pd.DataFrame:
    """Rows of a pattern (None for all), answered or not, whose case key contains a text."""
    keep = pd.Series(data=True, index=frame.index)
    if pattern is not None:
        keep &= frame["pattern"] == pattern
    if answer != ANY:
        keep &= without_answer(frame) == (answer == ABSTAINED)
    if text.strip():
        keep &= frame["case_key"].str.contains(text.strip(), case=False, regex=False)
    return frame[keep].reset_index(drop=True)


def shown(frame: pd.DataFrame, info: RunInfo) -> pd.DataFrame:
    """Ranked rows in words, one column each as the table has them."""
    return pd.DataFrame(
        {
            "Case": frame["case_key"],
            "Probability": frame["rank_by"].clip(*SHOWN_RANGE),
            "Answer set": [
                HIDDEN if hidden else _classes(found, why)
                for found, why, hidden in zip(frame["prediction_set"], frame["abstained"], frame["hidden"], strict=True)
            ],
            "Evidence": frame["pattern"].map(lambda text: pattern_in_words(text, info)),
            "Missing": frame["missing"].map(lambda text: _missing(text, info)),
            "Flags": frame["flags"].str.replace(JOIN, ", ", regex=False),
        }
    )


def pattern_in_words(pattern: str, info: RunInfo) -> str:
    """`CT · EEG`, in the order of the task; `All 5` where nothing is missing."""
    names = set(pattern.split(JOIN)) if pattern else set()
    if len(names) == len(info.modalities) > 1:
        return f"All {len(names)}"
    return " · ".join(label_of(name, labels(info)) for name in info.modalities if name in names) or "none"


def labels(info: RunInfo) -> dict[str, str]:
    """Label of each modality of the run: its own name where several share a kind, else the label of the kind."""
    kinds = list(info.modalities.values())
    return {name: label_of(kind) if kinds.count(kind) == 1 else name for name, kind in info.modalities.items()}


def _missing(text: str, info: RunInfo) -> str:
    order = list(info.modalities)
    pairs = [item.rpartition(":") for item in text.split(JOIN) if item]
    pairs.sort(key=lambda pair: order.index(pair[0]) if pair[0] in order else len(order))
    return ", ".join(
        label_of(name, labels(info)) + ("" if status == "absent" else f" ({STATUS_WORDS[status].split(', ')[-1]})")
        for name, _, status in pairs
    )


def without_answer(frame: pd.DataFrame) -> pd.Series:
    """Whether no answer is shown of a case: the model abstains, or monitoring hides it (column `hidden`)."""
    return (frame["abstained"] != "") | frame["hidden"]


def _classes(found: str, abstained: str) -> str:
    return "No answer" if abstained else found.replace(JOIN, " or ") or "none"
