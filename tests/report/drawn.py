"""Predictions drawn at random, consistent in themselves: answered, abstained, withheld, of two or more classes.

Names and reasons are hostile now and then: markup, backslashes, signs that no font has, text from right to left.
"""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from clinic_mm.predict.prediction import (
    Advice,
    MissingEvidence,
    Prediction,
    PredictionSet,
    Reason,
    SeenFlag,
    ShownCoverage,
)
from clinic_mm.types import Flag
from tests.report.predictions import ALL

HOSTILE = (
    "<script>alert(1)</script>",
    'a & b <font color="red">c</font>',
    "left\\right^up=down",
    "肺炎 דלקת \u202e\x07end",
    "'; DROP TABLE cases; --",
    "{{7*7}} ${7*7} %s %(x)s &#x3c;",
    "n" * 90,
)
PLAIN = ("pneumonia", "no finding", "effusion", "oedema", "COVID-19")
names = st.sampled_from(PLAIN) | st.sampled_from(HOSTILE)
reasons = st.sampled_from(("Too rare: 3 patients had all of this", "Unlike the training cases", *HOSTILE))
# Near 0 and 1, where two digits are not enough, and at the edges of rounding.
edges = st.sampled_from([1e-7, 0.004999, 0.005, 0.0099999999, 0.01, 0.125, 0.345, 0.4999995, 0.5, 0.985, 0.9900000001])
logits = st.floats(-8, 8) | edges.map(lambda p: math.log(p / (1 - p)))
shares = st.floats(-3, 3) | st.sampled_from([0.0, 0.0049999, 0.005, -0.005, 0.125, 0.345, -1e-9])


@st.composite
def predictions(draw: st.DrawFn) -> Prediction:
    classes = tuple(draw(st.lists(names, min_size=2, max_size=5, unique=True)))
    probabilities = _softmax([draw(logits), *(0.0 for _ in classes[1:])])
    pattern = tuple(sorted(draw(st.sets(st.sampled_from(ALL)))))
    missing, flags = draw(_missing(pattern)), draw(_flags(pattern))
    why = "" if pattern and draw(st.integers(0, 3)) else draw(reasons)
    level = draw(st.sampled_from([0.8, 0.9, 0.95]))
    kept = tuple(name for name in classes if draw(st.booleans()))
    coverage = ShownCoverage(estimate=0.9, low=0.8, high=0.96, n=50, mean_size=1.25) if draw(st.booleans()) else None
    return Prediction(
        case_key="c0001",
        patient_key="p-c0001",
        decision_time=draw(st.none() | st.just(datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(days=3))),
        target=draw(names),
        kind="binary" if len(classes) == 2 else "multiclass",
        classes=classes,
        probabilities=probabilities,
        decision="" if why else classes[probabilities.index(max(probabilities))],
        prediction_set=PredictionSet(level=level, classes=kept, n=draw(st.integers(1, 900)), coverage=coverage),
        pattern=pattern,
        subsets={"+".join(pattern): probabilities},
        shapley={name: draw(shares) for name in pattern},
        missing=missing,
        flags=flags,
        abstained=why,
        abstentions=(Reason(code="abstain.any", why=why),) if why else (),
        notices=tuple(draw(st.lists(reasons, max_size=2))),
        advice=tuple(_advice(m.modality) for m in missing if m.status == "absent" and draw(st.booleans())),
        withheld="" if draw(st.integers(0, 4)) else draw(reasons),
        model_hash="a" * 64,
        input_hash="b" * 64,
        settings_hash="c" * 64,
    )


@st.composite
def _missing(draw: st.DrawFn, pattern: tuple[str, ...]) -> tuple[MissingEvidence, ...]:
    found: list[Any] = []
    for name in ALL:
        if name in pattern:
            continue
        status = draw(st.sampled_from(("absent", "rejected", "failed")))
        refused = {"code": f"{name}.unusable", "why": draw(reasons)} if status != "absent" else {}
        found.append(MissingEvidence(modality=name, status=status, **refused))
    return tuple(found)


@st.composite
def _flags(draw: st.DrawFn, pattern: tuple[str, ...]) -> tuple[SeenFlag, ...]:
    return tuple(
        SeenFlag(modality=name, flag=Flag(code=f"{name}.odd", why=draw(reasons)))
        for name in pattern
        if draw(st.booleans())
    )


def _advice(modality: str) -> Advice:
    return Advice(
        modality=modality, flips=0.12, shrink=0.2, cost=3.0, usual_flips=0.09, usual_gain=0.1, neighbours=30, had=410
    )


def _softmax(values: list[float]) -> tuple[float, ...]:
    top = max(values)
    weights = [math.exp(value - top) for value in values]
    return tuple(weight / sum(weights) for weight in weights)
