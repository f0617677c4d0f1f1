"""Predictions that may not be shown, with all that would tell the answer in them; and those numbers as written."""

import re
from datetime import timedelta

from clinic_mm.predict.prediction import Prediction
from clinic_mm.predict.within.told import FeatureShare, Within
from clinic_mm.report.run import ModelOf, RunInfo
from tests.report.predictions import ALL, made_up

INFO = RunInfo(
    run_id="r1",
    model=ModelOf(path="model", hash="a" * 64, name="demo"),
    cohort="cohort",
    target="disease",
    classes=("negative", "positive"),
    modalities={name: name for name in ALL},
    simulated=True,
)
SHARES = {"ct": 1.37, "eeg": -0.58, "note": 0.27, "record": 0.83, "xray": 0.94}
"""Odd, so that no number of the evidence itself is taken for one of the answer."""
REASON = {"abstained": "Too rare: 3 training patients had all of this evidence together; 5 are asked for."}
HIDDEN = {"withheld": "CT no longer looks as it did in the reference. Ask what changed at the source."}


def telling(prediction: Prediction, **why: str) -> Prediction:
    """The same case with odd shares, pairs and features; and why it may not be shown."""
    shares = {name: SHARES[name] for name in prediction.pattern}
    full = made_up(prediction.case_key, shares)
    due = full.decision_time
    assert due is not None
    one = FeatureShare(code="loinc:718-7", value=9.1, unit="g/dL", time=due - timedelta(hours=5), share=0.73)
    within = (Within(modality="record", way="linear", opinion=0.43, baseline=-0.62, features=(one,), rest=0.32),)
    pairs = {"+".join(sorted(shares)[:2]): -0.67} if len(shares) > 1 else {}
    more = {"interactions": pairs, "within": within if "record" in shares else ()}
    gone = {"decision": ""} if "abstained" in why else {}
    kept = {name: getattr(prediction, name) for name in ("patient_key", "decision_time", "missing", "flags")}
    return full.model_copy(update={**kept, **more, **gone, **why})


def leaked(prediction: Prediction, shown: str) -> list[str]:
    """Numbers of the answer, of its subsets and of what it rests on that stand in a text, however they are rounded."""
    known = [p for key, row in prediction.subsets.items() if key for p in row]
    shares = [*prediction.shapley.values(), *prediction.interactions.values()]
    shares += [f.share for told in prediction.within for f in told.features]
    written = {f"{p:.{digits}f}" for p in known for digits in (2, 3, 6)}
    written |= {f"{100 * p:.4f}" for p in known} | {f"{abs(s):.2f}" for s in shares}
    return sorted(one for one in written if re.search(rf"(?<![\d.]){re.escape(one)}(?!\d)", shown))
