"""One Prediction as plain text: what a clinician reads in a terminal.

In:  a Prediction, the labels of its modalities. Out: lines of text, no colour, no control characters.

Nothing here reads a file; a patient is named only where the operator asked for it.
"""

from collections.abc import Iterable, Mapping

from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.content import Part, class_rows, parts_after, parts_before
from clinic_mm.report.setting import Whose
from clinic_mm.report.signed import UNSIGNED, Signed
from clinic_mm.report.signed_words import IDENTIFIED, state_in_words
from clinic_mm.report.words import NOT_A_DEVICE, SIMULATED, answer_in_words, probability

BAR_CELLS = 20


def as_text(
    prediction: Prediction,
    labels: Mapping[str, str] | None = None,
    *,
    simulated: bool = False,
    signed: Signed = UNSIGNED,
    whose: Whose | None = None,
) -> str:
    """The card of one case.

    Args:
        prediction: The stored answer.
        labels: Modality name to label; the modality table's where left out.
        simulated: Says so on the first line.
        signed: What people did with it.
        whose: Who the patient is; None, and then the pseudonym is all there is.
    """
    state = [*([IDENTIFIED] if whose else []), *([] if signed == UNSIGNED else [state_in_words(signed)])]
    parts = [
        [SIMULATED] if simulated else [],
        [f"Case {prediction.case_key}", *state, answer_in_words(prediction)],
        *map(_section, parts_before(prediction, signed, whose)),
        _classes(prediction),
        *map(_section, parts_after(prediction, labels)),
        [NOT_A_DEVICE],
    ]
    return "\n\n".join("\n".join(_plain(line) for line in part) for part in parts if part) + "\n"


def _classes(prediction: Prediction) -> list[str]:
    width = max(map(len, prediction.classes))
    return [
        f"  {name:<{width}}  {'█' * round(p * BAR_CELLS):·<{BAR_CELLS}}  {probability(p)}"
        for name, p in class_rows(prediction)
    ]


def _section(part: Part) -> list[str]:
    return [part.title, *(f"  {line}" for line in (*_aligned(part.rows), *part.lines))]


def _aligned(rows: Iterable[tuple[str, str]]) -> list[str]:
    rows = list(rows)
    width = max((len(name) for name, _ in rows), default=0)
    return [f"{name:<{width}}  {text}" for name, text in rows]


def _plain(line: str) -> str:
    """Without control characters: a reason from a file must not move the cursor of a terminal."""
    return "".join(sign for sign in line if sign.isprintable())
