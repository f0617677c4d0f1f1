"""What a comparison of methods shows: metrics per pattern, curves and their areas, gains, and who is best elsewhere.

In:  `Compared`: the answers of every method on the test cases of every repeat. Out: frames with paired intervals by
patient. Nothing here fits; nothing is chosen on the cases that it is scored on, but for `best single`, which says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from clinic_mm.evaluate.bootstrap import Interval
from clinic_mm.evaluate.compared_answers import (
    PARAMETERS,
    SUBSET,
    Compared,
    Repeat,
    by_size,
    columns_of,
    disturbed_at,
    dropped,
    masked,
    native,
    subset_rows,
    subsets_of,
)
from clinic_mm.evaluate.metrics import METRICS, auroc, coverage, nll, set_size
from clinic_mm.evaluate.missingness import RATES, counter_intuitive_rate
from clinic_mm.evaluate.repeats import Scored, weighted
from clinic_mm.evaluate.table import ALL, SINGLE

BEST_SINGLE: Final = "best single"
BEST_ELSEWHERE: Final = "best on the other repeats"
FEWEST_RAREST: Final = 5
"""Cases of the rarest class below which a pattern gets no metrics of its own."""


def by_pattern(compared: Compared, methods: Sequence[str] = ()) -> pd.DataFrame:
    """Every metric of METHODS §5 on the cases as they are: per pattern that has enough cases, and for all."""
    rows = []
    for pattern in _patterns(compared):
        for method in methods or compared.methods:
            parts = [native(repeat, method, pattern) for repeat in compared.repeats]
            if _enough(parts, 1 if pattern == ALL else FEWEST_RAREST):
                rows.append(
                    {
                        "pattern": pattern,
                        "method": method,
                        **_metrics(compared, parts),
                        **_sets(compared, method, pattern),
                    }
                )
    return pd.DataFrame(rows)


def by_subset(compared: Compared, limits: Mapping[str, float] | None = None) -> pd.DataFrame:
    """AUROC and NLL of every subset, all cases that have it masked down to it; beside the limit where it is known."""
    rows = []
    for pattern in subsets_of(compared):
        for method in compared.methods:
            parts = [masked(repeat, method, pattern) for repeat in compared.repeats]
            if not _enough(parts, FEWEST_RAREST):
                continue
            found = compared.interval(auroc, weighted(parts))
            rows.append(
                {
                    "pattern": pattern,
                    "method": method,
                    **_named("auroc", found),
                    "nll": float(np.mean([nll(p.probs, p.labels) for p in parts])),
                    "limit": (limits or {}).get(pattern, np.nan),
                    "n_patients": found.n_patients,
                }
            )
    return pd.DataFrame(rows, columns=None if rows else ["pattern", "method", "auroc", "n_patients"])


def curves(compared: Compared, kind: str, methods: Sequence[str] = ()) -> pd.DataFrame:
    """AUROC over missing rates, one row per method and rate, as `evaluate.missingness.curve`."""
    rows = []
    for method in methods or compared.methods:
        for rate in RATES:
            found = compared.interval(auroc, weighted([dropped(r, method, kind, rate) for r in compared.repeats]))
            rows.append(
                {
                    "method": method,
                    "rate": rate,
                    "metric": "auroc",
                    "value": found.estimate,
                    "low": found.low,
                    "high": found.high,
                    "n_cases": found.n_rows,
                    "n_patients": found.n_patients,
                    "level": compared.level,
                }
            )
    return pd.DataFrame(rows)


def area_terms(compared: Compared, method: str, kind: str, factor: float = 1.0) -> list[Scored]:
    """The mean AUROC over the missing rates 0 to 90 % (trapezoids), as terms of a sum."""
    rates = np.array(RATES)
    width = np.zeros(len(rates))
    width[:-1] += np.diff(rates) / 2
    width[1:] += np.diff(rates) / 2
    terms = []
    for rate, share in zip(RATES, width / (rates[-1] - rates[0]), strict=True):
        terms += weighted([dropped(r, method, kind, rate) for r in compared.repeats], factor * share)
    return terms


def areas(compared: Compared, kind: str, ours: str) -> pd.DataFrame:
    """Area under the AUROC-by-missing-rate curve of each method, and ours − theirs with a paired interval."""
    rows = []
    for method in compared.methods:
        found = compared.interval(auroc, area_terms(compared, method, kind))
        gap = compared.interval(auroc, [*area_terms(compared, ours, kind), *area_terms(compared, method, kind, -1.0)])
        rows.append({"dropped": kind, "method": method, **_named("area", found), **_named("ours_minus", gap)})
    return pd.DataFrame(rows)


def disturbed(compared: Compared) -> pd.DataFrame:
    """AUROC with one modality disturbed, and what that costs against the cases as they are, paired."""
    first = compared.repeats[0].answers[compared.methods[0]]
    known = first.loc[~first["kind"].isin((SUBSET, PARAMETERS)), ["kind", "rate"]].drop_duplicates()
    rows = []
    for kind, rate in known.itertuples(index=False):
        for method in compared.methods:
            worse = weighted([disturbed_at(r, method, kind, rate) for r in compared.repeats])
            whole = weighted([native(r, method) for r in compared.repeats], -1.0)
            row = {"disturbed": kind, "level": rate, "method": method}
            row |= _named("auroc", compared.interval(auroc, worse))
            rows.append(row | _named("change", compared.interval(auroc, [*worse, *whole])))
    return pd.DataFrame(rows)


def gains(compared: Compared) -> pd.DataFrame:
    """What each method gains over the best single modality and the late average, on the cases as they are.

    The best single modality is ranked on the very cases that it is scored on, which flatters it.
    """
    comparators = {BEST_SINGLE: [best_single(r, compared) for r in compared.repeats]}
    if "average" in compared.methods:
        comparators["average"] = [native(r, "average") for r in compared.repeats]
    rows = []
    for method in compared.methods:
        mine = [native(repeat, method) for repeat in compared.repeats]
        for against, theirs in comparators.items():
            for metric in (auroc, nll):
                sign = 1.0 if metric.better == "higher" else -1.0
                gap = compared.interval(metric, [*weighted(mine, sign), *weighted(theirs, -sign)])
                rows.append({"method": method, "against": against, "metric": metric.name, **_named("gain", gap)})
    return pd.DataFrame(rows)


def against_default(compared: Compared, ours: str) -> pd.DataFrame:
    """Each method − ours in AUROC, paired; and the method that was best on the other repeats − ours (METHODS §5)."""
    mine = [native(repeat, ours) for repeat in compared.repeats]
    rows = []
    for method in compared.methods:
        gap = compared.interval(
            auroc, [*weighted([native(r, method) for r in compared.repeats]), *weighted(mine, -1.0)]
        )
        rows.append({"method": method, "chosen": method, **_named("minus_ours", gap)})
    if len(compared.repeats) > 1:
        chosen = list(best_elsewhere(compared))
        theirs = [native(repeat, name) for repeat, name in zip(compared.repeats, chosen, strict=True)]
        gap = compared.interval(auroc, [*weighted(theirs), *weighted(mine, -1.0)])
        rows.append({"method": BEST_ELSEWHERE, "chosen": ", ".join(chosen), **_named("minus_ours", gap)})
    return pd.DataFrame(rows)


def best_elsewhere(compared: Compared) -> Iterator[str]:
    """For each repeat the method with the greatest mean AUROC on the other repeats."""
    score = {
        m: np.array([auroc(p.probs, p.labels) for p in (native(r, m) for r in compared.repeats)])
        for m in compared.methods
    }
    for k in range(len(compared.repeats)):
        yield max(score, key=lambda m: float(np.delete(score[m], k).mean()))


def best_single(repeat: Repeat, compared: Compared) -> Scored:
    """Each case answered by the best-ranked modality that it has, ranked over all repeats."""
    singles = [m for m in compared.methods if m.startswith(SINGLE)]
    worth = {m: np.mean([_worth(r, m) for r in compared.repeats]) for m in singles}
    order = sorted(singles, key=lambda m: -worth[m])
    names = [m.removeprefix(SINGLE) for m in order]
    own = native(repeat, order[0])
    patterns = [set(p.split("+")) for p in repeat.cases["own"] if p]
    probs = np.stack([native(repeat, m).probs for m in order])
    first = np.array([next(k for k, name in enumerate(names) if name in has) for has in patterns])
    return Scored(probs[first, np.arange(len(first))], own.labels, own.patients)


def counter_intuitive(compared: Compared) -> pd.DataFrame:
    """How often one more modality lowered the probability of the truth, per method, averaged over the repeats."""
    rows = []
    for method in compared.methods:
        found = [_counter_intuitive(repeat, method, compared) for repeat in compared.repeats]
        mean = [float(np.mean([getattr(i, end) for i in found])) for end in ("estimate", "low", "high")]
        rows.append({"method": method, "cir": mean[0], "cir_low": mean[1], "cir_high": mean[2]})
    return pd.DataFrame(rows)


def _counter_intuitive(repeat: Repeat, method: str, compared: Compared) -> Interval:
    found = subset_rows(repeat, method)
    columns = columns_of(found, "p_")
    several = found["case"].to_numpy()
    by_case: list[dict[str, Sequence[float]]] = [{} for _ in range(len(repeat.cases))]
    for case, pattern, p in zip(several, found["pattern"], found[columns].to_numpy(float), strict=True):
        by_case[case][pattern] = p
    labels, patients = repeat.cases["label"].to_numpy(), repeat.cases["patient_key"].to_numpy()
    return counter_intuitive_rate(by_case, labels, patients, n=compared.draws, level=compared.level)


def _metrics(compared: Compared, parts: Sequence[Scored]) -> dict[str, float]:
    out: dict[str, float] = {"n_patients": len(np.unique(np.concatenate([p.patients for p in parts])))}
    for metric in METRICS.values():
        if metric.name != "ece":
            out |= _named(metric.name, compared.interval(metric, weighted(parts)))
    return out


def _sets(compared: Compared, method: str, pattern: str) -> dict[str, float]:
    """Coverage and size of prediction sets over all repeats; a patient of several repeats counts once."""
    held, labels, patients = [], [], []
    for repeat in compared.repeats:
        found = subset_rows(repeat, method)
        own = repeat.cases["own"].to_numpy()[found["case"]]
        part = found[(found["pattern"].to_numpy() == own) & ((own == pattern) | (pattern == ALL))]
        held.append(part[columns_of(part, "set_")].to_numpy(float))
        cases = repeat.cases.iloc[part["case"]]
        labels.append(cases["label"].to_numpy())
        patients.append(cases["patient_key"].to_numpy())
    sets = np.concatenate(held)
    if not len(sets) or np.isnan(sets).any():
        return {}
    comparisons = 1 if pattern == ALL else len(_patterns(compared)) - 1
    found_in = coverage(
        sets > 0, np.concatenate(labels), np.concatenate(patients), level=compared.level, comparisons=comparisons
    )
    ends = {"coverage": found_in.estimate, "coverage_low": found_in.low, "coverage_high": found_in.high}
    return {**ends, "set_size": set_size(sets > 0)}


def _named(name: str, found: Interval) -> dict[str, float]:
    return {name: found.estimate, f"{name}_low": found.low, f"{name}_high": found.high}


def _worth(repeat: Repeat, method: str) -> float:
    """AUROC of a modality alone where it is there."""
    name = method.removeprefix(SINGLE)
    own = native(repeat, method)
    has = np.array([name in p.split("+") for p in repeat.cases["own"] if p])
    value = auroc(own.probs[has], own.labels[has]) if has.any() else np.nan
    return -np.inf if np.isnan(value) else value


def _patterns(compared: Compared) -> list[str]:
    """Own patterns, fewest modalities first, then all."""
    own = {p for r in compared.repeats for p in r.cases["own"].unique() if p}
    return [*sorted(own, key=by_size), ALL]


def _enough(parts: Sequence[Scored], fewest: int) -> bool:
    """Whether every repeat has enough of each class."""
    classes = np.unique(np.concatenate([p.labels for p in parts]))
    counts = [min((int((p.labels == c).sum()) for c in classes), default=0) for p in parts]
    return len(classes) > 1 and min(counts) >= fewest
