"""Metrics per availability pattern and method, and what fusion gains over the best it is made of.

In:  a tidy frame, one row per case and method (and `repeat`, where cross-validation was repeated):
     case_key, patient_key, pattern (names joined by "+"), label, method, p_0 … p_{C-1}, and optionally set_0 … .
Out: frames with intervals by patient bootstrap, for people and for `figures`.

Methods that use one modality are named `single:<modality>`. Nothing here fits or chooses a model.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int
from numpy import ndarray as Array

from clinic_mm.errors import InputError
from clinic_mm.evaluate.bootstrap import DRAWS, interval, paired_interval_repeats
from clinic_mm.evaluate.metrics import METRICS, Metric, auroc, coverage, set_size

ALL: Final = "all"
"""Name of the row over every pattern."""
SINGLE: Final = "single:"
"""Methods named so use the one modality that follows."""
REQUIRED: Final = ("case_key", "patient_key", "pattern", "label", "method", "p_0", "p_1")


@dataclass(frozen=True, slots=True)
class _Answers:
    """What one method said: R repeats over the same n cases, in the order of their keys."""

    cases: Array
    patients: Array
    labels: Int[Array, " n"]
    probs: Float64[Array, "R n C"]
    sets: Bool[Array, "R n C"] | None


def by_pattern(
    frame: pd.DataFrame,
    *,
    limits: Mapping[str, float] | None = None,
    n: int = DRAWS,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """Every metric of METHODS §5 per pattern and method, with intervals.

    Args:
        frame: See the module. A method is scored on the cases that it has rows for.
        limits: Best possible AUROC per pattern, where it is known (`all` for every case).
        n: Bootstrap draws.
        seed: Of the draws.
        level: Of the intervals; coverage is widened by Bonferroni over the patterns.

    Returns:
        One row per pattern (fewest modalities first, `all` last) and method: pattern, method, n_cases, n_patients,
        n_rarest (cases of the rarest class), each metric with _low and _high (`ece` without: see `excess_ece`), limit,
        level; with sets also coverage with _low and _high, and set_size.

    Raises:
        InputError: If columns are lacking, a probability is not finite, or repeats do not cover the same cases.
    """
    _check(frame)
    known = limits or {}
    patterns = frame["pattern"].nunique()
    rows = []
    for pattern, part in _scopes(frame):
        for method, answers in ((m, _stack(part[part["method"] == m])) for m in part["method"].unique()):
            row: dict[str, Any] = {"pattern": pattern, "method": method, **_counts(answers)}
            for metric in METRICS.values():
                found = interval(metric, answers.probs, answers.labels, answers.patients, n=n, seed=seed, level=level)
                row |= {
                    metric.name: found.estimate,
                    f"{metric.name}_low": found.low,
                    f"{metric.name}_high": found.high,
                }
            del (
                row["ece_low"],
                row["ece_high"],
            )  # resampling adds to the bias of ECE: the ends would not hold the figure
            row |= {"limit": known.get(pattern, np.nan), "level": level}
            rows.append(row | _sets(answers, level, 1 if pattern == ALL else patterns))
    return pd.DataFrame(rows)


def fusion_gain(
    frame: pd.DataFrame,
    ours: str = "fusion",
    *,
    against: Sequence[str] = ("late_average",),
    metric: Metric = auroc,
    n: int = DRAWS,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """How much better a fusion is than the best single modality and than simpler ways of joining.

    The best single modality is chosen on the very cases it is scored on, which flatters it: a gain is understated,
    never overstated. In `all`, each case is answered by the best-ranked modality that it has.

    Args:
        frame: See the module.
        ours: Method whose gain is asked.
        against: Further methods to compare with; those without rows are left out.
        metric: What counts.
        n: Bootstrap draws.
        seed: Of the draws.
        level: Of the intervals.

    Returns:
        One row per pattern and comparator: pattern, against ("best single" or a method), chosen (the modalities, best
        first), metric, ours, theirs, gain (positive is better, whatever the metric), low, high, n_cases, n_patients,
        level.

    Raises:
        InputError: As `by_pattern`, or if `ours` has no rows.
    """
    _check(frame)
    if ours not in set(frame["method"]):
        known = ", ".join(map(str, frame["method"].unique()))
        raise InputError(f"No method {ours!r}", "evaluation / method", f"The frame has: {known}")
    rows = []
    for pattern, part in _scopes(frame):
        if (part["method"] == ours).any():
            mine = _stack(part[part["method"] == ours])
            for name, chosen, theirs in _comparators(part, mine, metric, against):
                both = np.isfinite(theirs).all(axis=(0, 2))
                gain = _gain(metric, mine, theirs, both, n=n, seed=seed, level=level)
                rows.append(
                    {
                        "pattern": pattern,
                        "against": name,
                        "chosen": chosen,
                        "metric": metric.name,
                        **gain,
                        "level": level,
                    }
                )
    return pd.DataFrame(rows)


def _check(frame: pd.DataFrame) -> None:
    if lacking := [c for c in REQUIRED if c not in frame.columns]:
        raise InputError(f"The answers lack columns: {', '.join(lacking)}", "evaluation", "See evaluate.table")
    if not np.isfinite(frame[_columns(frame, "p_")].to_numpy(dtype=float)).all():
        raise InputError("A probability is not finite", "evaluation", "Leave out the rows that a method cannot answer")
    if (frame.groupby("case_key")[["label", "patient_key", "pattern"]].nunique() > 1).to_numpy().any():
        what = "A case has two labels, patients or patterns"
        raise InputError(what, "evaluation / case_key", "Give each decision time a case key of its own")


def _columns(frame: pd.DataFrame, prefix: str) -> list[str]:
    """p_0, p_1 … in the order of their numbers."""
    found = [str(c) for c in frame.columns if str(c).startswith(prefix) and str(c)[len(prefix) :].isdigit()]
    return sorted(found, key=lambda c: int(c[len(prefix) :]))


def _scopes(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each pattern with its rows, fewest modalities first; then all rows."""
    for pattern in sorted(map(str, frame["pattern"].unique()), key=lambda p: (bool(p) + p.count("+"), p)):
        yield pattern, frame[frame["pattern"] == pattern]
    yield ALL, frame


def _stack(part: pd.DataFrame) -> _Answers:
    """The rows of one method as arrays."""
    repeat = part["repeat"] if "repeat" in part.columns else pd.Series(0, index=part.index)
    part = part.assign(repeat=repeat).sort_values(["repeat", "case_key"], kind="stable")
    repeats, names = part["repeat"].nunique(), part["case_key"].to_numpy()
    cases = np.unique(names)
    if len(names) != repeats * len(cases) or (names.reshape(repeats, -1) != cases).any():
        what = f"Method {part['method'].iloc[0]!r} does not answer each case once in each repeat"
        raise InputError(
            what, "evaluation / repeat", "Number the repeats in a column `repeat`, one answer per case each"
        )
    first = part.iloc[: len(cases)]
    shape = (repeats, len(cases), -1)
    sets = part[_columns(part, "set_")]
    answered = sets.shape[1] > 0 and not sets.isna().to_numpy().any()
    return _Answers(
        cases=cases,
        patients=first["patient_key"].to_numpy(),
        labels=first["label"].to_numpy(dtype=np.int64),
        probs=part[_columns(part, "p_")].to_numpy(dtype=np.float64).reshape(shape),
        sets=sets.to_numpy(dtype=bool).reshape(shape) if answered else None,
    )


def _counts(answers: _Answers) -> dict[str, int]:
    classes = np.bincount(answers.labels, minlength=answers.probs.shape[2])
    return {
        "n_cases": len(answers.cases),
        "n_patients": len(np.unique(answers.patients)),
        "n_rarest": int(classes.min()),
    }


def _sets(answers: _Answers, level: float, comparisons: int) -> dict[str, float]:
    if answers.sets is None:
        return {}
    repeats, _, classes = answers.sets.shape
    flat, labels = answers.sets.reshape(-1, classes), np.tile(answers.labels, repeats)
    held = coverage(flat, labels, np.tile(answers.patients, repeats), level=level, comparisons=comparisons)
    ends = {"coverage_low": held.low, "coverage_high": held.high}
    return {"coverage": held.estimate, **ends, "set_size": set_size(flat)}


def _comparators(
    part: pd.DataFrame, mine: _Answers, metric: Metric, against: Sequence[str]
) -> Iterator[tuple[str, str, Float64[Array, "R n C"]]]:
    """Name, what it is made of, and its answers to our cases (NaN where it has none)."""
    patterns = part.drop_duplicates("case_key").set_index("case_key")["pattern"]
    has = [set(p.split("+")) for p in patterns.reindex(mine.cases)]
    singles: list[tuple[float, str, Float64[Array, "R n C"]]] = []
    for method in (str(m) for m in part["method"].unique() if str(m).startswith(SINGLE)):
        name = method.removeprefix(SINGLE)
        probs = _aligned(part[part["method"] == method], mine)
        probs[:, [name not in held for held in has]] = np.nan
        answered = np.isfinite(probs).all(axis=(0, 2))
        if answered.any():
            singles.append((_worth(metric, probs[:, answered], mine.labels[answered]), name, probs))
    if singles:
        singles.sort(key=lambda single: (-single[0], single[1]))
        best = singles[0][2].copy()
        for _, _, probs in singles[1:]:
            best = np.where(np.isfinite(best), best, probs)
        yield "best single", " > ".join(name for _, name, _ in singles), best
    for method in against:
        if (part["method"] == method).any():
            yield method, "", _aligned(part[part["method"] == method], mine)


def _aligned(part: pd.DataFrame, mine: _Answers) -> Float64[Array, "R n C"]:
    """Answers of a method in the order of our cases, NaN where it has none."""
    theirs = _stack(part)
    probs = np.full((theirs.probs.shape[0], *mine.probs.shape[1:]), np.nan)
    _, ours, other = np.intersect1d(mine.cases, theirs.cases, return_indices=True)
    probs[:, ours] = theirs.probs[:, other]
    return probs


def _worth(metric: Metric, probs: Float64[Array, "R n C"], labels: Int[Array, " n"]) -> float:
    """The metric averaged over repeats, greater is better; least of all where it is not defined."""
    value = float(np.mean([metric(p, labels) for p in probs]))
    return -np.inf if np.isnan(value) else _sign(metric) * value


def _sign(metric: Metric) -> float:
    return 1.0 if metric.better == "higher" else -1.0


def _gain(
    metric: Metric, mine: _Answers, theirs: Float64[Array, "R n C"], both: Array, *, n: int, seed: int, level: float
) -> dict[str, float]:
    """Our figure, theirs, and the difference with its interval, on the cases that both answer."""
    a, b, labels = mine.probs[:, both], theirs[:, both], mine.labels[both]
    found = paired_interval_repeats(metric, a, b, labels, mine.patients[both], n=n, seed=seed, level=level)
    sign = _sign(metric)
    low, high = sorted((sign * found.low, sign * found.high))
    return {
        "ours": float(np.mean([metric(p, labels) for p in a])),
        "theirs": float(np.mean([metric(p, labels) for p in b])),
        "gain": sign * found.estimate,
        "low": low,
        "high": high,
        "n_cases": found.n_rows,
        "n_patients": found.n_patients,
    }
