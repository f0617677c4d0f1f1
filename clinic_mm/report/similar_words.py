"""The words for training cases like the one at hand, and for the nearest past errors.

In:  a Prediction with its similar cases, the labels of its modalities. Out: plain sentences and rows, nothing escaped.

Nothing here computes a number that the Prediction does not hold. These words are of training cases: what became of
cases of this site is the store's to say (`store.alike`). They tell the answer, so nothing is said where none is shown.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from clinic_mm.predict.prediction import Neighbour, Prediction, Similar
from clinic_mm.report.words import label_of, named_class, probability, shows_answer

OLDER: Final = "No similar cases are told: this run is of a version that did not keep them."
ALIKE: Final = "alike in what the experts said, not in how they look"
FAR: Final = 1.0
"""Distance of two training cases drawn at random: beyond it nobody is like this case."""


class Row(NamedTuple):
    """One training case: how far, what it was, what it was answered unseen, what it had beside this case's evidence."""

    distance: str
    outcome: str
    answered: str
    evidence: str


def similar_lines(prediction: Prediction) -> list[str]:
    """What became of the training cases nearest to this one, or why nothing is said; none where no answer is shown."""
    if not shows_answer(prediction):
        return []
    found = prediction.similar
    if found is None or found.silent:
        return [OLDER if found is None else found.silent]
    every = sum(found.among.values())
    first = f"In training: of the {found.n} patients most {ALIKE}, {_counted(prediction, found.outcomes)}"
    base = f"of all {every} training cases with at least this evidence, {_counted(prediction, found.among)}"
    wrong = f"The model, which had not seen them, was wrong in {found.wrong} of the {found.n}."
    return [f"{first}; {base}.", wrong, *_reach(found)]


def _reach(found: Similar) -> list[str]:
    """That the nearest are not near, where they are not."""
    if not found.nearest or found.nearest[0].distance <= FAR:
        return []
    return ["None of them is near: even the nearest is farther than two training cases drawn at random."]


def _counted(prediction: Prediction, counts: Mapping[str, int]) -> str:
    """`31 were positive` of two classes; of more, each that was there."""
    if prediction.kind == "binary":
        name = named_class(prediction)
        return f"{counts[name]} {'was' if counts[name] == 1 else 'were'} {name}"
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{count} {name}" for name, count in ranked if count) or "none"


def nearest_rows(prediction: Prediction, labels: Mapping[str, str] | None = None) -> list[Row]:
    """The nearest training cases, the nearest first."""
    return [_row(prediction, one, labels) for one in _shown(prediction).nearest]


def error_rows(prediction: Prediction, labels: Mapping[str, str] | None = None) -> list[Row]:
    """The nearest training cases that were answered wrongly, the nearest first."""
    return [_row(prediction, one, labels) for one in _shown(prediction).errors]


def _shown(prediction: Prediction) -> Similar:
    found = prediction.similar if shows_answer(prediction) else None
    return Similar() if found is None else found


def _row(prediction: Prediction, one: Neighbour, labels: Mapping[str, str] | None) -> Row:
    return Row(f"{one.distance:.2f}", one.outcome, _answered(prediction, one), _evidence(prediction, one, labels))


def _answered(prediction: Prediction, one: Neighbour) -> str:
    """`positive 0.83: wrong, and ruled the truth out`."""
    two = prediction.kind == "binary"
    at = 1 if two else max(range(len(one.answered)), key=one.answered.__getitem__)
    verdict = ": wrong, and its set ruled the truth out" if one.ruled_out else ": wrong" if one.wrong else ""
    return f"{prediction.classes[at]} {probability(one.answered[at])}{verdict}"


def _evidence(prediction: Prediction, one: Neighbour, labels: Mapping[str, str] | None) -> str:
    more = sorted(label_of(name, labels) for name in set(one.pattern) - set(prediction.pattern))
    return f"the same and {', '.join(more)}" if more else "the same"
