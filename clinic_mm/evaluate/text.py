"""Score drafts against the notes that people wrote: by words, by order, and by what they say of findings.

In:  drafts and notes, one of each per case, and the patient of each. Out: figures with intervals by patient, paired
differences from a baseline, and from the drafts of other patients: what a draft owes to the evidence of its own case. A
method may beat a baseline by writing more; it beats the drafts of others only by what it has seen.

Every metric is put together from a few numbers per case, so that a resample of patients costs a sum. None of them says
that a draft is true: two notes of one patient differ too.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int
from numpy import ndarray as Array

from clinic_mm.drafting.findings import mentions
from clinic_mm.drafting.words import words
from clinic_mm.evaluate.bootstrap import DRAWS, draw_counts, percentile

BLEU_N: Final = 4
OTHERS: Final = 5
"""Other patients whose drafts each note is held against."""


@dataclass(frozen=True, slots=True)
class TextMetric:
    """One metric.

    Attributes:
        name: As in tables.
        label: As on a page.
        parts: (draft, note) → numbers of one case, [s]; NaN nowhere.
        whole: Sums over cases [R, s] → metric [R].
    """

    name: str
    label: str
    parts: Callable[[str, str], Float64[Array, " s"]]
    whole: Callable[[Float64[Array, "R s"]], Float64[Array, " R"]]

    def __call__(self, drafts: Sequence[str], notes: Sequence[str]) -> float:
        """The metric of some cases."""
        return float(self.whole(self.sums(drafts, notes).sum(axis=0, keepdims=True))[0])

    def sums(self, drafts: Sequence[str], notes: Sequence[str]) -> Float64[Array, "n s"]:
        """Numbers of each case."""
        return np.array([self.parts(draft, note) for draft, note in zip(drafts, notes, strict=True)], np.float64)


def overlap(some: Sequence[Hashable], others: Sequence[Hashable]) -> int:
    """How many items two bags share."""
    return sum((Counter(some) & Counter(others)).values())


def longest_common(some: Sequence[str], others: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    row = np.zeros(len(others) + 1, np.int64)
    for word in some:
        same = np.array([other == word for other in others], np.int64)
        taken = np.maximum(row[1:], row[:-1] + same)
        row[1:] = np.maximum.accumulate(taken)
    return int(row[-1])


def _bleu_parts(draft: str, note: str) -> Float64[Array, " s"]:
    said, meant = words(draft), words(note)
    grams = [(_grams(said, n), _grams(meant, n)) for n in range(1, BLEU_N + 1)]
    hits, sizes = [overlap(a, b) for a, b in grams], [len(a) for a, _ in grams]
    return np.array([*hits, *sizes, len(said), len(meant)], np.float64)


def _grams(said: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(said[at : at + n]) for at in range(len(said) - n + 1)]


def _bleu(sums: Float64[Array, "R s"]) -> Float64[Array, " R"]:
    hits, sizes, said, meant = sums[:, :BLEU_N], sums[:, BLEU_N : 2 * BLEU_N], sums[:, -2], sums[:, -1]
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.log(hits / sizes).mean(axis=1)
        brevity = np.minimum(0.0, 1.0 - meant / said)
    score: Float64[Array, " R"] = np.exp(np.where(np.isnan(precision + brevity), -np.inf, precision + brevity))
    return score


def f1(hits: int, said: int, meant: int) -> float:
    """Harmonic mean of precision and recall; 1 where both sides are empty."""
    return 2 * hits / (said + meant) if said + meant else 1.0


def _rouge_parts(draft: str, note: str) -> Float64[Array, " s"]:
    said, meant = words(draft), words(note)
    return np.array([f1(longest_common(said, meant), len(said), len(meant)), 1.0])


def _token_parts(draft: str, note: str) -> Float64[Array, " s"]:
    said, meant = words(draft), words(note)
    return np.array([f1(overlap(said, meant), len(said), len(meant)), 1.0])


def _finding_parts(draft: str, note: str) -> Float64[Array, " s"]:
    said, meant = ({(one.finding, one.denied) for one in mentions(text)} for text in (draft, note))
    return np.array([len(said & meant), len(said), len(meant)], np.float64)


def _graded_parts(draft: str, note: str) -> Float64[Array, " s"]:
    said, meant = mentions(draft), mentions(note)
    return np.array([len(said & meant), len(said), len(meant)], np.float64)


def _mean(sums: Float64[Array, "R s"]) -> Float64[Array, " R"]:
    return _ratio(sums[:, 0], sums[:, 1])


def _micro_f1(sums: Float64[Array, "R s"]) -> Float64[Array, " R"]:
    return _ratio(2 * sums[:, 0], sums[:, 1] + sums[:, 2])


def _ratio(top: Float64[Array, " R"], bottom: Float64[Array, " R"]) -> Float64[Array, " R"]:
    quotient: Float64[Array, " R"] = np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)
    return quotient


BLEU = TextMetric("bleu4", "BLEU-4", _bleu_parts, _bleu)
"""Papineni et al. 2002, doi 10.3115/1073083.1073135: of all cases together, one reference, no smoothing, 0 to 1."""
ROUGE_L = TextMetric("rouge_l", "ROUGE-L", _rouge_parts, _mean)
"""Lin 2004 (ACL W04-1013): F of the longest common subsequence, beta = 1, mean over cases."""
TOKEN_F1 = TextMetric("token_f1", "Token F1", _token_parts, _mean)
"""Bags of words, mean over cases, as for SQuAD (Rajpurkar et al. 2016, arXiv 1606.05250)."""
FINDING_F1 = TextMetric("finding_f1", "Finding F1", _finding_parts, _micro_f1)
"""Findings with or without denial, all cases together; the table is schemas/findings.toml."""
GRADED_F1 = TextMetric("graded_finding_f1", "Graded finding F1", _graded_parts, _micro_f1)
"""The same, where mild, moderate and severe must agree too."""
TEXT_METRICS: Final = (BLEU, ROUGE_L, TOKEN_F1, FINDING_F1, GRADED_F1)


def text_table(
    drafts: Mapping[str, Sequence[str]],
    notes: Sequence[str],
    patients: Sequence[str],
    *,
    baseline: str,
    n: int = DRAWS,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """Every metric of every method, with its interval, and two paired differences on the same draws.

    Args:
        drafts: Of each method, one per case.
        notes: What people wrote, one per case.
        patients: Whose each case is.
        baseline: The method that others are compared with.
        n: Draws.
        seed: Of the draws.
        level: Of the intervals.

    Returns:
        One row per metric and method: `estimate`, `low`, `high`; `gain` over the baseline; `own`, over the drafts that
        the same method wrote of other patients (0 where there is one patient).
    """
    names, index = np.unique(np.asarray(patients), return_inverse=True)
    others = _others(index, len(names))
    rows = []
    for metric in TEXT_METRICS:
        sums = {method: metric.sums(texts, notes) for method, texts in drafts.items()}
        strange = {
            method: np.mean([metric.sums([texts[j] for j in other], notes) for other in others], axis=0)
            for method, texts in drafts.items()
        }
        every = np.ones((1, len(notes)))
        draws = [*draw_counts(index, len(names), n=n, seed=seed)]
        at = {m: _over(metric, sums[m], [every]) for m in drafts}
        drawn = {m: _over(metric, sums[m], draws) for m in drafts}
        for method in drafts:
            row = {"metric": metric.name, "method": method, "n_patients": len(names), "n_rows": len(notes)}
            against = _over(metric, strange[method], [every]), _over(metric, strange[method], draws)
            row |= _span("estimate", at[method][0], drawn[method], level)
            row |= _span("gain", (at[method] - at[baseline])[0], drawn[method] - drawn[baseline], level)
            row |= _span("own", (at[method] - against[0])[0], drawn[method] - against[1], level)
            rows.append(row)
    return pd.DataFrame(rows)


def _others(index: Int[Array, " n"], patients: int) -> list[list[int]]:
    """For each case a case of another patient, a few times over; the case itself where there is no other patient."""
    first = [int(np.flatnonzero(index == patient)[0]) for patient in range(patients)]
    step = max(1, patients // (OTHERS + 1))
    shifts = range(step, min(patients, OTHERS * step + 1), step) if patients > 1 else (0,)
    return [[first[(patient + shift) % patients] for patient in index.tolist()] for shift in shifts]


def _over(metric: TextMetric, sums: Float64[Array, "n s"], draws: Sequence[Float64[Array, "r n"]]) -> Array:
    return np.concatenate([metric.whole(counts @ sums) for counts in draws])


def _span(name: str, at: float, draws: Float64[Array, " r"], level: float) -> dict[str, float]:
    low, high = percentile(draws, level)
    ends = ("low", "high") if name == "estimate" else (f"{name}_low", f"{name}_high")
    return {name: float(at), ends[0]: low, ends[1]: high}
