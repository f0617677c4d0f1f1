"""What the options of prediction sets do to coverage: classes apart, patients held out, weights under covariate shift.

In:  how many seeds. Out: a section of the page for each option.
"""

from typing import Final

import numpy as np
import pandas as pd
from numpy import ndarray as Array

from benchmarks.coverage_judged import COMMAND, LEVEL, cells, cohorts, sets_seen
from benchmarks.latent_cohort import TRAIN, Cases, SecondLevel, cohort_of, drawn, second_level
from clinic_mm.predict.shift import CalibrationCases, features_of, fit_shift
from clinic_mm.simulate.latent import World
from clinic_mm.training.thresholds import Rows, fit_thresholds

WIDTHS: Final = (9.0, 2.0, 1.0, 0.5)


def of_classes(seeds: int) -> str:
    """What the level means for the rare class, with one threshold for all and with one per class."""
    rows: list[dict[str, float]] = []
    for fitted, test, seed in cohorts(seeds):
        for conditional in (False, True):
            thresholds = fit_thresholds(fitted.rows, LEVEL, class_conditional=conditional)
            seen = sets_seen(thresholds, fitted.answers(test), test.present, test.y)
            by = seen.groupby("y")["hit"].mean()
            rows.append(
                {"conditional": conditional, "seed": seed, "no": by[0], "yes": by[1], "size": seen["size"].mean()}
            )
    found = pd.DataFrame(rows).groupby("conditional")[["no", "yes", "size"]].agg(["mean", "std"])
    lines = [
        f"| {'one per class' if c else 'one for all'} | {cells(found, c, ('no', 'yes', 'size'))} |"
        for c in (False, True)
    ]
    text = (
        f"{seeds} seeds as above (MCAR), all patterns together; mean ± spread over seeds. Three in ten cases are of "
        f"the rare class. A level kept on the whole is not kept for the rare class; `class_conditional = true` keeps "
        f"it there, for larger sets. " + COMMAND.format("classes")
    )
    return "\n".join(
        [text, "", "| thresholds | coverage, common class | rare class | set size |", "|---|---|---|---|", *lines]
    )


def of_split(seeds: int) -> str:
    """Thresholds from a fifth of the patients, held out of all fitting, against out-of-fold ones."""
    rows: list[dict[str, float | str]] = []
    for seed in range(seeds):
        world, train = World(), drawn(World(), 2 * seed, TRAIN)
        aside = np.random.default_rng(seed).permutation(TRAIN) < TRAIN // 5
        held, fitted = train.only(aside), second_level(world, train.only(~aside), seed)
        split = fit_thresholds(_as_rows(fitted, held), LEVEL, guarantee="split")
        whole, test = cohort_of("MCAR", seed)
        for name, one, thresholds in (
            ("split", fitted, split),
            ("approximate", whole, fit_thresholds(whole.rows, LEVEL)),
        ):
            seen = sets_seen(thresholds, one.answers(test), test.present, test.y)
            full = seen[seen["pattern"].str.count(r"\+") == len(world.modalities) - 1]
            rows.append(
                {"how": name, "all": seen["hit"].mean(), "full": full["hit"].mean(), "size": seen["size"].mean()}
            )
    found = pd.DataFrame(rows).groupby("how")[["all", "full", "size"]].agg(["mean", "std"])
    lines = [f"| {how} | {cells(found, how, ('all', 'full', 'size'))} |" for how in ("approximate", "split")]
    text = (
        f'{seeds} seeds as above (MCAR); mean ± spread over seeds. `guarantee = "split"` holds a fifth of the '
        f"{TRAIN:,} patients out of all fitting; its coverage is guaranteed on average over such draws, and spreads "
        f"more from one to the next. " + COMMAND.format("split")
    )
    head = ["| guarantee | coverage, all cases | cases with all five modalities | set size |", "|---|---|---|---|"]
    return "\n".join([text, "", *head, *lines])


def _as_rows(fitted: SecondLevel, held: Cases) -> Rows:
    n = len(held.y)
    return Rows(
        fitted.table.names, fitted.answers(held), held.y, np.arange(n), held.present, np.ones(n, bool), np.arange(n) % 5
    )


def of_shift(seeds: int) -> str:
    """A new site whose patients look worse: sets as they are, and weighted to it."""
    rows: list[dict[str, float]] = []
    for fitted, test, seed in cohorts(seeds):
        kept = calibration_cases(fitted)
        for width in WIDTHS:
            new = unclear(fitted, test, width, seed)
            p = fitted.answers(new)
            shift = fit_shift(kept, _features(fitted, new), np.arange(len(new.y)), class_conditional=False)
            rules = shift.rules(_features(fitted, new), new.present, LEVEL)
            score = np.array([rule.score[0] for rule in rules])
            weighted = (1 - p[np.arange(len(p)), new.y] <= score) | (p.argmax(axis=1) == new.y)
            plain = sets_seen(fit_thresholds(fitted.rows, LEVEL), p, new.present, new.y)["hit"]
            told = {"n": len(new.y), "sick": new.y.mean(), "plain": plain.mean(), "weighted": weighted.mean()}
            rows.append(
                {"width": width, **told, "auroc": shift.auroc, "effective": shift.effective, "void": bool(shift.void)}
            )
    found = pd.DataFrame(rows).groupby("width", sort=False).agg(["mean", "std"])
    lines = [
        f"| {width:g} | {found.loc[width, ('sick', 'mean')]:.2f} | {cells(found, width, ('plain', 'weighted'))}"
        f" | {found.loc[width, ('auroc', 'mean')]:.2f} | {found.loc[width, ('effective', 'mean')]:.0f} "
        f"| {found.loc[width, ('void', 'mean')]:.0%} |"
        for width in found.index
    ]
    text = (
        f"{seeds} seeds as above (MCAR). A new site that clear cases do not come to: a case comes "
        f"exp(−(log-odds − log-odds of 1 in 5)² / 2 width²) times as often; the evidence means the same. Weights "
        f"are learnt from the new cases without their outcomes. Mean ± spread over seeds. " + COMMAND.format("shift")
    )
    head = [
        "| width | rare class there | sets as they are | weighted | old told from new, AUROC | effective n | warned |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([text, "", *head, *lines])


def unclear(fitted: SecondLevel, cases: Cases, width: float, seed: int, most: int = 2000) -> Cases:
    """Cases drawn the more often the nearer their answer is to one in five: covariate shift, and nothing else."""
    p = fitted.answers(cases)
    away = np.log(p[:, 1] / p[:, 0]) - np.log(0.25)
    chance = np.exp(-0.5 * np.square(away / width))
    rng = np.random.default_rng(1000 + seed)
    return cases.only(rng.choice(len(chance), most, p=chance / chance.sum(), replace=False))


def calibration_cases(fitted: SecondLevel) -> CalibrationCases:
    """As training keeps them, the summaries themselves in the place of their gists."""
    table, rows = fitted.table, fitted.table.rows
    alone = np.full((*table.present.shape, 2), 0.5)
    one = np.flatnonzero(rows.present.sum(axis=1) == 1)
    alone[rows.case[one], rows.present[one].argmax(axis=1)] = fitted.probabilities[one]
    native = rows.native
    score = 1 - fitted.probabilities[native, table.labels[rows.case[native]]]
    whole = np.full((len(table.labels), 2), 0.5)
    whole[rows.case[native]] = fitted.probabilities[native]
    features = features_of(table.present, [np.zeros((len(table.labels), 0))] * len(table.names), alone, whole)
    return CalibrationCases(features, table.present, score, table.labels, np.arange(len(table.labels)))


def _features(fitted: SecondLevel, cases: Cases) -> Array:
    alone = np.full((*cases.present.shape, 2), 0.5)
    for m in range(cases.present.shape[1]):
        here = np.flatnonzero(cases.present[:, m])
        mask = np.tile(np.arange(cases.present.shape[1]) == m, (len(here), 1))
        alone[here, m] = fitted.answers(cases.only(here), mask)
    nothing = [np.zeros((len(cases.y), 0))] * cases.present.shape[1]
    return features_of(cases.present, nothing, alone, fitted.answers(cases))
