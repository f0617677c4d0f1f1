"""Fit the detectors of foreign inputs, each threshold from training cases that the detector had not seen.

In:  cross-fitted and refit experts with their training cases. Out: `predict.outside.Outside`.

Cross-fitting is by patient. What is deployed is fitted on all cases, so that it errs on the quiet side: the cases that
gave the threshold lay a little farther from clouds of fewer cases. No label is looked at.
"""

from collections import Counter
from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array
from sklearn.covariance import ledoit_wolf_shrinkage
from threadpoolctl import threadpool_limits

from clinic_mm.predict.cloud import Cloud
from clinic_mm.predict.outside import Detector, Guard, Outside, views_of
from clinic_mm.prep.base import Prep
from clinic_mm.prep.batch import PreparedCases
from clinic_mm.signals import Signal
from clinic_mm.training.constant import varies
from clinic_mm.training.learnt import Learnt, Refit
from clinic_mm.training.shown import fit_shown
from clinic_mm.training.unit_shift import fit_unit_shift

FOLDS: Final = 5
NETWORK: Final = "network"
FEWEST_PATIENTS: Final = 20
"""Fewer would make the least false-alarm rate that can be shown more than 1 in 20: the detector is silent."""
MOST_ROWS: Final = 2000
"""Rows that a cloud is fitted on; more hardly move it."""
WILD: Final = 2.5
"""On the drawn-in scale, 6 standard deviations: what lies farther in training counts as if it lay there."""
MOST_AXES: Final = 64
MOST_REFERENCE: Final = 1001
UPPER: Final = 0.9
UPPER_SD: Final = 1.2816
"""The upper tenth of a Gaussian begins there."""


def fit_outside(learnt: Learnt, refit: Refit) -> Outside:
    """A guard for each modality, or why it is silent."""
    guards, silent, task = {}, {}, learnt.task
    for name, prep in learnt.recipe.preps.items():
        guard = fit_guard(prep, learnt.prepared, name, task.outside.false_alarms, task.seed)
        if isinstance(guard, str):
            silent[name] = guard
        else:
            plain = learnt.fitted[name].best.startswith("plain")
            guards[name] = guard if plain else _with_network(guard, learnt, refit, name)
    return Outside(guards, silent, reject=task.outside.then == "reject")


def fit_guard(prep: Prep[Signal], prepared: PreparedCases, name: str, false_alarms: float, seed: int) -> Guard | str:
    """The guard of one modality from all cases that have it, or why there is none; labels are not looked at.

    The false alarms that are allowed are shared evenly by the two checks that every kind has at most.
    """
    cases = np.flatnonzero(prepared.present[:, prepared.names.index(name)])
    patients, rate = prepared.patients[cases], false_alarms / 2
    n = len(np.unique(patients))
    if n < FEWEST_PATIENTS:
        return f"{n} training patients are too few to know what is unusual: {FEWEST_PATIENTS} are needed"
    fold = patient_folds(patients, seed)
    views = views_of(prep, prepared, name, None, _asked(prep))
    some = np.linspace(0, len(cases) - 1, min(len(cases), MOST_ROWS)).astype(int)
    x = prepared.x[name][prepared.row[name][cases[some]]]
    with threadpool_limits(1, user_api="blas"):
        held = {view: _held_out(values, fold) for view, values in views.items()}
        return Guard(
            far=detector_of({view: fit_cloud(values) for view, values in views.items()}, held, n, rate),
            wrong=fit_shown(prep, x, fold[some], n, rate, flags=False),
            swapped=fit_shown(prep, x, fold[some], n, rate, flags=True),
            units=fit_unit_shift(prep, prepared.plain[name][cases], fold, n, rate),
            regions=Counter(region for case in cases if (region := prepared.outcomes[case][name].region)),
        )


def _asked(prep: Prep[Signal]) -> list[str]:
    """What a detector of this kind looks at."""
    named = {"plain": prep.plain_names, "looks": prep.looks_names, "texture": prep.texture_names}
    return [view for view, names in named.items() if names]


def _with_network(guard: Guard, learnt: Learnt, refit: Refit, name: str) -> Guard:
    """The same with the network's summary as one more view of the distance, where the network is the expert."""
    assert guard.far is not None, "every guard has a distance"
    prep, prepared, far = learnt.recipe.preps[name], learnt.prepared, guard.far
    views = views_of(prep, prepared, name, refit.spoken[name], (*far.clouds, NETWORK))
    fold = patient_folds(prepared.patients[prepared.present[:, prepared.names.index(name)]], learnt.task.seed)
    with threadpool_limits(1, user_api="blas"):
        held = {view: _held_out(values, fold) for view, values in views.items() if view != NETWORK}
        held[NETWORK] = _held_out_network(learnt, name)
        clouds = {**far.clouds, NETWORK: fit_cloud(views[NETWORK])}
    return replace(guard, far=detector_of(clouds, held, far.n, learnt.task.outside.false_alarms / 2))


def patient_folds(patients: Array, seed: int) -> Int[Array, " k"]:
    """The fold of each row, by patient; labels do not matter here."""
    _, patient = np.unique(patients, return_inverse=True)
    order = np.random.default_rng(seed).permutation(patient.max() + 1)
    fold: Array = order[patient] % FOLDS
    return fold


def _held_out(x: Float[Array, "k p"], fold: Int[Array, " k"]) -> Float[Array, " k"]:
    """Distance of each row from a cloud of the other folds."""
    out = np.zeros(len(x))
    for k in np.unique(fold):
        out[fold == k] = fit_cloud(x[fold != k]).distance(x[fold == k])
    return out


def _held_out_network(learnt: Learnt, name: str) -> Float[Array, " k"]:
    """The same in the spaces of the chains' networks: each row in one whose network has not seen it."""
    column = learnt.prepared.names.index(name)
    fold = learnt.table.fold[learnt.prepared.present[:, column]]
    out = np.zeros(len(fold))
    for k, said in enumerate(learnt.fitted[name].spoken):
        x = said.summary.numpy()
        out[fold == k] = fit_cloud(x[fold != k]).distance(x[fold == k])
    return out


def fit_cloud(x: Float[Array, "k p"]) -> Cloud:
    """The cloud of some rows; see `predict.cloud.Cloud` for the papers."""
    x = np.where(np.isfinite(x), x, np.nan).astype(np.float64)
    x = x[np.linspace(0, len(x) - 1, min(len(x), MOST_ROWS)).astype(int)]
    low, centre, high = np.nanquantile(np.where(np.isnan(x).all(axis=0), 0.0, x), (0.25, 0.5, 0.75), axis=0)
    plain_sd = np.nan_to_num(np.nanstd(np.where(np.isnan(x).all(axis=0), 0.0, x), axis=0))
    spread = np.where(high > low, (high - low) / 1.349, plain_sd)
    spread = np.where(varies(spread, centre), spread, np.inf)
    there = np.isfinite(x)
    drawn = np.where(there, np.clip(np.arcsinh((x - centre) / spread), -WILD, WILD), 0.0)
    count = np.maximum(1, there.sum(axis=0))
    mean = drawn.sum(axis=0) / count
    scale = np.sqrt((there * (drawn - mean) ** 2).sum(axis=0) / count)
    cloud = Cloud(
        centre, spread, mean, np.where(scale > 0, scale, 1.0), np.zeros((0, len(mean))), np.zeros(0), np.ones(1)
    )
    return _shrunk(cloud, there * (drawn - cloud.mean) / cloud.scale)


def _shrunk(cloud: Cloud, z: Float[Array, "k p"]) -> Cloud:
    """With the directions and variances of the shrunk covariance of standardised rows."""
    n, p = z.shape
    share = float(ledoit_wolf_shrinkage(z, assume_centered=True))
    level = max(float((z * z).mean()), 1e-9)
    _, s, axes = np.linalg.svd(z, full_matrices=False)
    every = (1 - share) * s**2 / n + share * level
    kept = min(MOST_AXES, len(s), p)
    left = p - kept
    total = (1 - share) * (z * z).sum() / n + share * level * p
    rest = (total - every[:kept].sum()) / left if left else level
    floor = 1e-6 * level
    return Cloud(
        cloud.centre,
        cloud.spread,
        cloud.mean,
        cloud.scale,
        axes[:kept],
        np.maximum(every[:kept], floor),
        np.array([max(float(rest), floor)]),
    )


def detector_of(clouds: dict[str, Cloud], held: dict[str, Float[Array, " k"]], n: int, false_alarms: float) -> Detector:
    """Put the views on one scale, and the threshold where held-out training cases pass it at the stated rate.

    The rate is at least 1 in n + 1: with fewer patients nothing rarer can be shown. Source of the order statistic:
    Vovk, Gammerman & Shafer 2005, Algorithmic Learning in a Random World, doi:10.1007/b106715 (conformal p-values).
    """
    logs = {view: np.log(distance + 1e-9) for view, distance in held.items()}
    middle = {view: float(np.median(one)) for view, one in logs.items()}
    width = {view: max((float(np.quantile(one, UPPER)) - middle[view]) / UPPER_SD, 1e-3) for view, one in logs.items()}
    scores = np.sort(np.max([(one - middle[view]) / width[view] for view, one in logs.items()], axis=0))
    rate = max(false_alarms, 1 / (n + 1))
    rank = min(int(np.ceil((len(scores) + 1) * (1 - rate))), len(scores))
    reference = np.quantile(scores, np.linspace(0, 1, min(len(scores), MOST_REFERENCE)))
    return Detector(clouds, middle, width, reference, float(scores[rank - 1]), rate, n)
