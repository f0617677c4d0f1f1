"""A stream of Predictions as one column per watched score, and the reference that it is held against.

In:  stored Predictions, or what a model kept of its training. Out: a Stream, a Reference.

Watched are, of each modality: whether it is there, its expert's opinion v({m}), its gist (`predict.drift`); of each
combination of evidence (pattern): how often it comes, and where its answers lie.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from numpy import ndarray as Array

from clinic_mm.errors import InputError
from clinic_mm.evaluate.metrics import FLOOR
from clinic_mm.evaluate.monitor.policy import About, ReferencePolicy
from clinic_mm.predict.drift import parts_of
from clinic_mm.report.run import JOIN, Prediction

PRESENT: Final = "present"
OPINION: Final = "opinion"
DISTANCE: Final = "distance"
SHARE: Final = "share"
ANSWER: Final = "answer"


class Score(NamedTuple):
    """One watched score: of which modality or pattern, and what of it."""

    about: About
    name: str
    what: str


@dataclass(frozen=True, slots=True)
class Stream:
    """Cases in time order, each patient once in a while.

    Attributes:
        frame: case_key, patient_key, time (UTC or NaT), pattern, one row per case.
        probabilities: Calibrated answers.
        sets: Prediction sets.
        level: What the sets promise.
        set_n: Calibration patients behind each set.
        values: Scores; NaN where a score is not there.
        passed_over: Cases left out, since their patient had just been counted.
    """

    frame: pd.DataFrame
    probabilities: Float[Array, "n C"]
    sets: Bool[Array, "n C"]
    level: float
    set_n: Float[Array, " n"]
    values: Mapping[Score, Float[Array, " n"]]
    classes: tuple[str, ...]
    model_hash: str
    passed_over: int = 0

    def __len__(self) -> int:
        return len(self.frame)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a stream is held against: values of each score, in no order, and how many cases they come from."""

    kind: Literal["run", "model"]
    cases: int
    values: Mapping[Score, Float[Array, " r"]]
    model_hash: str
    case_keys: frozenset[str] = frozenset()
    patient_keys: frozenset[str] = frozenset()

    def watched(self, fewest: int) -> tuple[Score, ...]:
        """Scores that enough reference cases have; patterns that came often enough."""
        often = {s.name for s, v in self.values.items() if s.what == SHARE and v.sum() >= fewest}
        return tuple(
            score
            for score, values in self.values.items()
            if len(values) >= fewest and (score.about != "pattern" or score.name in often)
        )


def stream_of(predictions: Iterable[Prediction], policy: ReferencePolicy, *, known: Reference | None = None) -> Stream:
    """Cases by their decision time; as given where one has none.

    Args:
        predictions: Of one model.
        policy: When a patient counts again.
        known: The reference, whose cases and patients say nothing new.

    Raises:
        InputError: If there is no case, not all are of one model and that of the reference, their sets promise
            different levels, or none is new to the reference.
    """
    every = list(predictions)
    if not every:
        raise InputError("There is no answered case to watch", "runs", "Name runs of clinic-mm screen")
    if len({p.model_hash for p in every}) > 1:
        mend = "Name runs of one model. A recalibrated model starts a new watch, with a new reference"
        raise InputError("These runs are of different models", "runs", mend)
    if len(levels := {p.prediction_set.level for p in every}) > 1:
        mend = "Name runs of one --level, or screen them again at one"
        said = " and ".join(f"{level:g}" for level in sorted(levels))
        raise InputError(f"The prediction sets of these runs promise different levels, {said}", "runs", mend)
    if known is not None and every[0].model_hash != known.model_hash:
        mend = "Name a reference of the model that made these runs"
        raise InputError("The reference is of another model than the runs", "--reference", mend)
    if all(p.decision_time is not None for p in every):
        every.sort(key=lambda p: (p.decision_time, p.case_key))
    kept = _counted(every, timedelta(days=policy.seen_again_after_days), known)
    if not kept:
        mend = "Name runs on other patients than those of the reference"
        raise InputError("Every case is of the reference, or of its patients", "runs", mend)
    return _stream(kept, len(every) - len(kept))


def _counted(every: Sequence[Prediction], again: timedelta, known: Reference | None) -> list[Prediction]:
    """Each case once, each patient once in a while: copies and neighbours of a case are no new evidence."""
    cases = set(known.case_keys) if known else set()
    strangers = known.patient_keys if known else frozenset()
    last: dict[str, Prediction] = {}
    kept = []
    for p in every:
        before = last.get(p.patient_key)
        soon = before is not None and (
            p.decision_time is None or before.decision_time is None or p.decision_time - before.decision_time < again
        )
        if p.case_key in cases or p.patient_key in strangers or soon:
            continue
        cases.add(p.case_key)
        last[p.patient_key] = p
        kept.append(p)
    return kept


def _stream(kept: Sequence[Prediction], passed_over: int) -> Stream:
    classes = kept[0].classes
    frame = pd.DataFrame(
        {
            "case_key": [p.case_key for p in kept],
            "patient_key": [p.patient_key for p in kept],
            "time": pd.to_datetime(pd.Series([p.decision_time for p in kept]), utc=True),
            "pattern": [JOIN.join(p.pattern) for p in kept],
        }
    )
    names = sorted({name for p in kept for name in (*p.pattern, *(m.modality for m in p.missing))})
    alone = {name: _rows([p.subsets.get(name) for p in kept], len(classes)) for name in names}
    gists = {name: _rows([p.drift_scores.get(name) for p in kept]) for name in names}
    distances = {name: _rows([_one(p.distance_percentile.get(name)) for p in kept], 1)[:, 0] for name in names}
    probabilities = np.array([p.probabilities for p in kept])
    return Stream(
        frame=frame,
        probabilities=probabilities,
        sets=np.array([[c in p.prediction_set.classes for c in classes] for p in kept]),
        level=kept[0].prediction_set.level,
        set_n=np.array([p.prediction_set.n for p in kept], dtype=float),
        values=score_columns(frame["pattern"].to_numpy(dtype=str), probabilities, alone, gists, classes, distances),
        classes=classes,
        model_hash=kept[0].model_hash,
        passed_over=passed_over,
    )


def _one(value: float | None) -> tuple[float, ...] | None:
    return None if value is None else (value,)


def _rows(found: Sequence[tuple[float, ...] | None], width: int | None = None) -> Float[Array, "n w"]:
    """Stacked, NaN where there is none."""
    wide = width or max((len(row) for row in found if row), default=0)
    return np.array([row or (np.nan,) * wide for row in found], dtype=float).reshape(len(found), wide)


def score_columns(
    patterns: Array,
    probabilities: Float[Array, "n C"],
    alone: Mapping[str, Float[Array, "n C"]],
    gists: Mapping[str, Float[Array, "n g"]],
    classes: tuple[str, ...],
    distances: Mapping[str, Float[Array, " n"]] | None = None,
) -> dict[Score, Float[Array, " n"]]:
    """All scores of cases, from arrays; NaN rows where a modality is absent."""
    columns: dict[Score, Float[Array, " n"]] = {}
    for name, opinion in alone.items():
        columns[Score("modality", name, PRESENT)] = (~np.isnan(opinion[:, 0])).astype(float)
        columns |= opinions("modality", name, OPINION, opinion, classes)
        columns |= {
            Score("modality", name, part): gists[name][:, k]
            for k, part in enumerate(parts_of(gists[name].shape[1]) if gists[name].size else ())
        }
    columns |= {Score("modality", name, DISTANCE): far for name, far in (distances or {}).items()}
    for pattern in np.unique(patterns):
        own = patterns == pattern
        columns[Score("pattern", str(pattern), SHARE)] = own.astype(float)
        answers = np.where(own[:, None], probabilities, np.nan)
        columns |= opinions("pattern", str(pattern), ANSWER, answers, classes)
    return columns


def opinions(
    about: About, name: str, what: str, p: Float[Array, "n C"], classes: tuple[str, ...]
) -> dict[Score, Float[Array, " n"]]:
    """Log-odds of the second class; of every class if there are more."""
    odds = np.round(np.log(np.maximum(p, FLOOR)) - np.log(np.maximum(1 - p, FLOOR)), 6)
    if len(classes) == 2:
        return {Score(about, name, what): odds[:, 1]}
    return {Score(about, name, f"{what} of {label}"): odds[:, c] for c, label in enumerate(classes)}


def reference_of_run(predictions: Iterable[Prediction], policy: ReferencePolicy) -> Reference:
    """A reference run: cases that the model had not seen, from a time when all was well.

    Raises:
        InputError: If it has too few cases.
    """
    stream = stream_of(predictions, policy)
    if len(stream) < policy.fewest_cases:
        mend = f"Name a run of at least {policy.fewest_cases}, or the model itself"
        raise InputError(f"A reference of {len(stream)} patients is too small", "--reference", mend)
    values = {score: column[~np.isnan(column)] for score, column in stream.values.items()}
    keys = (frozenset(stream.frame[column]) for column in ("case_key", "patient_key"))
    return Reference("run", len(stream), values, stream.model_hash, *keys)
