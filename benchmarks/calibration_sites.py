"""What calibrating on few cases of a new site does to further cases of it.

In:  how many seeds. Out: a section of the page.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd
from numpy import ndarray as Array

from benchmarks.calibration_judged import COMMAND
from benchmarks.latent_cohort import Cases, SecondLevel, cohort_of
from clinic_mm.evaluate.metrics import METRICS
from clinic_mm.training.pool import subset_rows
from clinic_mm.training.recalibrate import Site, calibrated

SITE_TEST: Final = 10_000
SITE_CASES: Final = (50, 100, 200, 500)
SITES: Final = {
    "like training": (0.3, 0.0),
    "class as rare as 1 in 10": (0.1, 0.0),
    "class as common as 1 in 2": (0.5, 0.0),
    "noisier evidence": (0.3, 1.0),
    "noisier, 1 in 7": (0.15, 1.0),
}
"""Prevalence and SD of the noise added to every summary."""
HARM: Final = 0.01


def site_of(fitted: SecondLevel, cases: Cases) -> tuple[Site, Array]:
    """A site's cases as rows, and the model's calibrated logits of each case with all that it has."""
    rows = subset_rows(cases.present)
    logits = np.log(fitted.answers(cases.only(rows.case), rows.present))
    patients = np.arange(len(cases.y)).astype(str)
    centre = np.log(fitted.table.prior) + (0.0 if fitted.temperatures.shift is None else fitted.temperatures.shift)
    site = Site(logits, rows, cases.y, patients, cases.present, fitted.table.names, centre)
    return site, logits[rows.native]


def elsewhere(cases: Cases, prevalence: float, noise: float, n: int, seed: int) -> Cases:
    """Cases drawn with another prevalence, every summary with more noise."""
    rng = np.random.default_rng([seed, n])
    now = cases.y.mean()
    weight = np.where(cases.y == 1, prevalence / now, (1 - prevalence) / (1 - now))
    some = cases.only(rng.choice(len(cases.y), n, replace=False, p=weight / weight.sum()))
    return Cases(some.x + noise * rng.standard_normal(some.x.shape), some.present, some.y)


def of_sites(seeds: int) -> str:
    """What calibrating on few cases does to further cases of the same site."""
    frame = pd.DataFrame([row for seed in range(seeds) for row in _sites(seed)])
    lines = []
    for (site, n), part in frame.groupby(["site", "n"], sort=False):
        low, high = part["gain"].quantile([0.05, 0.95])
        lines.append(
            f"| {site} | {n} | {part['before'].mean():.3f} | {part['gain'].mean():+.3f} ({low:+.3f} to {high:+.3f}) "
            f"| {part['ece_before'].mean():.3f} → {part['ece_after'].mean():.3f} | {part['pays'].mean():.0%} "
            f"| {(part['gain'] > HARM).mean():.0%} |"
        )
    text = (
        f"Protocol: models as above (MCAR, {seeds} seeds); a site with another prevalence, or whose evidence is "
        f"noisier; as many of its cases as said, labelled, and {SITE_TEST:,} further ones to score on. Mean, 5 % to "
        f"95 % over seeds. “Used”: how often cross-validation on the labelled cases found it better, so that it was "
        f"used; “harm”: how often NLL on further cases rose by more than {HARM}. " + COMMAND.format("site")
    )
    head = [
        "| site | labelled cases | NLL before | change in NLL | excess ECE | used | harm |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([text, "", *head, *lines])


def _sites(seed: int) -> Iterator[dict[str, float | str]]:
    fitted, pool = cohort_of("MCAR", seed, 4 * SITE_TEST)
    for name, (prevalence, noise) in SITES.items():
        test = elsewhere(pool.only(np.arange(2 * SITE_TEST)), prevalence, noise, SITE_TEST, seed)
        before = np.log(fitted.answers(test))
        for n in SITE_CASES:
            labelled = elsewhere(pool.only(np.arange(2 * SITE_TEST, 4 * SITE_TEST)), prevalence, noise, n, seed)
            site, _ = site_of(fitted, labelled)
            found = calibrated(site, seed)
            after = found.temperatures.probabilities(before, test.present) if found.pays else np.exp(before)
            nll, excess = METRICS["nll"], METRICS["excess_ece"]
            yield {
                "site": name,
                "n": n,
                "pays": float(found.pays),
                "before": nll(np.exp(before), test.y),
                "gain": nll(after, test.y) - nll(np.exp(before), test.y),
                "ece_before": excess(np.exp(before), test.y),
                "ece_after": excess(after, test.y),
            }
