"""Tell what a model has never learnt from: an input outside of training is downgraded to rejected, with its reason.

In:  prepared cases, what the experts heard of them, the detectors of a model (fitted by `training.outside`).
Out: the same cases without what lies outside, each with a code and a reason; and for every modality of every case how
far it lies from training, as the percentile among training cases that the detector had not seen.

A modality whose detector is silent (too few training patients) is not judged: its percentile is NaN.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from clinic_mm.encoders.run import Spoken
from clinic_mm.fusion.heard import Heard
from clinic_mm.modalities import modality
from clinic_mm.predict.cloud import Cloud
from clinic_mm.prep.base import Prep
from clinic_mm.prep.batch import Outcome, PreparedCases, Recipe
from clinic_mm.signals import Signal
from clinic_mm.types import Flag, Rejected

CODE: Final = "outside_training"
MEND: Final = "Check that it is the right file of the right patient; if it is, the model cannot judge it"
Views = Mapping[str, Float[Array, "k p"]]
"""What detectors look at, by view: `plain` summaries, `looks` of the tensor, `network` for what its encoder said."""


@dataclass(frozen=True, slots=True)
class Detector:
    """The distance detector of one modality.

    Attributes:
        clouds: Of each view.
        middle: Median log distance of held-out training cases, by view.
        width: How far their upper tenth lies from it, in standard deviations of a Gaussian.
        reference: Scores of held-out training cases, ascending (quantiles of them where there are many).
        threshold: Beyond it lies what is outside.
        rate: Share of good inputs beyond it, as cross-fitting shows.
        n: Patients behind it.
    """

    clouds: Mapping[str, Cloud]
    middle: Mapping[str, float]
    width: Mapping[str, float]
    reference: Float[Array, " q"]
    threshold: float
    rate: float
    n: int

    def scores(self, views: Views) -> Float[Array, "k views"]:
        """Log distance in each view, standardised by held-out training cases."""
        columns = [
            (np.log(cloud.distance(views[view]) + 1e-9) - self.middle[view]) / self.width[view]
            for view, cloud in self.clouds.items()
        ]
        return np.stack(columns, axis=1)

    def percentile(self, score: Float[Array, " k"]) -> Float[Array, " k"]:
        """Percentage of held-out training cases that lie nearer."""
        nearer: Array = 100.0 * np.searchsorted(self.reference, score) / len(self.reference)
        return nearer


@dataclass(frozen=True, slots=True)
class Outside:
    """The detectors of a model.

    Attributes:
        detectors: By modality; one that is silent has none.
        silent: Why a modality has none.
        reject: Whether what lies outside is rejected; otherwise it is flagged and still speaks.
    """

    detectors: Mapping[str, Detector] = field(default_factory=dict)
    silent: Mapping[str, str] = field(default_factory=dict)
    reject: bool = True


@dataclass(frozen=True, slots=True)
class Attended:
    """Cases after what lies outside was left out.

    Attributes:
        prepared: What speaks, the outcomes saying why the rest does not.
        heard: The same of what the experts said.
        percentile: Percentage of training cases that lie nearer to the middle of training, NaN where a modality is
            absent or not judged; also of what was rejected.
    """

    prepared: PreparedCases
    heard: Heard
    percentile: Float[Array, "n M"]

    def percentile_of(self, index: int) -> dict[str, float]:
        """Of one case, by modality; only what was judged."""
        row = self.percentile[index]
        return {name: float(p) for name, p in zip(self.prepared.names, row, strict=True) if np.isfinite(p)}


NO_DETECTORS: Final = Outside()


def attend(outside: Outside, recipe: Recipe, prepared: PreparedCases, heard: Heard) -> Attended:
    """Judge every modality of every case, and leave out what lies outside (or flag it, as the model says)."""
    percentile = np.full(prepared.present.shape, np.nan)
    found: dict[tuple[int, str], Flag] = {}
    for column, name in enumerate(prepared.names):
        cases = np.flatnonzero(prepared.present[:, column])
        if name not in outside.detectors or not len(cases):
            continue
        detector = outside.detectors[name]
        views = views_of(recipe.preps[name], prepared, name, heard.spoken.get(name), tuple(detector.clouds))
        scores = detector.scores(views)
        percentile[cases, column] = detector.percentile(scores.max(axis=1))
        for row in np.flatnonzero(scores.max(axis=1) > detector.threshold):
            here = {view: values[[row]] for view, values in views.items()}
            found[int(cases[row]), name] = _told(detector, recipe.preps[name], here, scores[row])
    if found:
        prepared, heard = _without(recipe, prepared, heard, found, reject=outside.reject)
    return Attended(prepared, heard, percentile)


def views_of(
    prep: Prep[Signal], prepared: PreparedCases, name: str, spoken: Spoken | None, views: Sequence[str]
) -> dict[str, Float[Array, "k p"]]:
    """The asked views of the present rows of one modality."""
    cases = np.flatnonzero(prepared.present[:, prepared.names.index(name)])
    rows = prepared.row[name][cases]
    found: dict[str, Array] = {}
    if "plain" in views:
        found["plain"] = prepared.plain[name][cases]
    if "looks" in views:
        found["looks"] = prep.looks(prepared.x[name][rows])
    if "network" in views:
        assert spoken is not None, "a detector on a network's summary needs the network"
        found["network"] = spoken.summary.numpy()[rows]
    return found


def _told(detector: Detector, prep: Prep[Signal], views: Views, scores: Float[Array, " views"]) -> Flag:
    view = list(detector.clouds)[int(scores.argmax())]
    feature = int(detector.clouds[view].parts(views[view])[0].argmax())
    names = {"plain": prep.plain_names, "looks": prep.looks_names}.get(view)
    most = f"what stands out most is {names[feature]!r}" if names else "it stands out in what the network makes of it"
    nearer = detector.percentile(scores.max(keepdims=True))[0]
    than = "all" if nearer >= 100 else f"{nearer:.1f} %"
    label = modality(prep.kind).label
    why = (
        f"Unlike what this model learnt from: farther off than {than} of the {label} of {detector.n} training patients"
    )
    return Flag(code=f"{prep.kind}.{CODE}", why=f"{why}; {most}")


def _without(
    recipe: Recipe, prepared: PreparedCases, heard: Heard, found: Mapping[tuple[int, str], Flag], *, reject: bool
) -> tuple[PreparedCases, Heard]:
    """The same cases with what was found rejected, or flagged."""
    outcomes = [dict(outcome) for outcome in prepared.outcomes]
    for (case, name), flag in found.items():
        old, kind = outcomes[case][name], recipe.preps[name].kind
        no = Rejected(modality=kind, code=flag.code, why=flag.why, mend=MEND)
        outcomes[case][name] = Outcome(None, np.nan, no) if reject else replace(old, flags=(*old.flags, flag))
    prepared = replace(prepared, outcomes=tuple(outcomes))
    for name in {name for _, name in found} if reject else ():
        prepared, heard = silenced(prepared, heard, name, [case for case, other in found if other == name])
    return prepared, heard


def silenced(prepared: PreparedCases, heard: Heard, name: str, cases: Sequence[int]) -> tuple[PreparedCases, Heard]:
    """One modality of some cases as if it were absent: nothing of it is left but the outcome."""
    column = prepared.names.index(name)
    present, time_h, plain = prepared.present.copy(), prepared.time_h.copy(), prepared.plain[name].copy()
    present[cases, column], time_h[cases, column], plain[cases] = False, np.nan, np.nan
    opinions = heard.opinions.copy()
    opinions[cases, column] = 1.0 / opinions.shape[2]  # says nothing; nobody looks at it
    there = present[:, column]
    rows = prepared.row[name][there]
    row = {**prepared.row, name: np.where(there, np.cumsum(there) - 1, -1)}
    x, plains = {**prepared.x, name: prepared.x[name][rows]}, {**prepared.plain, name: plain}
    spoken = dict(heard.spoken)
    if name in spoken:
        said = spoken[name]
        spoken[name] = Spoken(said.tokens[rows], said.summary[rows], said.logits[rows])
    prepared = replace(prepared, x=x, row=row, plain=plains, present=present, time_h=time_h)
    heard = replace(heard, opinions=opinions, spoken=spoken, x=x if heard.x else {})
    return prepared, replace(heard, row=row, plain=plains, present=present, time_h=time_h)
