"""Compare a model in bfloat16 with itself in float32: bfloat16 is for those whose decisions it does not move.

In:  a model opened twice, prepared reference cases. Out: `Narrowing`: how many cases, whose decision moved, how far
probabilities went apart.

A decision is all that a reader acts on: the answer, its prediction set, and whether an answer is given at all. That
none of n moved says with 95 % confidence that fewer than 3/n move (the rule of three: Hanley and Lippman-Hand 1983,
doi:10.1001/jama.1983.03330370053031).
"""

from typing import Final

import numpy as np

from clinic_mm.predict.model import Model
from clinic_mm.predict.prediction import Prediction
from clinic_mm.predict.predictor import predict_cases
from clinic_mm.prep.batch import PreparedCases
from clinic_mm.types import SCHEMA_VERSION, Frozen

NAMED_CASES: Final = 20
"""So many moved cases are named."""


class Narrowing(Frozen):
    """What became of the reference cases.

    Attributes:
        model_hash: Of the model.
        cases: With anything that speaks.
        moved: Of these, with another answer, prediction set or silence.
        named: The first of them: case key, and what moved.
        largest_difference: Of a probability, of any class and any subset of what a case has.
        float32: What ran the networks then.
        bfloat16: What ran them otherwise.
        rests_on: Hash of model, cohort, settings and runtime: for others it says nothing.
    """

    schema_version: str = SCHEMA_VERSION
    model_hash: str
    cases: int
    moved: int
    named: dict[str, str]
    largest_difference: float
    float32: str = ""
    bfloat16: str = ""
    rests_on: str = ""

    @property
    def allowed(self) -> bool:
        """Whether bfloat16 may answer: there were cases, and no decision moved."""
        return self.cases > 0 and self.moved == 0

    @property
    def told(self) -> str:
        """In words."""
        if not self.cases:
            return "There is no reference case with anything that speaks"
        far = f"probabilities differ by up to {self.largest_difference:.2g}"
        if self.moved:
            return f"bfloat16 moves {self.moved} of {self.cases} decisions; {far}"
        return f"bfloat16 moves none of {self.cases} decisions; {far}"


def narrowing(wide: Model, narrow: Model, model_hash: str, prepared: PreparedCases) -> Narrowing:
    """Answer the same cases twice, and compare.

    Args:
        wide: The model in float32.
        narrow: The same in bfloat16.
        model_hash: Of both.
        prepared: Reference cases.
    """
    pairs = zip(predict_cases(wide, model_hash, prepared), predict_cases(narrow, model_hash, prepared), strict=True)
    spoken = [(one, other) for one, other in pairs if one.pattern or other.pattern]
    moved = {one.case_key: what for one, other in spoken if (what := _moved(one, other))}
    return Narrowing(
        model_hash=model_hash,
        cases=len(spoken),
        moved=len(moved),
        named=dict(list(moved.items())[:NAMED_CASES]),
        largest_difference=max((_apart(one, other) for one, other in spoken), default=0.0),
    )


def _moved(one: Prediction, other: Prediction) -> str:
    """What a reader would see change, "" for nothing."""
    sides = {
        "evidence": (one.pattern, other.pattern),
        "silence": (bool(one.abstained), bool(other.abstained)),
        "answer": (one.decision, other.decision),
        "prediction set": (one.prediction_set.classes, other.prediction_set.classes),
    }
    return ", ".join(name for name, (a, b) in sides.items() if a != b)


def _apart(one: Prediction, other: Prediction) -> float:
    shared = one.subsets.keys() & other.subsets.keys()
    return max(float(np.abs(np.subtract(one.subsets[key], other.subsets[key])).max()) for key in shared)
