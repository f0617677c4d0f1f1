"""Fit a multimodal deep Boltzmann machine on the cases, and a ridge head on the hidden layers of whatever is present.

In:  a lesson; settings: those of `colearning.boltzmann.learn.Plan`, and `counts` (modalities of counted words; notes of
hashed words where it is not said). Out: JoinedBoltzmann, the same bytes for the same seed and threads.

The machine sees no label, so it learns from cases without one too. The head sees each case with all that it has and
once more with a random subset, so that it has met layers that were inferred for an absent modality.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from typing import Any, cast

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray as Array
from pydantic import JsonValue
from threadpoolctl import threadpool_limits

from clinic_mm.colearning.boltzmann.learn import Plan, as_float64, learn
from clinic_mm.colearning.boltzmann.machine import Given, Machine
from clinic_mm.colearning.boltzmann.space import BoltzmannSpace
from clinic_mm.colearning.boltzmann.views import Standard, View, Words
from clinic_mm.colearning.dropout import drawn_subset
from clinic_mm.fusion.heard import Heard
from clinic_mm.predict.boltzmann import JoinedBoltzmann
from clinic_mm.predict.headed_space import judged_by
from clinic_mm.task import Task
from clinic_mm.training.heads import fit_ridge
from clinic_mm.training.methods.base import Lesson
from clinic_mm.training.methods.late import labelled


def fit(lesson: Lesson, settings: Mapping[str, JsonValue]) -> JoinedBoltzmann:
    """Fit the machine, then the head."""
    rng = np.random.default_rng(lesson.seed)
    plan = Plan(**{f.name: cast(Any, settings[f.name]) for f in fields(Plan) if f.name in settings})
    with threadpool_limits(1, user_api="blas"):
        space = fit_space(lesson.heard, lesson.rows, counted(lesson.task, lesson.heard.names, settings), plan, rng)
        case, present = both_ways(lesson.heard.present, labelled(lesson), rng)
        seen = judged_by(space, lesson.heard, case, present)
        y, patients = lesson.labels[case], lesson.patients[case]
        head = fit_ridge(seen, y, len(lesson.prior), seed=lesson.seed, groups=patients)
    return JoinedBoltzmann(space, head, np.log(lesson.prior))


def fit_space(
    heard: Heard, rows: Int[Array, " k"], counts: Collection[str], plan: Plan, rng: np.random.Generator
) -> BoltzmannSpace:
    """The machine of some cases; looks at no label."""
    views: list[View] = []
    for column, name in enumerate(heard.names):
        plain = heard.plain[name][rows[heard.present[rows, column]]]
        views.append(Words.fit(plain) if name in counts else Standard.fit(plain))
    nothing = BoltzmannSpace(heard.names, tuple(views), Machine((), np.zeros(0)))
    given = nothing.given(heard, rows, heard.present[rows])
    single = Given(tuple(v.astype(np.float32) for v in given.visible), given.here)
    machine = as_float64(learn([view.kind for view in views], single, plan, rng))
    return BoltzmannSpace(heard.names, tuple(views), machine)


def counted(task: Task, names: Sequence[str], settings: Mapping[str, JsonValue]) -> frozenset[str]:
    """The modalities whose summaries are hashed words: notes, but those that a transformer has read."""
    if "counts" in settings:
        return frozenset(cast(Sequence[str], settings["counts"]))
    known = [name for name in names if name in task.modalities]
    return frozenset(n for n in known if task.kind_of(n) == "note" and not task.options(n).text_model)


def both_ways(
    present: Bool[Array, "n M"], rows: Int[Array, " k"], rng: np.random.Generator
) -> tuple[Int[Array, " r"], Bool[Array, "r M"]]:
    """Each case with all that it has, and once more with a random subset of it."""
    native = present[rows]
    return np.concatenate([rows, rows]), np.concatenate([native, drawn_subset(native, rng)])
