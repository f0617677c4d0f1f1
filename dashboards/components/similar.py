"""Cases like this one: what became of them in training and at this site, one by one, and the nearest past errors.

In:  a stored Prediction, what the store counted here. Out: sentences beside the answer, tables further down.

Two different things that must not be taken for each other: training cases, which the model learnt from but was asked
about unseen, and cases of this store whose outcome is known. Each sentence says which it speaks of. All of it tells the
answer, so none of it is there before the reader's own opinion, nor where no answer is given. No model runs.
"""

from collections.abc import Sequence

import streamlit as st

from clinic_mm.report.run import Prediction
from clinic_mm.report.similar_words import ALIKE, Row, error_rows, nearest_rows, similar_lines
from clinic_mm.report.words import shows_answer
from clinic_mm.store.alike import NEAR, Alike
from components.plain import plain

HEAD = ("Distance", "It was", "Answered unseen", "Evidence")


def like_this_one(prediction: Prediction, here: Alike | None) -> None:
    """What became of such cases, in training and at this site, in words.

    Args:
        prediction: The answer that is shown.
        here: What the store counted; None where it knows too little.
    """
    if not shows_answer(prediction):
        return
    lines = [plain(line) for line in (*similar_lines(prediction), _here(here))]
    st.markdown("\n".join(f"- {line}" for line in lines))


def _here(here: Alike | None) -> str:
    if here is None:
        return "At this site: too few outcomes of cases with such an answer are known to count them."
    known = f"answers within {NEAR:g} of this one, outcome on record"
    return f"At this site: of the last {here.n} cases like this here, {here.positive} were {here.name} ({known})."


def nearest_cases(prediction: Prediction, labels: dict[str, str]) -> None:
    """The nearest training cases and the nearest past errors, one by one; nothing where none are told."""
    near, errors = nearest_rows(prediction, labels), error_rows(prediction, labels)
    if not near:
        return
    st.markdown("##### Training cases like this one")
    st.markdown(_table(near))
    st.markdown("##### The nearest past errors")
    st.markdown(_table(errors) if errors else "None: no training case with this evidence was answered wrongly\\.")
    st.caption(
        f"Patients {plain(ALIKE)}, each with at least this evidence and answered by no more than it, by parts of "
        "the model that had not seen them\\. Distance 1 is that of two training cases drawn at random\\. No patient is "
        "compared with earlier cases of his own\\."
    )


def _table(rows: Sequence[Row]) -> str:
    """As Markdown, which becomes a real table for a screen reader; `plain` leaves no bar that parts cells."""
    lines = [" | ".join(HEAD), " | ".join("---" for _ in HEAD), *(" | ".join(map(plain, row)) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)
