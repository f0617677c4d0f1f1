"""Streams of answered cases as arrays: what monitoring reads of stored Predictions, thousands of cases at a time.

In:  a model, prepared cases. Out: evaluate.monitor's Stream. A test holds it equal to what `predict_cases` stores.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array

from clinic_mm.cohort.split import folds
from clinic_mm.evaluate.monitor.scores import Reference, Stream, score_columns
from clinic_mm.predict.conformal import Thresholds
from clinic_mm.predict.experts import Expert
from clinic_mm.predict.model import Model, listen_inside, subset_probabilities
from clinic_mm.prep.batch import Outcome, PreparedCases, Recipe, plan_recipe
from clinic_mm.simulate.latent import World, draw
from clinic_mm.task import Task, parse_task
from clinic_mm.training.drift import learn_drift
from clinic_mm.training.heads import fit_prior, fit_ridge
from clinic_mm.training.secondlevel import crossfit_pool, crossfit_temperatures, make_table
from clinic_mm.training.thresholds import fit_thresholds
from clinic_mm.types import Absent, CaseRecord

WORLD = World(("ct", "xray", "eeg", "ecg", "eye"))
"""Five of the simulator's modalities; each is seen through plain summaries alone, as no file is rendered."""
LOADING = 0.6
"""How far a plain summary tells of the latent, at most: it is this much of it, the rest noise of its own."""


def task() -> Task:
    """The task of simulated streams: no network, since only what follows the experts is measured."""
    return parse_task({"target": "label", "modalities": list(WORLD.modalities), "train": {"epochs": 0, "threads": 1}})


@dataclass(frozen=True, slots=True)
class Drawn:
    """Simulated cases before they are prepared: labels, hidden values, noise of each summary, presence."""

    y: Int[Array, " n"]
    v: Float[Array, "n M"]
    noise: dict[str, Float[Array, "n p"]]
    present: Bool[Array, "n M"]
    first: int

    def shifted(self, column: int, by: float, at: int) -> "Drawn":
        """The same cases, the hidden value of one modality moved from a case on."""
        v = self.v.copy()
        v[at:, column] += by
        return Drawn(self.y, v, self.noise, self.present, self.first)

    def gone(self, column: int, at: int) -> "Drawn":
        """The same cases, one modality absent from a case on."""
        present = self.present.copy()
        present[at:, column] = False
        return Drawn(self.y, self.v, self.noise, present, self.first)

    def part(self, keep: Array) -> "Drawn":
        """Some of the cases, in another order if need be."""
        noise = {name: values[keep] for name, values in self.noise.items()}
        return Drawn(self.y[keep], self.v[keep], noise, self.present[keep], self.first)


def drawn(n: int, seed: int, first: int = 0) -> Drawn:
    """Cases that have something; `first` numbers them."""
    rng = np.random.default_rng(seed)
    found = draw(WORLD, rng, n + n // 20 + 50)
    keep = np.flatnonzero(found.present.any(axis=1))[:n]
    recipe = plan_recipe(task())
    noise = {name: rng.standard_normal((n, len(prep.plain_names))) for name, prep in recipe.preps.items()}
    return Drawn(found.y[keep], found.v[keep], noise, found.present[keep], first)


def prepared_of(cases: Drawn) -> PreparedCases:
    """As `prepare_cases` would give them; tensors are empty, since nothing reads them."""
    recipe, n = plan_recipe(task()), len(cases.y)
    x, row, plain = {}, {}, {}
    for column, (name, prep) in enumerate(recipe.preps.items()):
        there = cases.present[:, column]
        load = np.random.default_rng(column).uniform(-LOADING, LOADING, len(prep.plain_names))
        told = cases.v[:, [column]] * load + cases.noise[name] * np.sqrt(1 - load**2)
        plain[name] = np.where(there[:, None], told, np.nan).astype(np.float32)
        x[name] = np.broadcast_to(np.zeros(1, np.float32), (int(there.sum()), *prep.shape))
        row[name] = np.where(there, np.cumsum(there) - 1, -1)
    records = tuple(
        CaseRecord(case_key=f"c{k:07d}", patient_key=f"p{k:07d}", decision_time=None, label=int(y))
        for k, y in enumerate(cases.y, start=cases.first)
    )
    seen = {True: Outcome(None, 0.0, None), False: Outcome(None, np.nan, Absent(modality="any"))}
    outcomes = tuple(dict(zip(recipe.names, (seen[bool(p)] for p in mask), strict=True)) for mask in cases.present)
    return PreparedCases(records, recipe.names, x, row, plain, cases.present, np.zeros((n, 5)), outcomes)


def fitted(prepared: PreparedCases, asked: Task | None = None, recipe: Recipe | None = None) -> Model:
    """Ridge experts, and the second level as every model has it: pool, temperatures, thresholds, each cross-fitted.

    No trees, no joint head and no search for what lies outside: they would cost most of the time, and add nothing to
    what is measured with these streams.
    """
    asked = asked or task()
    recipe, labels = recipe or plan_recipe(asked), prepared.labels
    fold = folds(prepared.patients.tolist(), labels.tolist(), asked.folds, asked.seed)
    prior = (np.bincount(labels, minlength=2) + 0.5) / (len(labels) + 1)
    experts, opinions = [], np.tile(prior, (len(labels), len(prepared.names), 1))
    for column, name in enumerate(prepared.names):
        x, there = prepared.plain[name], prepared.present[:, column]
        for k in range(asked.folds):
            fit, held = there & (fold != k), there & (fold == k)
            opinions[held, column] = fit_ridge(x[fit], labels[fit], 2, seed=k).predict(x[held])
        experts.append(
            Expert(name, asked.kind_of(name), "plain ridge", fit_ridge(x[there], labels[there], 2, seed=0), None)
        )
    table = make_table(opinions, prepared, prior, fold)
    pooled = crossfit_pool(table)
    temperatures, probabilities = crossfit_temperatures(table, pooled.logits)
    counts = Counter("+".join(pattern) for pattern in prepared.patterns())
    return Model(
        task=asked,
        recipe=recipe,
        experts=tuple(experts),
        pool=table.pool_without(None, pooled.freedom),
        residual=None,
        temperatures=temperatures,
        thresholds=fit_thresholds(table.answered(probabilities), asked.level),
        concat=fit_prior(np.zeros((len(labels), 1)), labels, 2, seed=0),
        facts={"patterns": dict(counts)},
        drift=learn_drift(prepared, table, pooled.logits),
    )


def stream_of_prepared(model: Model, prepared: PreparedCases, model_hash: str = "m") -> Stream:
    """What the stored Predictions of these cases would give; cases without evidence are left out, as in a run."""
    gists = _gists(model, prepared)
    attended = listen_inside(model, prepared)
    prepared, heard = attended.prepared, attended.heard
    some = np.flatnonzero(heard.present.any(axis=1))
    present, classes = heard.present, model.task.classes
    probabilities = np.tile(model.prior, (len(present), 1))
    probabilities[some] = subset_probabilities(model, heard, some, present[some])
    alone = {}
    for column, name in enumerate(model.names):
        rows = np.flatnonzero(present[:, column])
        alone[name] = np.full(probabilities.shape, np.nan)
        mask = np.tile(np.arange(len(model.names)) == column, (len(rows), 1))
        alone[name][rows] = subset_probabilities(model, heard, rows, mask)
    patterns = np.array(["+".join(pattern) for pattern in prepared.patterns()])
    distances = {name: attended.percentile[some, column] for column, name in enumerate(model.names)}
    frame = pd.DataFrame(
        {
            "case_key": [case.case_key for case in prepared.cases],
            "patient_key": prepared.patients,
            "time": pd.to_datetime([case.decision_time for case in prepared.cases], utc=True),
            "pattern": patterns,
        }
    )
    values = score_columns(
        patterns[some],
        probabilities[some],
        {name: p[some] for name, p in alone.items()},
        {name: g[some] for name, g in gists.items()},
        classes,
        distances,
    )
    sets = model.thresholds.sets(probabilities, present)
    return Stream(
        frame=frame.iloc[some].reset_index(drop=True),
        probabilities=probabilities[some],
        sets=sets[some],
        level=model.thresholds.level,
        set_n=_set_n(model.thresholds, patterns[some]),
        values=values,
        classes=classes,
        model_hash=model_hash,
    )


def labels_of(stream: Stream, prepared: PreparedCases) -> Int[Array, " n"]:
    """Classes of the cases of a stream."""
    known = dict(zip((case.case_key for case in prepared.cases), prepared.labels, strict=True))
    return np.array([known[key] for key in stream.frame["case_key"]])


def reference_of_stream(stream: Stream) -> Reference:
    """What `reference_of_run` would make of its run."""
    values = {score: column[~np.isnan(column)] for score, column in stream.values.items()}
    return Reference("run", len(stream), values, stream.model_hash)


def _gists(model: Model, prepared: PreparedCases) -> dict[str, Float[Array, "n g"]]:
    assert model.drift is not None
    out = {}
    for column, name in enumerate(prepared.names):
        rows, gist = np.flatnonzero(prepared.present[:, column]), model.drift.gists[name]
        out[name] = np.full((len(prepared), len(gist.axes) + 2), np.nan)
        out[name][rows] = gist(prepared.plain[name][rows])
    return out


def _set_n(thresholds: Thresholds, patterns: Array) -> Float[Array, " n"]:
    known = {pattern: float(thresholds.of(tuple(pattern.split("+"))).n) for pattern in np.unique(patterns)}
    return np.array([known[pattern] for pattern in patterns])
