"""Calibrate a model to another site from few labelled cases: a shift of the prior, a temperature, new thresholds.

In:  a model, prepared labelled cases of patients that no part of it has seen. Out: the model with another calibration
and other thresholds, and what cross-validation on the site's cases says of it. Experts and their joining stay.

The calibration goes on top of the model's own, centred on what the model says of no evidence, and is shrunk toward
"nothing changes" (`SITE`), so that fifty cases of a site that is like the training site move hardly anything. A pattern
gets values of its own only where the site has 20 patients with it. Thresholds come from answers of parts of the site
that did not hold the case. Everything is judged by repeated cross-validation by patient, never on the cases fitted on.

Source: Alexandari, Kundaje & Shrikumar, arXiv 1901.06852 (temperature with a shift per class, then the prior of the
site, here from its labels); updating by recalibration before refitting: Steyerberg et al. 2004, doi:10.1002/sim.1844.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array
from pydantic import JsonValue

from clinic_mm.cohort.split import folds
from clinic_mm.errors import TaskError
from clinic_mm.evaluate.bootstrap import Interval, interval, paired_interval_repeats
from clinic_mm.evaluate.metrics import METRICS
from clinic_mm.fusion.heard import Heard
from clinic_mm.fusion.pool import FLOOR, softmax
from clinic_mm.predict.bank import Bank, answered_again
from clinic_mm.predict.calibrate import Temperatures
from clinic_mm.predict.model import Model, subset_logits
from clinic_mm.predict.seen import patient_hash
from clinic_mm.predict.shifted import unweighted
from clinic_mm.prep.batch import PreparedCases
from clinic_mm.training.pool import SubsetRows, subset_rows
from clinic_mm.training.temperatures import Room, fit_temperatures
from clinic_mm.training.thresholds import Rows, fit_thresholds

FEWEST_CASES: Final = 50
FEWEST_OF_A_CLASS: Final = 2
FOLDS: Final = 5
REPEATS: Final = 5
DRAWS: Final = 1000
SITE: Final = Room(base=0.15, size=0.0, own=0.05, shift=0.25, own_shift=0.05, of_prior=True)
"""What a site may move: chosen on simulated sites of other seeds than those reported (docs/trust.md)."""
JUDGED: Final = ("nll", "excess_ece")


@dataclass(frozen=True, slots=True)
class Site:
    """The site's cases as second-level rows.

    Attributes:
        logits: The model's calibrated logits of each row.
        rows: Every subset of what each case has.
        labels: Classes of the cases.
        patients: Patients of the cases.
        had: What each case has.
        names: Modalities, in the order of the columns.
        centre: Log of what the model answers without evidence.
    """

    logits: Float[Array, "r C"]
    rows: SubsetRows
    labels: Int[Array, " n"]
    patients: Array
    had: Array
    names: tuple[str, ...]
    centre: Float[Array, " C"]

    def fit(self, keep: Array | None = None, room: Room = SITE) -> Temperatures:
        """The calibration of the rows to keep; each case speaks once, with all that it has."""
        used = self.rows.native if keep is None else self.rows.native & keep
        rows, logits = self.rows.only(used), self.logits[used]
        return fit_temperatures(logits, rows, self.labels, self.patients, self.had, self.names, self.centre, room)

    def crossfit(self, fold: Int[Array, " n"], room: Room = SITE) -> Float[Array, "r C"]:
        """Probabilities of each row by the calibration of the folds that did not hold its case."""
        after, whose = np.zeros_like(self.logits), fold[self.rows.case]
        for k in np.unique(whose):
            held = whose == k
            fitted = self.fit(~held, room)
            after[held] = fitted.probabilities(
                self.logits[held], self.rows.present[held], self.had[self.rows.case[held]]
            )
        return after


def recalibrate(model: Model, prepared: PreparedCases, heard: Heard, parent: str, seed: int = 0) -> Model:
    """The model calibrated to a site.

    Args:
        model: As it was trained, or calibrated before.
        prepared: Labelled cases of the site, of patients that the model has not seen.
        heard: What its experts say of them.
        parent: Hash of the model.
        seed: Of the splits.

    Returns:
        The model with `facts["calibrated"]`: where it comes from, n, figures before and after, whether it pays. Where
        cross-validation says that the site's calibration is no better, the old one is kept and only thresholds change.

    Raises:
        TaskError: If there are too few cases, or too few patients of a class to see both sides of a split.
    """
    site = site_of(model, prepared, heard)
    check_site(model, site)
    found, model = calibrated(site, seed), unweighted(model)
    seen: list[JsonValue] = [*sorted({*_seen(model), *(patient_hash(str(p)) for p in prepared.patients)})]
    facts: dict[str, JsonValue] = {
        **model.facts,
        "patients_sha256": seen,
        "calibrated": _told(model, site, found, parent),
    }
    thresholds = fit_thresholds(
        found.rows(site), model.thresholds.level, class_conditional=model.thresholds.class_conditional
    )
    if not found.pays:
        return replace(model, thresholds=thresholds, facts=facts)
    bank = None if model.bank is None else _bank(model.bank, found.temperatures)
    temperatures = found.temperatures.after(model.temperatures)
    return replace(model, temperatures=temperatures, thresholds=thresholds, facts=facts, bank=bank)


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What a site's cases say.

    Attributes:
        temperatures: Fitted on all of them, on top of the model's.
        after: Out-of-fold probabilities of all rows, one for each split.
        split: The fold of each case in the first split.
        pays: Whether the cross-validated NLL is less than the model's own.
    """

    temperatures: Temperatures
    after: Float[Array, "R r C"]
    split: Int[Array, " n"]
    pays: bool

    def rows(self, site: Site) -> Rows:
        """As thresholds are fitted on them: out of fold, by the calibration that is used."""
        case, probabilities = site.rows.case, self.after[0] if self.pays else softmax(site.logits)
        return Rows(
            site.names,
            probabilities,
            site.labels[case],
            site.patients[case],
            site.rows.present,
            site.rows.native,
            self.split[case],
        )


def calibrated(site: Site, seed: int = 0) -> Calibrated:
    """The calibration of a site, cross-validated by patient."""
    splits = [_folds(site, seed + repeat) for repeat in range(REPEATS)]
    after = np.stack([site.crossfit(fold) for fold in splits])
    native = site.rows.native
    labels = site.labels[site.rows.case[native]]
    gain = np.mean([METRICS["nll"](one[native], labels) for one in after]) - METRICS["nll"](
        softmax(site.logits[native]), labels
    )
    return Calibrated(site.fit(), after, splits[0], bool(gain < 0))


def site_of(model: Model, prepared: PreparedCases, heard: Heard) -> Site:
    """Second-level rows of the cases that have something, with the model's calibrated logits."""
    some = np.flatnonzero(prepared.present.any(axis=1))
    rows = subset_rows(prepared.present[some])
    case = some[rows.case]
    logits = subset_logits(model, heard, case, rows.present)
    logits = model.temperatures.logits(logits, rows.present, prepared.present[case])
    centre = np.log(model.prior)
    had, labels, patients = prepared.present[some], prepared.labels[some], prepared.patients[some]
    return Site(logits, rows, labels, patients, had, model.names, centre)


def _bank(bank: Bank, fitted: Temperatures) -> Bank:
    """The training cases that advice is drawn from, answered as at the site."""
    answers = bank.answers.copy()
    for code in range(answers.shape[1]):
        there = np.flatnonzero(np.isfinite(answers[:, code]).all(axis=1))
        subset = np.tile((code >> np.arange(len(bank.names))) & 1 == 1, (len(there), 1))
        logits = np.log(np.maximum(answers[there, code].astype(np.float64), FLOOR))
        answers[there, code] = fitted.probabilities(logits, subset, bank.present[there])
    return answered_again(bank, answers)


def check_site(model: Model, site: Site) -> None:
    """Refuse what no calibration can be learnt from."""
    n = len(site.labels)
    if n < FEWEST_CASES:
        mend = f"Label at least {FEWEST_CASES} cases of this site that have usable evidence"
        raise TaskError(f"{n} labelled cases are too few to calibrate on", "calibrate", mend)
    for number, name in enumerate(model.task.classes):
        patients = len(np.unique(site.patients[site.labels == number]))
        if patients < FEWEST_OF_A_CLASS:
            what = f"{patients or 'No'} {'patient' if patients == 1 else 'patients'} of class {name!r}"
            mend = f"Label cases of every class, at least {FEWEST_OF_A_CLASS} patients each"
            raise TaskError(f"{what}: a calibration cannot be learnt from the others alone", "calibrate", mend)


def _folds(site: Site, seed: int) -> Int[Array, " n"]:
    rarest = min(len(np.unique(site.patients[site.labels == c])) for c in np.unique(site.labels))
    return folds(site.patients.tolist(), site.labels.tolist(), min(FOLDS, rarest), seed)


def _judged(site: Site, after: Float[Array, "R r C"]) -> dict[str, tuple[Interval, Interval, Interval]]:
    """Before, after, and the difference of each figure, on native rows, by patient."""
    native = site.rows.native
    before = softmax(site.logits[native])[None]
    labels, patients = site.labels[site.rows.case[native]], site.patients[site.rows.case[native]]
    return {
        name: (
            interval(METRICS[name], before, labels, patients, n=DRAWS),
            interval(METRICS[name], after[:, native], labels, patients, n=DRAWS),
            paired_interval_repeats(METRICS[name], after[:, native], before, labels, patients, n=DRAWS),
        )
        for name in JUDGED
    }


def _told(model: Model, site: Site, found: Calibrated, parent: str) -> JsonValue:
    judged = _judged(site, found.after)
    classes = {name: int((site.labels == c).sum()) for c, name in enumerate(model.task.classes)}
    figures: dict[str, JsonValue] = {
        name: {
            "before": round(before.estimate, 5),
            "after": round(after.estimate, 5),
            "difference": round(difference.estimate, 5),
            "low": round(difference.low, 5),
            "high": round(difference.high, 5),
        }
        for name, (before, after, difference) in judged.items()
    }
    shift = found.temperatures.shift
    assert shift is not None
    return {
        "parent": parent,
        "n_cases": len(site.labels),
        "n_patients": len(np.unique(site.patients)),
        "classes": dict(classes),
        "temperature": round(float(np.exp(found.temperatures.base)), 4),
        "shift": {name: round(float(b), 4) for name, b in zip(model.task.classes, shift, strict=True)},
        "figures": figures,
        "kept": found.pays,
        "words": in_words(judged["nll"][2], found.pays),
    }


def in_words(difference: Interval, kept: bool) -> str:
    """Whether calibrating to the site pays, in one sentence."""
    ends = f"{difference.low:+.3f} to {difference.high:+.3f}, {difference.n_patients} patients"
    span = f"NLL {difference.estimate:+.3f} ({ends})"
    if not kept:
        return f"Recalibration does not pay here: {span}. The old calibration is kept; thresholds are the site's."
    if difference.high < 0:
        return f"Recalibration pays: {span}."
    return f"Recalibration is used, but not shown to pay: {span}."


def _seen(model: Model) -> list[str]:
    seen = model.facts["patients_sha256"]
    assert isinstance(seen, list)
    return [str(one) for one in seen]
