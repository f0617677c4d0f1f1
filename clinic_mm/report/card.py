"""One Prediction as plain text: what a clinician reads in a terminal.

In:  a Prediction, the labels of its modalities. Out: lines of text, no colour, no control characters.

Nothing here reads a file or knows a patient's name.
"""

from collections.abc import Iterable, Mapping

from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.advice_words import advice_lines, advice_rows
from clinic_mm.report.within_words import pair_lines, within_lines, within_title
from clinic_mm.report.words import (
    NO_SHARES,
    NOT_A_DEVICE,
    SIMULATED,
    answer_in_words,
    label_of,
    missing_in_words,
    ordered_shares,
    probability,
    share_in_words,
    share_unit,
    shows_answer,
)

BAR_CELLS = 20


def as_text(prediction: Prediction, labels: Mapping[str, str] | None = None, *, simulated: bool = False) -> str:
    """The card of one case.

    Args:
        prediction: The stored answer.
        labels: Modality name to label; the modality table's where left out.
        simulated: Says so on the first line.
    """
    parts = [
        [SIMULATED] if simulated else [],
        [f"Case {prediction.case_key}", answer_in_words(prediction)],
        _classes(prediction),
        _section(f"Rests on (share of {share_unit(prediction)}{_sampled(prediction)})", _shares(prediction, labels)),
        _section("To know of pairs", pair_lines(prediction, labels)),
        *_within(prediction, labels),
        _section("Missing", _missing(prediction, labels)),
        _section("Further tests", _aligned(advice_rows(prediction, labels)) or advice_lines(prediction, labels)),
        _section("Flags", _flags(prediction, labels)),
        _section("Notices", prediction.notices),
        _section("Traceable by", _hashes(prediction)),
        [NOT_A_DEVICE],
    ]
    return "\n\n".join("\n".join(_plain(line) for line in part) for part in parts if part) + "\n"


def _classes(prediction: Prediction) -> list[str]:
    if not shows_answer(prediction):
        return []
    width = max(map(len, prediction.classes))
    rows = zip(prediction.classes, prediction.probabilities, strict=True)
    return [f"  {name:<{width}}  {'█' * round(p * BAR_CELLS):·<{BAR_CELLS}}  {probability(p)}" for name, p in rows]


def _shares(prediction: Prediction, labels: Mapping[str, str] | None) -> list[str]:
    if prediction.withheld:
        return ["hidden with the answer"]
    if prediction.abstained and prediction.pattern:
        return [NO_SHARES]
    rows = [(label_of(name, labels), share_in_words(prediction, s)) for name, s in ordered_shares(prediction)]
    return _aligned(rows) or ["nothing: no modality was usable"]


def _within(prediction: Prediction, labels: Mapping[str, str] | None) -> list[list[str]]:
    told = prediction.within if shows_answer(prediction) else ()
    return [_section(within_title(prediction, one, labels), _aligned(within_lines(prediction, one))) for one in told]


def _missing(prediction: Prediction, labels: Mapping[str, str] | None) -> list[str]:
    return _aligned([(label_of(m.modality, labels), missing_in_words(m)) for m in prediction.missing])


def _flags(prediction: Prediction, labels: Mapping[str, str] | None) -> list[str]:
    return _aligned([(label_of(f.modality, labels), f"{f.flag.why} ({f.flag.code})") for f in prediction.flags])


def _hashes(prediction: Prediction) -> list[str]:
    hashes = (
        ("prediction", prediction.content_hash),
        ("model", prediction.model_hash),
        ("input", prediction.input_hash),
        ("settings", prediction.settings_hash),
    )
    return _aligned([(name, value) for name, value in hashes if value])


def _sampled(prediction: Prediction) -> str:
    return "" if prediction.shapley_exact else ", sampled"


def _section(title: str, lines: Iterable[str]) -> list[str]:
    found = [f"  {line}" for line in lines]
    return [title, *found] if found else []


def _aligned(rows: list[tuple[str, str]]) -> list[str]:
    width = max((len(name) for name, _ in rows), default=0)
    return [f"{name:<{width}}  {text}" for name, text in rows]


def _plain(line: str) -> str:
    """Without control characters: a reason from a file must not move the cursor of a terminal."""
    return "".join(sign for sign in line if sign.isprintable())
