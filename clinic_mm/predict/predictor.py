"""Make Predictions: one case in, one frozen object out, from one encoding.

In:  a model with its hash, prepared cases. Out: a Prediction per case, in order, with the calibrated answer of every
subset of what is present. A case without usable evidence gets the prior and an abstention, never an error.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array

from clinic_mm.fusion.heard import Heard
from clinic_mm.predict.abstain import abstaining, support
from clinic_mm.predict.advise import advised
from clinic_mm.predict.attribute import Game, game_of, worth
from clinic_mm.predict.conformal import Rule
from clinic_mm.predict.drift import drift_scores
from clinic_mm.predict.model import Model, listen_inside, subset_probabilities
from clinic_mm.predict.prediction import MissingEvidence, Prediction, SeenFlag, canonical_hash
from clinic_mm.predict.set_of import prediction_set
from clinic_mm.predict.shifted import rules_of, shift_notices
from clinic_mm.predict.similar import likened
from clinic_mm.predict.within.asked import Why
from clinic_mm.predict.within.explain import explained
from clinic_mm.predict.within.told import Within
from clinic_mm.prep.batch import PreparedCases
from clinic_mm.types import Absent, CaseRecord, Failed, Rejected

MADE_UP: Final = "The model was trained on SIMULATED cases: what it says of a patient means nothing."
FEW: Final = 20
"""Training cases with the same pattern below which the reader is told so."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """The answers to one case, and what its modalities add: probabilities of every mask of its game, then shares.

    `rule`: what its prediction set is judged by, where sets are weighted to a new cohort.
    """

    game: Game
    probabilities: Float[Array, "k C"]
    share: Float[Array, " m"]
    error: Float[Array, " m"]
    pair: Float[Array, " q"]
    rule: Rule | None


def predict_cases(
    model: Model, model_hash: str, prepared: PreparedCases, run_id: str = "", why: Why | None = None
) -> list[Prediction]:
    """A Prediction for each case.

    Args:
        model: As deployed.
        model_hash: Its hash.
        prepared: The cases.
        run_id: Of the run that they are part of.
        why: How far to explain what experts rest on inside their modality; None for not at all.
    """
    settings, drift = settings_hash(model), drift_scores(model.drift, prepared)
    attended = listen_inside(model, prepared)
    prepared, heard = attended.prepared, attended.heard
    answers = _answers(model, heard)
    within = _within(model, prepared, answers, why)
    answered = [
        _prediction(model, model_hash, settings, prepared, index, answer).model_copy(
            update={
                "run_id": run_id,
                "drift_scores": drift[index],
                "within": within[index],
                "distance_percentile": attended.percentile_of(index),
            }
        )
        for index, answer in enumerate(answers)
    ]
    said = support(model.pool, heard.opinions, heard.present)
    told = [abstaining(model.silence, one, mine, model.names) for one, mine in zip(answered, said, strict=True)]
    return likened(model, advised(model, told))


def _within(
    model: Model, prepared: PreparedCases, answers: Sequence[_Answer], why: Why | None
) -> Sequence[tuple[Within, ...]]:
    """What experts rest on, toward the class that the answer is about."""
    if why is None:
        return [()] * len(prepared)
    toward = np.array([answer.probabilities[0].argmax() for answer in answers], dtype=int)
    return explained(model, prepared, toward, why)


def _answers(model: Model, heard: Heard) -> list[_Answer]:
    """All that is asked of all cases at once; then the shares, pattern by pattern."""
    patterns, whose = np.unique(heard.present, axis=0, return_inverse=True)
    whose = whose.ravel()
    games = [game_of(model.names, row) for row in patterns]
    asked = np.array([len(games[k].masks) for k in whose], dtype=int)
    every = np.concatenate([np.zeros((0, len(model.names)), bool), *(games[k].masks for k in whose)])
    probabilities = _probabilities(model, heard, np.repeat(np.arange(len(heard)), asked), every)
    first = np.cumsum(asked) - asked
    weighted = rules_of(model, heard) if model.shift is not None else None
    answers: dict[int, _Answer] = {}
    for k, game in enumerate(games):
        cases = np.flatnonzero(whose == k)
        mine = probabilities[first[cases][:, None] + np.arange(len(game.masks))]
        shares = game.shares(worth(mine, mine[:, 0].argmax(axis=1)))
        rules = [weighted[c] if weighted else None for c in cases]
        answers |= {int(c): _Answer(game, *parts) for c, *parts in zip(cases, mine, *shares, rules, strict=True)}
    return [answers[index] for index in range(len(heard))]


def _probabilities(model: Model, heard: Heard, case: Array, masks: Bool[Array, "r M"]) -> Float[Array, "r C"]:
    out = np.tile(model.prior, (len(masks), 1))
    some = masks.any(axis=1)
    if some.any():
        out[some] = subset_probabilities(model, heard, case[some], masks[some])
    return out


def settings_hash(model: Model) -> str:
    """Identity of how cases are prepared: recipes and the choice of study."""
    return canonical_hash([model.recipe.select, [[name, prep.key] for name, prep in model.recipe.preps.items()]])


def input_hash(case: CaseRecord, kinds: Sequence[str]) -> str:
    """Identity of what a case has: contents, parts and cut-off times of its usable evidence."""
    parts = [[kind, e.content_hash, e.locator, str(e.until)] for kind in sorted(set(kinds)) for e in case.usable(kind)]
    return canonical_hash(parts)


def _prediction(
    model: Model,
    model_hash: str,
    settings: str,
    prepared: PreparedCases,
    index: int,
    told: _Answer,
) -> Prediction:
    task, case = model.task, prepared.cases[index]
    game, pattern = told.game, tuple(sorted(told.game.names))
    answer = told.probabilities[0]
    top = int(answer.argmax())
    return Prediction(
        case_key=case.case_key,
        patient_key=case.patient_key,
        decision_time=case.decision_time,
        target=task.target,
        kind=task.kind,
        classes=task.classes,
        probabilities=_tuple(answer),
        decision=task.classes[top],
        prediction_set=prediction_set(model.thresholds, task.classes, answer, pattern, told.rule),
        pattern=pattern,
        subsets=dict(zip(game.keys, map(_tuple, told.probabilities[game.kept]), strict=True)),
        shapley=_named(game.names, told.share),
        shapley_exact=game.exact,
        shapley_error={} if game.exact else _named(game.names, told.error),
        interactions=_named(game.pairs, told.pair),
        missing=missing_of(prepared, index),
        flags=flags_of(prepared, index),
        notices=_notices(model, pattern),
        model_hash=model_hash,
        input_hash=input_hash(case, [task.kind_of(name) for name in task.modalities]),
        settings_hash=settings,
    )


def _named(names: Sequence[str], values: Float[Array, " k"]) -> dict[str, float]:
    return dict(sorted(zip(names, map(float, values), strict=True)))


def _tuple(p: Float[Array, " C"]) -> tuple[float, ...]:
    return tuple(float(value) for value in p)


def missing_of(prepared: PreparedCases, index: int) -> tuple[MissingEvidence, ...]:
    """What a case does not have, and why."""
    found = []
    for name in prepared.names:
        match prepared.outcomes[index][name].no:
            case Absent():
                found.append(MissingEvidence(modality=name, status="absent"))
            case Rejected(code=code, why=why):
                found.append(MissingEvidence(modality=name, status="rejected", code=code, why=why))
            case Failed(why=why):
                found.append(MissingEvidence(modality=name, status="failed", why=why))
            case None:
                pass
    return tuple(found)


def flags_of(prepared: PreparedCases, index: int) -> tuple[SeenFlag, ...]:
    """What was seen of the evidence that a case has."""
    return tuple(
        SeenFlag(modality=name, flag=flag) for name in prepared.names for flag in prepared.outcomes[index][name].flags
    )


def _filled(model: Model, pattern: tuple[str, ...]) -> tuple[str, ...]:
    """That the network heard something in the place of what is absent, which is no evidence."""
    absent = sorted(set(model.names) - set(pattern))
    if not pattern or not absent or model.joined is None or not model.joined.fills:
        return ()
    return (f"Not evidence: inside the network {model.joined.fills} stands for {', '.join(absent)}, which is absent.",)


def _notices(model: Model, pattern: tuple[str, ...]) -> tuple[str, ...]:
    made_up = (MADE_UP,) if model.facts.get("simulated") else ()
    known = (*made_up, *_filled(model, pattern), *shift_notices(model))
    seen = cast("dict[str, Any]", model.facts.get("patterns", {})).get("+".join(pattern), 0)
    if not pattern or seen >= FEW:
        return known
    cases = f"Only {seen} training {'case' if seen == 1 else 'cases'}" if seen else "No training case"
    return (*known, f"{cases} had exactly this evidence; the answer leans on neighbouring combinations.")
