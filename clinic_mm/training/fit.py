"""Fit a model: cross-fitted experts, a way of joining, calibration, and one refit chain to deploy (METHODS §2).

In:  prepared training cases with labels, the recipe they were prepared by, the task. Out: predict.model.Model.
What is deployed is fitted on all cases; what is reported of it here comes from chains that did not see the case.
The default way of joining is pool, share and residual; any other is fitted by the same folds (`training.learnt`).
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray as Array
from pydantic import JsonValue

from clinic_mm import __version__
from clinic_mm.encoders.run import Spoken
from clinic_mm.fusion.bottleneck import Bottleneck
from clinic_mm.fusion.joined import Joined
from clinic_mm.fusion.pool import LogPool, unfitted
from clinic_mm.predict.joint import mixed
from clinic_mm.predict.model import Model
from clinic_mm.predict.seen import patient_hash
from clinic_mm.prep.batch import PreparedCases, Recipe
from clinic_mm.prep.gaps import take
from clinic_mm.task import Task
from clinic_mm.training.abstain import fit_silence
from clinic_mm.training.bank import fit_bank
from clinic_mm.training.drift import learn_drift
from clinic_mm.training.joint import best_share
from clinic_mm.training.learnt import Learnt, Say, learn, silent
from clinic_mm.training.methods.base import Method, asked_of
from clinic_mm.training.outside import fit_outside
from clinic_mm.training.residual import PoolLogits, train_residual
from clinic_mm.training.secondlevel import (
    JointRows,
    Table,
    Verdict,
    crossfit_pool,
    crossfit_residual,
    crossfit_temperatures,
)
from clinic_mm.training.shift_cases import out_of_fold_cases
from clinic_mm.training.split import held_out, with_split
from clinic_mm.training.thresholds import fit_thresholds
from clinic_mm.training.verdict import fusion_verdict

FEWEST_FOR_RESIDUAL: Final = 100


def fit_model(prepared: PreparedCases, recipe: Recipe, task: Task, say: Say = silent) -> Model:
    """Fit everything that the task asks for.

    Args:
        prepared: Training cases, each labelled.
        recipe: How they were prepared, fitted preps included.
        task: What is asked.
        say: Told what is being done, for a progress display.

    Raises:
        TaskError: Too few cases, a case without a label, a modality that no or hardly any training case has, a fold
            without a class, an unknown way of joining, co-learning without a network.
    """
    asked = asked_of(task)
    aside = held_out(prepared.patients, prepared.labels, task)
    learnt = learn(take(prepared, np.flatnonzero(~aside)) if aside.any() else prepared, recipe, task, say)
    model = fit_default(learnt, say) if asked is None else fit_method(learnt, asked, say)
    return with_split(model, take(prepared, np.flatnonzero(aside))) if aside.any() else model


def fit_default(learnt: Learnt, say: Say = silent) -> Model:
    """Experts, pool, share of the joint head, gated residual."""
    table, task = learnt.table, learnt.task
    say("pool")
    pooled, verdict = crossfit_pool(table), None
    pool = table.pool_without(None, pooled.freedom)
    beside = learnt.beside(say)
    share, beside_verdict = best_share(table, pooled.logits, beside.logits)
    joint = JointRows(beside.logits, share) if share > 0 else None
    logits = mixed(pooled.logits, beside.logits, share) if joint else pooled.logits

    say("residual and calibration")
    if _residual_possible(learnt):
        spoken = [learnt.spoken(k) for k in range(task.folds)]
        with_residual, verdict = crossfit_residual(table, learnt.prepared, spoken, pooled, task.seed, joint)
        logits = with_residual if verdict.kept else logits
    kept = verdict is not None and verdict.kept
    refit = learnt.refit(networks=kept, say=say)
    residual = _refit_residual(table, learnt.prepared, refit.spoken, table.asked(pool, joint), task) if kept else None
    facts: dict[str, JsonValue] = {
        "residual": None if verdict is None else _told(verdict),
        "pool_freedom": pooled.freedom,
        "joint": {"share": share, "gain_nll": beside_verdict.gain, "standard_error": beside_verdict.standard_error},
    }
    return _finished(learnt, logits, facts, pool=pool, residual=residual, share=share, networks=kept, say=say)


def fit_method(learnt: Learnt, asked: Method, say: Say = silent) -> Model:
    """Any other way of joining: fitted without each fold in turn for calibration and verdict, then on all cases."""
    table, task = learnt.table, learnt.task
    logits = np.zeros((len(table.rows.case), len(table.prior)))
    for k in range(task.folds):
        say(f"{asked.name}: fold {k + 1} of {task.folds}")
        held = table.fold[table.rows.case] == k
        joined = asked.learn(learnt.lesson(k))
        logits[held] = joined.logits(learnt.heard(k), table.rows.case[held], table.rows.present[held])
    say(f"{asked.name}: refit")
    lesson = learnt.lesson(None, say)
    joined = asked.learn(lesson)
    cost = joined.cost()
    facts: dict[str, JsonValue] = {
        "method": asked.name,
        "cost": {"parameters": cost.parameters, "multiply_adds": cost.multiply_adds},
        "log": dict(lesson.log),
    }
    pool = unfitted(table.names, table.prior)
    return _finished(learnt, logits, facts, pool=pool, joined=joined, networks=learnt.reads_networks, say=say)


def _finished(
    learnt: Learnt,
    logits: Float[Array, "r C"],
    facts: dict[str, JsonValue],
    *,
    pool: LogPool,
    residual: Bottleneck | None = None,
    joined: Joined | None = None,
    share: float = 0.0,
    networks: bool,
    say: Say,
) -> Model:
    """Calibration and verdict from the out-of-fold logits of all second-level rows, and the model."""
    table, task, beside = learnt.table, learnt.task, learnt.beside(say)
    temperatures, probabilities = crossfit_temperatures(table, logits)
    thresholds = fit_thresholds(
        table.answered(probabilities), task.level, class_conditional=task.sets.class_conditional
    )
    refit = learnt.refit(networks=networks, say=say)
    outside = learnt.once(f"outside {networks}", lambda: fit_outside(learnt, refit))
    ours = _by_case(table, probabilities)
    verdict = fusion_verdict(learnt.prepared, table.opinions, table.prior, ours, beside.oof)
    every = {**_facts(learnt), **facts, "verdict": verdict}
    drift = learn_drift(learnt.prepared, table, logits)
    weighted = task.sets.shift == "weighted"
    kept = out_of_fold_cases(learnt.prepared, table, probabilities, drift) if weighted else None
    return Model(
        task=task,
        recipe=learnt.recipe,
        experts=refit.experts,
        pool=pool,
        residual=residual,
        temperatures=temperatures,
        thresholds=thresholds,
        concat=beside.head,
        facts=every,
        share=share,
        joined=joined,
        drift=drift,
        outside=outside,
        calibration_cases=kept,
        silence=fit_silence(table, probabilities, pool, task.abstain),
        bank=fit_bank(table, probabilities, task),
    )


def _residual_possible(learnt: Learnt) -> bool:
    networks = all(f.spoken for f in learnt.fitted.values())
    return networks and len(learnt.fitted) > 1 and len(learnt.prepared) >= FEWEST_FOR_RESIDUAL


def _refit_residual(
    table: Table, prepared: PreparedCases, said: Mapping[str, Spoken], asked: PoolLogits, task: Task
) -> Bottleneck:
    """The deployed residual: all cases, tokens of the deployed networks, opinions still out of fold."""
    return train_residual(
        table.names,
        table.heard(prepared, said),
        asked,
        table.labels,
        np.flatnonzero(table.present.any(axis=1)),
        table.prior,
        task.seed + task.folds,
    )


def _by_case(table: Table, probabilities: Float[Array, "r C"]) -> Float[Array, "n C"]:
    """Out-of-fold answers to each case with all that it has; the prior where it has nothing."""
    out = np.tile(table.prior, (len(table.labels), 1))
    out[table.rows.case[table.rows.native]] = probabilities[table.rows.native]
    return out


def _facts(learnt: Learnt) -> dict[str, JsonValue]:
    """What an artifact says of its own making. Patients are kept as hashes of their pseudonyms, to find overlaps."""
    prepared, task = learnt.prepared, learnt.task
    patterns, counts = np.unique(["+".join(p) for p in prepared.patterns()], return_counts=True)
    patients = sorted(set(prepared.patients.tolist()))
    return {
        "clinic_mm": __version__,
        "torch": torch.__version__,
        "threads": task.train.threads,
        "n_cases": len(prepared),
        "n_patients": len(patients),
        "classes": {c: int((prepared.labels == k).sum()) for k, c in enumerate(task.classes)},
        "patterns": {str(p): int(n) for p, n in zip(patterns, counts, strict=True)},
        "experts": {
            n: {"how": f.best, "nll": {str(how): round(v, 5) for how, v in f.nll.items()}}
            for n, f in learnt.fitted.items()
        },
        "patients_sha256": [patient_hash(p) for p in patients],
    }


def _told(verdict: Verdict) -> JsonValue:
    return {"kept": verdict.kept, "gain_nll": verdict.gain, "standard_error": verdict.standard_error}
