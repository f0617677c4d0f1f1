"""Stay silent where an answer would not be worth more than silence, and say why in words a person can act on.

In:  a Prediction, what its experts said, the rules of a model (fitted by `training.abstain`).
Out: the same Prediction; where a rule speaks, without a decision and with its reasons. The calibrated probabilities are
kept in it all the same, so that silence can be scored; reports and pages do not show them.

    nothing, all_refused   no modality spoke: nothing was given, or nothing of it could be used
    no_skill               out of fold, answers from this evidence are no better than how common each class is, and
                           enough patients show it
    rare                   hardly any training patient had these modalities together
    far                    something was refused as unlike training, and what is left is nearly as far
    contradiction          strong evidence both for and against, more of it than in nearly all training cases
    undecided              only where the task asks for it: the least sure answers, or sets that hold every class

A rule that out-of-fold answers did not show to lower the risk is kept off, and the model says so.
Source: reject option, Chow 1970, doi:10.1109/TIT.1970.1054406; El-Yaniv & Wiener 2010, JMLR 11:1605-1641.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array

from clinic_mm.fusion.pool import LogPool, Pattern, log_ratio, pattern_of
from clinic_mm.modalities import label
from clinic_mm.predict.prediction import Prediction, Reason

NOTHING: Final = "There is no usable evidence to answer from."
FAR_PERCENT: Final = 95.0
"""Percentile of the distance from training beyond which what is left counts as far, once something was refused."""
ONE_SIDED: Final = 1.645
"""Standard errors of a one-sided bound of 95 %."""
WORTH_HAVING: Final = 0.02
"""Nats per patient: about what an AUROC of 0.6 gains where both classes are equally common (d'^2 / 8, d' = 0.36)."""
OUTSIDE: Final = ".outside_training"
"""How codes of inputs end that were refused as unlike training."""


@dataclass(frozen=True, slots=True)
class Skill:
    """What out-of-fold answers from one pattern gain over the prior: nats per patient, its standard error, patients."""

    gain: float
    error: float
    n: int

    @property
    def none(self) -> bool:
        """Whether answers were no better than the prior, by patients enough to rule out a gain worth having.

        Few patients show neither: such evidence is answered, with a notice. Its answers are shrunk towards the prior.
        """
        return self.gain <= 0 and self.gain + ONE_SIDED * self.error < WORTH_HAVING

    @property
    def clear(self) -> bool:
        """Whether they were so by more than one standard error."""
        return self.gain > self.error


@dataclass(frozen=True, slots=True)
class Judged:
    """What a rule does to the risk of out-of-fold answers.

    Attributes:
        on: Whether it is used.
        n: Patients that it would leave without an answer.
        silenced: Their mean Brier score, had they got one.
        answered: That of the others.
        low: Lower end of the 95 % interval of the difference, by patient; None where too few patients are on a side.
    """

    on: bool
    n: int
    silenced: float
    answered: float
    low: float | None


@dataclass(frozen=True, slots=True)
class Silence:
    """The rules of a model; those that are left at their defaults never speak.

    Attributes:
        skill: By pattern.
        natives: Training patients by the pattern that they had.
        fewest: Training patients who must have had all modalities of a pattern, for it to be answered.
        dispute: Largest dispute that is answered, by number of modalities.
        least: Least probability of the most probable class that is answered.
        whole_set: Whether a set that holds every class is no answer.
        judged: What each rule does to the risk, and whether it is used.
    """

    skill: Mapping[Pattern, Skill] = field(default_factory=dict)
    natives: Mapping[Pattern, int] = field(default_factory=dict)
    fewest: int = 0
    dispute: Mapping[int, float] = field(default_factory=dict)
    least: float = 0.0
    whole_set: bool = False
    judged: Mapping[str, Judged] = field(default_factory=dict)

    def together(self, pattern: Pattern) -> int:
        """Training patients who had all modalities of a pattern, and perhaps more."""
        return sum(n for native, n in self.natives.items() if set(pattern) <= set(native))

    def uses(self, rule: str) -> bool:
        """Whether a rule that is judged by its effect is used."""
        return rule in self.judged and self.judged[rule].on


ONLY_NOTHING: Final = Silence()


@dataclass(frozen=True, slots=True)
class Disputed:
    """How strong the weaker side of the strongest dispute is, about which class, and who stands on which side."""

    strength: float
    about: int
    towards: str
    away: str


def support(pool: LogPool, opinions: Float[Array, "n M C"], present: Bool[Array, "n M"]) -> Float[Array, "n M C"]:
    """How far each expert moves the log-odds of each class from the prior, as the pool weighs it; 0 where absent.

    For two classes the second column is the change in log-odds and the first its negative.
    """
    ratio = np.where(present[..., None], log_ratio(opinions, pool.prior), 0.0)
    others = (ratio.sum(axis=2, keepdims=True) - ratio) / (ratio.shape[2] - 1)
    patterns, whose = np.unique(present, axis=0, return_inverse=True)
    weights: Array = pool.of_patterns(patterns)[0][whose.ravel()]
    moved: Array = (ratio - others) * weights[..., None]
    return moved


def dispute(support: Float[Array, "n M C"]) -> Float[Array, " n"]:
    """The weaker of the strongest evidence for and against a class, for the class most disputed; log-odds, from 0."""
    weaker = np.minimum(support.max(axis=1), (-support).max(axis=1))
    strength: Array = np.maximum(weaker, 0.0).max(axis=1)
    return strength


def disputed(support: Float[Array, "M C"], names: tuple[str, ...]) -> Disputed:
    """The dispute of one case, and who takes part in it."""
    weaker = np.minimum(support.max(axis=0), (-support).max(axis=0))
    about = len(weaker) - 1 if np.allclose(weaker, weaker[-1]) else int(weaker.argmax())
    column = support[:, about]
    return Disputed(float(dispute(support[None])[0]), about, names[column.argmax()], names[column.argmin()])


def abstaining(
    silence: Silence, prediction: Prediction, support: Float[Array, "M C"], names: tuple[str, ...]
) -> Prediction:
    """The Prediction, without a decision and with reasons where there are any.

    Args:
        silence: The rules.
        prediction: As answered, with what is missing and how far each modality lies from training. Where its evidence
            was hardly better than none, but better, it is answered, with a notice.
        support: Of its experts.
        names: Modalities, in the order of the rows of `support`.
    """
    reasons = tuple(_reasons(silence, prediction, support, names))
    if not reasons:
        skill = silence.skill.get(prediction.pattern)
        if skill is None or skill.clear:
            return prediction
        return prediction.model_copy(update={"notices": (*prediction.notices, _unclear(skill))})
    words = " ".join(reason.why for reason in reasons)
    return prediction.model_copy(update={"abstentions": reasons, "abstained": words, "decision": ""})


def _reasons(
    silence: Silence, prediction: Prediction, support: Float[Array, "M C"], names: tuple[str, ...]
) -> Iterator[Reason]:
    pattern = prediction.pattern
    if not pattern:
        yield _nothing(prediction)
        return
    if (skill := silence.skill.get(pattern)) is not None and skill.none:
        yield Reason(code="no_skill", why=_unskilled(skill))
    if silence.natives and (seen := silence.together(pattern)) < silence.fewest:
        yield Reason(code="rare", why=_rare(seen, silence.fewest))
    if (left := _far(prediction)) is not None:
        yield Reason(code="far", why=left)
    if silence.uses("contradiction"):
        found = disputed(support, names)
        if found.strength > silence.dispute.get(len(pattern), np.inf):
            yield Reason(code="contradiction", why=_contradicted(found, prediction.classes))
    if (why := _undecided(silence, prediction)) is not None:
        yield Reason(code="undecided", why=why)


def _nothing(prediction: Prediction) -> Reason:
    refused = [one for one in prediction.missing if one.status == "rejected"]
    if not refused:
        return Reason(code="nothing", why=NOTHING)
    said = ", ".join(f"{label(one.modality)} ({one.code})" for one in refused)
    return Reason(code="all_refused", why=f"None of the evidence that was given can be used: {said}.")


def _unskilled(skill: Skill) -> str:
    return (
        f"Too little evidence: from just this, {skill.n} training patients answered unseen were not answered better "
        "than by how common each class is."
    )


def _unclear(skill: Skill) -> str:
    return (
        f"Weak evidence: from just this, {skill.n} training patients answered unseen were not answered clearly better "
        "than by how common each class is."
    )


def _rare(seen: int, fewest: int) -> str:
    patients = "patient" if seen == 1 else "patients"
    return f"Too rare: {seen} training {patients} had all of this evidence together; {fewest} are asked for."


def _far(prediction: Prediction) -> str | None:
    refused = [one.modality for one in prediction.missing if one.code.endswith(OUTSIDE)]
    if not refused:
        return None
    percents = [prediction.distance_percentile.get(name, 0.0) for name in prediction.pattern]
    if min(percents) < FAR_PERCENT:
        return None
    return (
        f"Far from training: {', '.join(map(label, refused))} was refused as unlike it, and all that is left lies "
        f"farther off than {min(percents):.0f} % of the training cases."
    )


def _contradicted(found: Disputed, classes: tuple[str, ...]) -> str:
    return (
        f"The evidence contradicts itself: {label(found.towards)} speaks strongly for {classes[found.about]} and "
        f"{label(found.away)} strongly against it; the weaker of the two alone changes the odds "
        f"{np.exp(found.strength):.1f}-fold."
    )


def _undecided(silence: Silence, prediction: Prediction) -> str | None:
    whole = set(prediction.prediction_set.classes) == set(prediction.classes)
    if whole and silence.whole_set:
        return f"Undecided: no class can be ruled out at {prediction.prediction_set.level:.0%}."
    if max(prediction.probabilities) >= silence.least:
        return None
    # Not how probable it is: that is the answer which is not given.
    return f"Undecided: no class reaches the probability of {silence.least:.2f} that the task asks for."


def silence_told(silence: Silence) -> dict[str, Any]:
    """As JSON."""
    return {
        "skill": {"+".join(p): asdict(skill) for p, skill in silence.skill.items()},
        "natives": {"+".join(p): n for p, n in silence.natives.items()},
        "fewest": silence.fewest,
        "dispute": {str(size): strength for size, strength in silence.dispute.items()},
        "least": silence.least,
        "whole_set": silence.whole_set,
        "judged": {rule: asdict(judged) for rule, judged in silence.judged.items()},
    }


def silence_from(told: Mapping[str, Any]) -> Silence:
    """What `silence_told` told of."""
    return Silence(
        skill={pattern_of(p): Skill(**skill) for p, skill in told["skill"].items()},
        natives={pattern_of(p): n for p, n in told["natives"].items()},
        fewest=told["fewest"],
        dispute={int(size): strength for size, strength in told["dispute"].items()},
        least=told["least"],
        whole_set=told["whole_set"],
        judged={rule: Judged(**judged) for rule, judged in told["judged"].items()},
    )
