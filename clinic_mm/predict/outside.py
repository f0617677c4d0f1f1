"""Tell what a model has never learnt from: an input outside of training is downgraded to rejected, with its reason.

In:  prepared cases, what the experts heard of them, the guards of a model (fitted by `training.outside`).
Out: the same cases without what lies outside, each with a code and a reason; and for every modality of every case how
far it lies from training, as the percentile among training cases that the detector had not seen.

A modality is looked at in up to four ways: shown wrongly, in another unit, another body part by its header, far from
training. A modality whose guard is silent (too few training patients) is not judged: its percentile is NaN.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from clinic_mm.encoders.run import Spoken
from clinic_mm.fusion.heard import Heard
from clinic_mm.predict import shown, unit_shift
from clinic_mm.predict.cloud import Cloud
from clinic_mm.predict.shown import Shown
from clinic_mm.predict.unit_shift import UnitShift
from clinic_mm.prep.base import Prep
from clinic_mm.prep.batch import Outcome, PreparedCases, Recipe
from clinic_mm.prep.gaps import hide
from clinic_mm.signals import Signal
from clinic_mm.types import Flag, Rejected

CODE: Final = "outside_training"
HASHED: Final = "n-gram place"
"""How plain measurements begin that no reader could look up: places of a note's hashed wording."""
MEND: Final = "Check that it is the right file of the right patient; if it is, the model cannot judge it"
FEWEST_REGIONS: Final = 20
"""Training cases whose header names a body part, below which the names of others say nothing."""
FAR_TOO: Final = 90.0
"""Percentile of the distance from which a header's other body part is believed; headers are often wrong."""
Views = Mapping[str, Float[Array, "k p"]]
"""What detectors look at, by view: `plain` summaries, `looks` and `texture` of the tensor, `network`: its encoder's."""


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

    def find(self, prep: Prep[Signal], views: Views, scores: Float[Array, "k views"]) -> dict[int, Flag]:
        """Rows that lie outside, each with what stands out most."""
        beyond = np.flatnonzero(scores.max(axis=1) > self.threshold)
        return {int(row): self._told(prep, {v: x[[row]] for v, x in views.items()}, scores[row]) for row in beyond}

    def _told(self, prep: Prep[Signal], views: Views, scores: Float[Array, " views"]) -> Flag:
        view = list(self.clouds)[int(scores.argmax())]
        names = {"plain": prep.plain_names, "looks": prep.looks_names, "texture": prep.texture_names}.get(view)
        most = "it stands out in what the network makes of it"
        if names:
            name = names[int(self.clouds[view].parts(views[view])[0].argmax())]
            most = f"what stands out most is {'its wording' if name.startswith(HASHED) else repr(name)}"
        nearer = self.percentile(scores.max(keepdims=True))[0]
        than = "all" if nearer >= 100 else f"{nearer:.0f} % of" if nearer < 99.5 else "more than 99 % of"
        why = f"Unlike what this model learnt from: farther off than those of {than} {self.n} training patients; {most}"
        return Flag(code=f"{prep.kind}.{CODE}", why=why)


@dataclass(frozen=True, slots=True)
class Guard:
    """All that watches over one modality; what could not be fitted is None.

    Attributes:
        far: By the distance from training.
        wrong: For what is shown wrongly and cannot be used so.
        swapped: For what is shown wrongly and is only flagged.
        units: For numbers in another unit.
        regions: Body parts that the headers of training cases name, with how many do.
    """

    far: Detector | None = None
    wrong: Shown | None = None
    swapped: Shown | None = None
    units: UnitShift | None = None
    regions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outside:
    """The guards of a model.

    Attributes:
        guards: By modality.
        silent: Why a modality has none.
        reject: Whether what lies outside is rejected; otherwise it is flagged and still speaks.
    """

    guards: Mapping[str, Guard] = field(default_factory=dict)
    silent: Mapping[str, str] = field(default_factory=dict)
    reject: bool = True


NO_DETECTORS: Final = Outside()


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


@dataclass(frozen=True, slots=True)
class _Found:
    """What was seen of one modality of one case, and how to mend it; "" for what is only flagged."""

    flag: Flag
    mend: str


def attend(outside: Outside, recipe: Recipe, prepared: PreparedCases, heard: Heard) -> Attended:
    """Judge every modality of every case, and leave out what lies outside (or flag it, as the model says)."""
    percentile = np.full(prepared.present.shape, np.nan)
    found: dict[str, dict[int, _Found]] = {}
    for column, name in enumerate(prepared.names):
        cases = np.flatnonzero(prepared.present[:, column])
        if name in outside.guards and len(cases):
            regions = [prepared.outcomes[case][name].region for case in cases]
            looked = _look(outside.guards[name], recipe.preps[name], prepared, heard.spoken.get(name), name, regions)
            percentile[cases, column] = looked[0]
            found[name] = {int(cases[row]): one for row, one in looked[1].items()}
    if any(found.values()):
        prepared, heard = _without(recipe, prepared, heard, found, reject=outside.reject)
    return Attended(prepared, heard, percentile)


def _look(
    guard: Guard,
    prep: Prep[Signal],
    prepared: PreparedCases,
    spoken: Spoken | None,
    name: str,
    regions: Sequence[str],
) -> tuple[Float[Array, " k"], dict[int, _Found]]:
    """Percentiles of the present rows of one modality, and what was found; of several findings the plainest."""
    shows = ("looks", "texture") if guard.wrong or guard.swapped else ()
    asked = {"plain", *(guard.far.clouds if guard.far else ()), *shows}
    views = views_of(prep, prepared, name, spoken, sorted(asked))
    percentile = np.full(len(regions), np.nan)
    found: dict[int, _Found] = {}
    if guard.far:
        scores = guard.far.scores(views)
        percentile = guard.far.percentile(scores.max(axis=1))
        found |= _all(guard.far.find(prep, views, scores), MEND)
    found |= _other_regions(guard, prep.kind, regions, percentile)
    mistakes = {one.code: one for one in prep.mistakes}
    poses = np.hstack([views[view] for view in shows]) if shows else np.zeros((0, 0))
    if guard.swapped:
        swapped = _all(guard.swapped.find(poses, mistakes), "")
        found = swapped | found  # whatever else is found says more
    if guard.units:
        found |= _all(guard.units.find(views["plain"], prep.kind), unit_shift.MEND)
    if guard.wrong:
        found |= _all(guard.wrong.find(poses, mistakes), shown.MEND)
    return percentile, found


def _all(flags: Mapping[int, Flag], mend: str) -> dict[int, _Found]:
    return {row: _Found(flag, mend) for row, flag in flags.items()}


def _other_regions(
    guard: Guard, kind: str, regions: Sequence[str], percentile: Float[Array, " k"]
) -> dict[int, _Found]:
    """Rows whose header names a body part that no training case has: believed where they lie far off, too."""
    if sum(guard.regions.values()) < FEWEST_REGIONS:
        return {}
    learnt = ", ".join(sorted(guard.regions))
    return {
        row: _Found(
            Flag(code=f"{kind}.other_body_part", why=f"The header says {region}; this model learnt from: {learnt}"),
            MEND if percentile[row] >= FAR_TOO else "",
        )
        for row, region in enumerate(regions)
        if region and region not in guard.regions
    }


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
    if "texture" in views:
        found["texture"] = prep.texture(prepared.x[name][rows])
    if "network" in views:
        assert spoken is not None, "a detector on a network's summary needs the network"
        found["network"] = spoken.summary.numpy()[rows]
    return found


def _without(
    recipe: Recipe,
    prepared: PreparedCases,
    heard: Heard,
    found: Mapping[str, Mapping[int, _Found]],
    *,
    reject: bool,
) -> tuple[PreparedCases, Heard]:
    """The same cases with what was found rejected, or flagged."""
    outcomes = [dict(outcome) for outcome in prepared.outcomes]
    kept = prepared.present.copy()
    for column, name in enumerate(prepared.names):
        for case, one in found.get(name, {}).items():
            old, flag = outcomes[case][name], one.flag
            if one.mend and reject:
                no = Rejected(modality=recipe.preps[name].kind, code=flag.code, why=flag.why, mend=one.mend)
                outcomes[case][name] = Outcome(None, np.nan, no)
                kept[case, column] = False
            else:
                outcomes[case][name] = replace(old, flags=(*old.flags, flag))
    prepared = replace(prepared, outcomes=tuple(outcomes))
    return (prepared, heard) if (kept == prepared.present).all() else silenced(prepared, heard, kept)


def silenced(prepared: PreparedCases, heard: Heard, kept: Array) -> tuple[PreparedCases, Heard]:
    """Only the modalities of `kept` [n, M] speak: nothing of the others is left but the outcome."""
    less = hide(prepared, kept)
    opinions = np.where(less.present[:, :, None], heard.opinions, 1.0 / heard.opinions.shape[2])  # nobody looks there
    spoken = {}
    for name, said in heard.spoken.items():
        rows = prepared.row[name][less.present[:, prepared.names.index(name)]]
        spoken[name] = Spoken(said.tokens[rows], said.summary[rows], said.logits[rows])
    x = less.x if heard.x else {}
    heard = replace(heard, opinions=opinions, spoken=spoken, x=x, row=less.row, plain=less.plain)
    return less, replace(heard, present=less.present, time_h=less.time_h)
