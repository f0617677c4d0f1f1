"""The Prediction: one frozen object that report, store and dashboard read. Nobody computes a number twice."""

import hashlib
from typing import Literal

import orjson
from pydantic import AwareDatetime, Field

from clinic_mm.predict.within.told import Within
from clinic_mm.types import SCHEMA_VERSION, Flag, Frozen

HASH_DIGITS = 6
NOT_HASHED = frozenset({"run_id", "created_at", "withheld"})


class MissingEvidence(Frozen):
    """One modality that did not speak, and why: absent, rejected with its code, or failed."""

    modality: str
    status: Literal["absent", "rejected", "failed"]
    code: str = ""
    why: str = ""


class SeenFlag(Frozen):
    """A quality flag of one modality that did speak."""

    modality: str
    flag: Flag


class ShownCoverage(Frozen):
    """How often sets of out-of-fold cases with the same evidence held the truth, with the 95 % interval.

    `n`: patients. `mean_size`: classes in a set, on average.
    """

    estimate: float
    low: float
    high: float
    n: int
    mean_size: float


class PredictionSet(Frozen):
    """Classes that cannot be ruled out at a level, the calibration patients behind it, and what it promises.

    Attributes:
        level: Share of patients whose set holds the truth: among those with this evidence, if nothing is borrowed.
        classes: What stands in the set.
        n: Calibration patients behind the threshold; those masked down to this evidence count as far as they weigh.
        guarantee: "split" where the threshold is this evidence's own and comes from patients held out of all fitting.
        n_exact: Of those, patients with exactly this evidence; None in artifacts that did not keep it.
        borrowed: Whether the threshold is of all combinations of as many modalities (size), or of all cases (all).
        class_conditional: Whether the level is kept among the patients of every class.
        shift: "weighted" where calibration cases were weighted to a new cohort (`predict.shift`).
        coverage: What was seen; None where nothing was, or older artifacts did not keep it.
        coverage_by_class: The same by class, where every class has its threshold.
    """

    level: float
    classes: tuple[str, ...]
    n: int
    guarantee: Literal["approximate", "split"] = "approximate"
    n_exact: int | None = None
    borrowed: Literal["", "size", "all"] = ""
    class_conditional: bool = False
    shift: Literal["none", "weighted"] = "none"
    coverage: ShownCoverage | None = None
    coverage_by_class: dict[str, ShownCoverage] = Field(default_factory=dict)


class Reason(Frozen):
    """Why no answer is given: a code for machines (`predict.abstain` lists them), words for people."""

    code: str
    why: str


class Advice(Frozen):
    """What one absent test could change for a case, by training patients who had it and were answered alike.

    Attributes:
        modality: The test.
        silent: Why nothing is said of it, "" where something is.
        flips: Chance that the decision would be another.
        shrink: Expected number of classes that would leave the prediction set; negative where it would grow.
        change: Expected absolute change of the probability of the second class (binary) or of the most probable one.
        gain: Expected information, in nats: the expected fall of the log loss.
        cost: Relative burden of the test, chest X-ray = 1 (the table of modalities).
        usual_flips: Base rate: share of the training patients with the test whose decision was another without it.
        usual_gain: Base rate: the mean information that it gave them.
        neighbours: Training cases behind the figures.
        distance: How near they are, on average; 1 is the distance of two training cases drawn at random.
        had: Training cases that had the test.
    """

    modality: str
    silent: str = ""
    flips: float = 0.0
    shrink: float = 0.0
    change: float = 0.0
    gain: float = 0.0
    cost: float
    usual_flips: float
    usual_gain: float
    neighbours: int = 0
    distance: float = 0.0
    had: int = 0

    @property
    def gain_per_cost(self) -> float:
        """Expected information per unit of cost."""
        return self.gain / max(self.cost, 1e-9)


class Neighbour(Frozen):
    """A training case of another patient, with at least the evidence of the case at hand. No key of it is told.

    Attributes:
        distance: Between what experts said of both; 1 is that of two training cases drawn at random. Two digits.
        outcome: Its class.
        answered: What it was answered unseen, by no more than the evidence of the case at hand; two digits.
        pattern: Sorted names of all that it had.
        wrong: Whether the most probable class was another than the outcome.
        ruled_out: Whether the prediction set would have been without the outcome, too.
    """

    distance: float
    outcome: str
    answered: tuple[float, ...]
    pattern: tuple[str, ...]
    wrong: bool
    ruled_out: bool = False


class Similar(Frozen):
    """Training cases alike in what the experts said, not in how they look; one case of each patient.

    Attributes:
        silent: Why none are counted, "" where some are; of few patients the nearest are told all the same.
        n: The nearest ones that were counted.
        outcomes: How many of them were of each class.
        wrong: How many of them were answered wrongly, unseen.
        reach: Distance of the farthest one counted.
        among: How many of all training cases with at least this evidence, of other patients, were of each class.
        nearest: The nearest one by one, the nearest first.
        errors: The nearest of all that were answered wrongly, be they counted or not.
    """

    silent: str = ""
    n: int = 0
    outcomes: dict[str, int] = Field(default_factory=dict)
    wrong: int = 0
    reach: float = 0.0
    among: dict[str, int] = Field(default_factory=dict)
    nearest: tuple[Neighbour, ...] = ()
    errors: tuple[Neighbour, ...] = ()


class Prediction(Frozen):
    """A calibrated answer for one case.

    Attributes:
        probabilities: Calibrated, one per class, summing to 1.
        pattern: Sorted names of the modalities that spoke.
        subsets: Calibrated probabilities for every subset of what is present; the key joins sorted names with "+",
            "" is the prior. The dashboard's toggles read these. Beyond 8 modalities: of the whole, of all but one, and
            of nothing.
        shapley: Each present modality's share. Binary: of the log-odds of the second class. Otherwise: of the
            centred log-probability of the most probable class. They sum to v(all) - v(none).
        shapley_exact: False where shares were sampled (more than 8 modalities).
        shapley_error: Standard error of each share that was sampled; empty where shares are exact.
        interactions: What each pair of present modalities says beyond its two parts, in the unit of the shares; the key
            joins sorted names with "+". A share is what its modality says alone plus half of each of its pairs
            (Shapley-Taylor index). Empty where shares were sampled.
        within: What the expert of a modality rests on inside it: features of a record, places of words in a note. Never
            text of a note.
        decision: The most probable class, "" where the model abstains.
        abstained: Why no answer is given, "" where one is; the words of all `abstentions`.
        abstentions: The same reason by reason.
        drift_scores: For each modality that spoke, where its summaries lie among the training cases (`predict.drift`);
            `clinic-mm monitor` reads them.
        distance_percentile: For each modality that was there, whether or not it spoke: the percentage of training cases
            that lie nearer to the middle of training (`predict.outside`). None for what has no detector.
        advice: What each absent test could change, the one that tells most for its cost first.
        advice_silent: Why there is none, "" where there is, or nothing is absent.
        similar: Training cases like this one, and the nearest past errors; None in older runs.
        withheld: Why monitoring hides this answer, "" where it does not. The answer is stored all the same.
    """

    schema_version: str = SCHEMA_VERSION
    case_key: str
    patient_key: str
    decision_time: AwareDatetime | None
    target: str
    kind: Literal["binary", "multiclass"]
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    decision: str
    prediction_set: PredictionSet
    pattern: tuple[str, ...]
    subsets: dict[str, tuple[float, ...]]
    shapley: dict[str, float]
    shapley_exact: bool = True
    shapley_error: dict[str, float] = Field(default_factory=dict)
    interactions: dict[str, float] = Field(default_factory=dict)
    within: tuple[Within, ...] = ()
    missing: tuple[MissingEvidence, ...] = ()
    flags: tuple[SeenFlag, ...] = ()
    abstained: str = ""
    abstentions: tuple[Reason, ...] = ()
    notices: tuple[str, ...] = Field(default=(), description="What a reader must know of this answer, in words.")
    drift_scores: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    distance_percentile: dict[str, float] = Field(default_factory=dict)
    advice: tuple[Advice, ...] = ()
    advice_silent: str = ""
    similar: Similar | None = None
    withheld: str = ""
    model_hash: str
    input_hash: str
    settings_hash: str
    run_id: str = ""
    created_at: AwareDatetime | None = None

    @property
    def content_hash(self) -> str:
        """SHA-256 over canonical JSON, floats to 6 digits, without time stamps or run ids.

        What older runs did not have is left out where it lacks: signed answers keep the hash that was signed.
        """
        lacks = {"similar"} if self.similar is None else set()
        return canonical_hash(self.model_dump(mode="json", exclude={*NOT_HASHED, *lacks}))

    def probability_of(self, name: str) -> float:
        """Calibrated probability of one class by name."""
        return self.probabilities[self.classes.index(name)]


def canonical_hash(value: object) -> str:
    """SHA-256 of a JSON value with sorted keys and floats rounded to 6 digits."""
    return hashlib.sha256(orjson.dumps(_rounded(value), option=orjson.OPT_SORT_KEYS)).hexdigest()


def _rounded(value: object) -> object:
    match value:
        case float():
            return round(value, HASH_DIGITS) + 0.0
        case dict():
            return {key: _rounded(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_rounded(inner) for inner in value]
        case _:
            return value
