"""Score drafts against the notes that people wrote: by words, by order, and by what they say of findings.

In:  drafts and notes, one of each per case, and the patient of each. Out: figures with intervals by patient, and paired
differences from a baseline.

Every metric is put together from a few numbers per case, so that a resample of patients costs a sum. None of them says
that a draft is true: two notes of one patient differ too.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Float64
from numpy import ndarray as Array

from clinic_mm.drafting.findings import mentions
from clinic_mm.drafting.words import words
from clinic_mm.evaluate.bootstrap import DRAWS, Interval, draw_counts, percentile

BLEU_N: Final = 4


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
    """Every metric of every method, with its interval, and its difference from a baseline on the same draws.

    Args:
        drafts: Of each method, one per case.
        notes: What people wrote, one per case.
        patients: Whose each case is.
        baseline: The method that others are compared with.
        n: Draws.
        seed: Of the draws.
        level: Of the intervals.
    """
    names, index = np.unique(np.asarray(patients), return_inverse=True)
    rows = []
    for metric in TEXT_METRICS:
        sums = {method: metric.sums(texts, notes) for method, texts in drafts.items()}
        draws = {method: np.zeros(0) for method in drafts}
        for counts in draw_counts(index, len(names), n=n, seed=seed):
            draws = {m: np.concatenate([draws[m], metric.whole(counts @ sums[m])]) for m in drafts}
        at = {m: float(metric.whole(sums[m].sum(axis=0, keepdims=True))[0]) for m in drafts}
        for method in drafts:
            own = Interval(at[method], *percentile(draws[method], level), len(names), len(notes))
            low, high = percentile(draws[method] - draws[baseline], level)
            gain = {"gain": at[method] - at[baseline], "gain_low": low, "gain_high": high}
            rows.append({"metric": metric.name, "method": method, **asdict(own), **gain})
    return pd.DataFrame(rows)
