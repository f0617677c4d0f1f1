"""Fit the default model: cross-fitted experts, pool, residual, calibration, and one refit chain to deploy (METHODS §2).

In:  prepared training cases with labels, the recipe they were prepared by, the task. Out: predict.model.Model.
What is deployed is fitted on all cases; what is reported of it here comes from chains that did not see the case.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray as Array
from pydantic import JsonValue

from clinic_mm import __version__
from clinic_mm.cohort.split import folds
from clinic_mm.encoders.run import Spoken, run_encoder
from clinic_mm.errors import TaskError
from clinic_mm.fusion.bottleneck import Bottleneck
from clinic_mm.predict.experts import Expert, present_plain, spread
from clinic_mm.predict.joint import mixed
from clinic_mm.predict.model import Model
from clinic_mm.predict.seen import patient_hash
from clinic_mm.prep.batch import PreparedCases, Recipe
from clinic_mm.prep.gaps import parameters
from clinic_mm.task import Task
from clinic_mm.training.crossfit import CrossFitted, cross_fit, fit_encoder, fit_how
from clinic_mm.training.joint import best_share, cross_joint
from clinic_mm.training.residual import PoolLogits, train_residual
from clinic_mm.training.secondlevel import (
    JointRows,
    Table,
    Verdict,
    crossfit_pool,
    crossfit_residual,
    crossfit_temperatures,
    fit_thresholds,
    make_table,
)
from clinic_mm.training.verdict import fusion_verdict

FEWEST_CASES: Final = 20
FEWEST_FOR_RESIDUAL: Final = 100
Say = Callable[[str], None]


def fit_model(prepared: PreparedCases, recipe: Recipe, task: Task, say: Say = lambda _: None) -> Model:
    """Fit everything.

    Args:
        prepared: Training cases, each labelled.
        recipe: How they were prepared, fitted preps included.
        task: What is asked.
        say: Told what is being done, for a progress display.

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
    fitted = {name: cross_fit(prepared, recipe, name, fold, task, say) for name in prepared.names}
    opinions = np.stack([spread(f.opinions[f.best], prepared.row[n], prior) for n, f in fitted.items()], axis=1)
    table = make_table(opinions, prepared, prior, fold)

    say("pool")
    pooled, verdict = crossfit_pool(table), None
    pool = table.pool_without(None, pooled.freedom)
    say("everything side by side")
    beside = cross_joint(prepared, recipe, table, task)
    share, beside_verdict = best_share(table, pooled.logits, beside.logits)
    joint = JointRows(beside.logits, share) if share > 0 else None
    logits = mixed(pooled.logits, beside.logits, share) if joint else pooled.logits

    say("residual and calibration")
    if _residual_possible(fitted, prepared):
        spoken = [{name: f.spoken[k] for name, f in fitted.items()} for k in range(task.folds)]
        with_residual, verdict = crossfit_residual(table, prepared, spoken, pooled, task.seed, joint)
        logits = with_residual if verdict.kept else logits
    temperatures, probabilities = crossfit_temperatures(table, logits)
    thresholds = fit_thresholds(table, probabilities, task.level)

    kept = verdict is not None and verdict.kept
    experts, said = _refit(prepared, recipe, fitted, task, kept, say)
    residual = _refit_residual(table, prepared, said, table.asked(pool, joint), task) if kept else None
    facts: dict[str, JsonValue] = {
        **_facts(prepared, task, fitted, verdict),
        "pool_freedom": pooled.freedom,
        "joint": {"share": share, "gain_nll": beside_verdict.gain, "standard_error": beside_verdict.standard_error},
        "verdict": fusion_verdict(prepared, opinions, prior, _by_case(table, probabilities), beside.oof),
    }
    return Model(task, recipe, experts, pool, residual, temperatures, thresholds, beside.head, facts, share)


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


def _residual_possible(fitted: dict[str, CrossFitted], prepared: PreparedCases) -> bool:
    networks = all(f.spoken for f in fitted.values())
    return networks and len(fitted) > 1 and len(prepared) >= FEWEST_FOR_RESIDUAL


def _refit(
    prepared: PreparedCases, recipe: Recipe, fitted: dict[str, CrossFitted], task: Task, residual: bool, say: Say
) -> tuple[tuple[Expert, ...], dict[str, Spoken]]:
    """The deployed experts, fitted on all cases; a network is fitted only where it will be used."""
    experts, said = [], {}
    for name, cross in fitted.items():
        say(f"{name}: refit ({cross.best})")
        present = prepared.present[:, prepared.names.index(name)]
        y, groups = prepared.labels[present], prepared.patients[present]
        encoder = None
        if residual or not cross.best.startswith("plain"):
            encoder = fit_encoder(prepared.x[name], y, name, task, seed=task.seed + task.folds)
        spoken = None if encoder is None else run_encoder(encoder, prepared.x[name])
        codes = parameters(recipe.preps[name])
        head = fit_how(cross.best, present_plain(prepared, name), spoken, y, groups, task, codes)
        experts.append(Expert(name, task.kind_of(name), cross.best, head, encoder))
        if spoken is not None:
            said[name] = spoken
    return tuple(experts), said


def _refit_residual(
    table: Table, prepared: PreparedCases, said: dict[str, Spoken], asked: PoolLogits, task: Task
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


def _facts(
    prepared: PreparedCases, task: Task, fitted: dict[str, CrossFitted], verdict: Verdict | None
) -> dict[str, JsonValue]:
    """What an artifact says of its own making. Patients are kept as hashes of their pseudonyms, to find overlaps."""
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
            n: {"how": f.best, "nll": {str(how): round(v, 5) for how, v in f.nll.items()}} for n, f in fitted.items()
        },
        "residual": None
        if verdict is None
        else {"kept": verdict.kept, "gain_nll": verdict.gain, "standard_error": verdict.standard_error},
        "patients_sha256": [patient_hash(p) for p in patients],
    }
