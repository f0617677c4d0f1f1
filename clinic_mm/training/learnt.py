"""What every way of joining shares on one set of training cases: folds, experts out of fold, refit experts.

In:  prepared training cases, recipe, task. Out: `Learnt`, from which any method is fitted and calibrated. Experts and
encoders are fitted once; `compare` hands the same `Learnt` to every method.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, TypeVar, cast

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray as Array

from clinic_mm.cohort.split import UNLABELLED, folds
from clinic_mm.encoders.base import Encoder
from clinic_mm.encoders.run import Spoken, run_encoder
from clinic_mm.errors import TaskError
from clinic_mm.fusion.heard import Heard, together
from clinic_mm.predict.experts import Expert, present_plain, spread
from clinic_mm.predict.model import heard_of, listen_to
from clinic_mm.prep.batch import PreparedCases, Recipe
from clinic_mm.prep.gaps import parameters
from clinic_mm.task import Task
from clinic_mm.training.crossfit import CrossFitted, cross_fit, encoder_without, fit_encoder, fit_how
from clinic_mm.training.joint import CrossJoint, cross_joint
from clinic_mm.training.methods.base import Lesson
from clinic_mm.training.secondlevel import Table, make_table
from clinic_mm.training.together import in_parts

FEWEST_CASES: Final = 20
Say = Callable[[str], None]
T = TypeVar("T")


def silent(_: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Refit:
    """Experts fitted on all training cases, and what their networks said of those."""

    experts: tuple[Expert, ...]
    spoken: Mapping[str, Spoken]


@dataclass(frozen=True, slots=True)
class Learnt:
    """Cross-fitted experts and what can be made of them, each at most once.

    Attributes:
        prepared: Training cases.
        recipe: How they were prepared.
        task: What is asked; its fusion may be another in a `with_task`.
        fitted: Out-of-fold experts.
        table: Second-level rows with the experts' out-of-fold opinions.
        unlabelled: Further cases, without labels, that representations may learn from; None for none.
    """

    prepared: PreparedCases
    recipe: Recipe
    task: Task
    fitted: Mapping[str, CrossFitted]
    table: Table
    unlabelled: PreparedCases | None = None
    _made: dict[str, object] = field(default_factory=dict)

    @property
    def reads_networks(self) -> bool:
        """Whether the task's way of joining reads what frozen encoders say."""
        return self.task.fusion.learning == "model"

    def asked(self, task: Task) -> "Learnt":
        """The same for a task that differs in its fusion alone; everything made so far is shared."""
        return replace(self, task=task)

    def spoken(self, k: int) -> dict[str, Spoken]:
        """What the networks of fold k's chain said of all cases."""
        return {name: f.spoken[k] for name, f in self.fitted.items() if f.spoken}

    def heard(self, k: int) -> Heard:
        """Out-of-fold opinions, and what fold k's chain said."""
        spoken = self.spoken(k) if self.reads_networks else {}
        return heard_of(self.prepared, self.table.opinions, spoken, live=self.task.fusion.learning == "joint")

    def lesson(self, k: int | None, say: Say = silent) -> Lesson:
        """What a method may learn from without fold k; None: from all cases, with refit networks."""
        table, task = self.table, self.task
        some = table.present.any(axis=1)
        rows = np.flatnonzero(some if k is None else some & (table.fold != k))
        if k is None:
            spoken = self.refit(networks=True, say=say).spoken if self.reads_networks else {}
            heard = heard_of(self.prepared, table.opinions, spoken, live=task.fusion.learning == "joint")
        else:
            heard = self.heard(k)
        seed = task.seed + (task.folds if k is None else k)
        lesson = Lesson(heard, table.labels, table.patients, table.prior, rows, task, seed)
        return lesson if self.unlabelled is None or self.reads_networks else self._with_unlabelled(lesson)

    def _with_unlabelled(self, lesson: Lesson) -> Lesson:
        """The same with cases that no expert was fitted on; their opinions are the refit experts'."""
        more = self.unlabelled
        assert more is not None
        live = self.task.fusion.learning == "joint"
        heard = listen_to(self.refit(networks=False).experts, lesson.prior, more, live=live)
        both = together(lesson.heard, heard)
        labels = np.concatenate([lesson.labels, np.full(len(more), UNLABELLED)])
        patients = np.concatenate([lesson.patients, more.patients])
        some = np.flatnonzero(more.present.any(axis=1)) + len(lesson.labels)
        return replace(lesson, heard=both, labels=labels, patients=patients, unlabelled=some)

    def beside(self, say: Say = silent) -> CrossJoint:
        """The head over everything side by side."""

        def make() -> CrossJoint:
            say("everything side by side")
            return cross_joint(self.prepared, self.recipe, self.table, self.task)

        return self.once("beside", make)

    def once(self, key: str, make: Callable[[], T]) -> T:
        """What `make` gives, made once however many ways of joining ask for it."""
        if key not in self._made:
            self._made[key] = make()
        return cast(T, self._made[key])

    def refit(self, *, networks: bool, say: Say = silent) -> Refit:
        """The deployed experts, fitted on all cases; networks only where an opinion rests on one, or all of them."""
        return self.once(f"refit {networks}", lambda: _refit(self, networks, say))


def learn(
    prepared: PreparedCases,
    recipe: Recipe,
    task: Task,
    say: Say = silent,
    unlabelled: PreparedCases | None = None,
) -> Learnt:
    """Cross-fit the experts on labelled cases.

    Raises:
        TaskError: Too few cases, a case without a label, a modality that no or hardly any training case has, a fold
            without a class.
    """
    _check(prepared, task)
    torch.set_num_threads(task.train.threads)
    labels = prepared.labels
    fold = folds(prepared.patients.tolist(), labels.tolist(), task.folds, task.seed)
    _check_folds(prepared, fold)
    prior = (np.bincount(labels, minlength=len(task.classes)) + 0.5) / (len(labels) + 0.5 * len(task.classes))
    chains = [(name, k) for name in prepared.names for k in range(task.folds)]
    in_parts([partial(encoder_without, k, prepared, name, fold, task) for name, k in chains])
    fitted = {name: cross_fit(prepared, recipe, name, fold, task, say) for name in prepared.names}
    opinions = np.stack([spread(f.opinions[f.best], prepared.row[n], prior) for n, f in fitted.items()], axis=1)
    return Learnt(prepared, recipe, task, fitted, make_table(opinions, prepared, prior, fold), unlabelled)


def _check(prepared: PreparedCases, task: Task) -> None:
    if len(prepared) < FEWEST_CASES:
        mend = f"Train on at least {FEWEST_CASES} labelled cases"
        raise TaskError(f"{len(prepared)} training cases are too few", "cohort", mend)
    if (prepared.labels < 0).any():
        raise TaskError("A training case has no label", task.target, "Leave unlabelled cases out of training")
    for name, column in zip(prepared.names, prepared.present.T, strict=True):
        if not column.any():
            raise TaskError(f"No training case has {name}", "modalities", "Take it out of the task's modalities")


def _check_folds(prepared: PreparedCases, fold: Int[Array, " n"]) -> None:
    for name, column in zip(prepared.names, prepared.present.T, strict=True):
        if len(np.unique(fold[column])) < 2:
            mend = "Take it out of the task's modalities, or add cases"
            raise TaskError(f"Too few training cases have {name}: a fold would learn from none", "modalities", mend)


def _encoder_of_all(prepared: PreparedCases, name: str, task: Task) -> Encoder | None:
    """The network that is deployed."""
    present = prepared.present[:, prepared.names.index(name)]
    y, groups = prepared.labels[present], prepared.patients[present]
    return fit_encoder(prepared.x[name], y, groups, name, task, seed=task.seed + task.folds)


def _refit(learnt: Learnt, networks: bool, say: Say) -> Refit:
    prepared, task = learnt.prepared, learnt.task
    experts, said = [], {}
    with_network = {n for n, f in learnt.fitted.items() if networks or not f.best.startswith("plain")}
    in_parts([partial(_encoder_of_all, prepared, name, task) for name in learnt.fitted if name in with_network])
    for name, cross in learnt.fitted.items():
        say(f"{name}: refit ({cross.best})")
        present = prepared.present[:, prepared.names.index(name)]
        y, groups = prepared.labels[present], prepared.patients[present]
        encoder = _encoder_of_all(prepared, name, task) if name in with_network else None
        spoken = None if encoder is None else run_encoder(encoder, prepared.x[name])
        codes = parameters(learnt.recipe.preps[name])
        head = fit_how(cross.best, present_plain(prepared, name), spoken, y, groups, task, codes)
        experts.append(Expert(name, task.kind_of(name), cross.best, head, encoder))
        if spoken is not None:
            said[name] = spoken
    return Refit(tuple(experts), said)
