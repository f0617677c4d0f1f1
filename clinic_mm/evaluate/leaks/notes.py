"""Notes that are copies of each other under two patients, judged by how unlikely it is to write the same by chance.

In:  notes of all patients (document by document), cut to what was known by the decisions. Out: leaks.

Candidates share a bucket of a MinHash (Broder 1997, doi:10.1109/SEQUEN.1997.666900) of runs of four words. How much a
shared text proves is measured in bits: how surprising its words are to a model of three-word runs (Witten & Bell 1991,
doi:10.1109/18.87000) fitted on the *other* notes. A sentence of a template is no surprise, however long; one that
nobody else wrote is. A pair is an error where the bits exceed those of choosing the pair (log2 of all pairs) by 20, one
chance in a million; else it is a finding. Numbers are not compared: a copy may have another date.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import log2
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Int
from numpy import ndarray as Array

from clinic_mm.evaluate.leaks.findings import Found, Leak, Looked, Pair

RUN: Final = 4
"""Words in a shingle."""
FEWEST_WORDS: Final = 8
BANDS: Final = 20
ROWS: Final = 4
"""A pair that shares the share s of its runs is a candidate with 1 - (1 - s^ROWS)^BANDS: 0.9997 at s = 0.75."""
ALIKE: Final = 0.7
SURE_BITS: Final = 20.0
TEMPLATE_FROM: Final = 5
"""Patients with word for word the same text from which on it is a template, not a copy."""
FULL: Final = 40
"""Texts in a bucket from which on each is compared with those next to it only."""
WORD: Final = re.compile(r"[^\W\d_]+|\d+")
MEND: Final = "Find out whose note it is; give both keys the same patient, or leave one out, and ingest again"
PRIME: Final = np.uint64((1 << 61) - 1)


def words_of(text: str) -> tuple[str, ...]:
    """Lower-case words; every number is `0`."""
    return tuple("0" if word[0].isdigit() else word for word in WORD.findall(text.lower()))


@dataclass(frozen=True, slots=True)
class Texts:
    """Different texts, and which patients have each."""

    words: tuple[tuple[str, ...], ...]
    patients: tuple[frozenset[str], ...]


def copied_notes(notes: pd.DataFrame) -> Found:
    """Copies under two patients.

    Args:
        notes: `patient_key`, `text`, one row per document.
    """
    texts = _texts(notes)
    pairs = [*_same(texts), *_alike(texts)]
    model = Surprise(texts.words)
    n_patients = max(notes["patient_key"].nunique(), 2)
    need = log2(n_patients * (n_patients - 1) / 2) + SURE_BITS
    errors, findings, least = set[str](), set[str](), np.inf
    n_errors, sure = 0, set[Pair]()
    for first, second in pairs:
        who = texts.patients[first] | texts.patients[second]
        bits = model.bits(first, second)
        if bits >= need and len(who) < TEMPLATE_FROM:
            n_errors, least = n_errors + 1, min(least, bits)
            errors |= who
            sure |= set(combinations(sorted(who), 2))
        else:
            findings |= who
    leaks = []
    how = f"runs of {RUN} words, {ALIKE:.0%} shared; a copy from {need:.0f} bits on"
    if n_errors:
        told = (
            f"{n_errors} note{'s' * (n_errors > 1)} of {len(errors)} patients: written twice, word for word or nearly"
        )
        surely = f"{told} (at least {least:.0f} bits, {need:.0f} would do)"
        leaks.append(
            Leak(code="duplicate.same_note", severity="error", modality="note", what=surely, mend=MEND, n=n_errors)
        )
    if findings:
        told = f"{len(findings)} patients share the text of a note with another: a template, or too short to prove more"
        leaks.append(
            Leak(code="duplicate.alike", severity="finding", modality="note", what=told, mend=MEND, n=len(findings))
        )
    looked = Looked(check="copies of note", of=len(notes), found=n_errors, how=how)
    return Found(tuple(leaks), (looked,), {"note": frozenset(sure)})


def _texts(notes: pd.DataFrame) -> Texts:
    owners: dict[tuple[str, ...], set[str]] = {}
    for patient, text in zip(notes["patient_key"], notes["text"], strict=True):
        words = words_of(str(text))
        if len(words) >= FEWEST_WORDS:
            owners.setdefault(words, set()).add(str(patient))
    return Texts(tuple(owners), tuple(frozenset(mine) for mine in owners.values()))


def _same(texts: Texts) -> Iterator[tuple[int, int]]:
    """Texts that several patients have word for word."""
    yield from ((at, at) for at, who in enumerate(texts.patients) if len(who) > 1)


def _alike(texts: Texts) -> list[tuple[int, int]]:
    """Different texts of different patients that share most of their runs."""
    shingles = [_shingles(words) for words in texts.words]
    if len(shingles) < 2:
        return []
    signature = np.stack([_signature(own) for own in shingles])
    found = set()
    for band in range(BANDS):
        own = np.ascontiguousarray(signature[:, band * ROWS : (band + 1) * ROWS])
        found |= set(_neighbours(own))
    return sorted(
        (a, b)
        for a, b in found
        if not (texts.patients[a] == texts.patients[b] and len(texts.patients[a]) == 1)
        and _shared(shingles[a], shingles[b]) >= ALIKE
    )


def _neighbours(rows: Int[Array, "n r"]) -> Iterator[tuple[int, int]]:
    """Pairs with equal rows; of many equal ones, those next to each other."""
    order = np.lexsort(rows.T)
    same = (rows[order][1:] == rows[order][:-1]).all(axis=1)
    starts = np.flatnonzero(np.r_[True, ~same])
    for start, stop in zip(starts, [*starts[1:], len(order)], strict=True):
        group = np.sort(order[start:stop]).tolist()
        reach = len(group) if len(group) <= FULL else 2
        yield from ((a, b) for i, a in enumerate(group) for b in group[i + 1 : i + reach])


def _shingles(words: Sequence[str]) -> Int[Array, " k"]:
    runs = pd.Series([" ".join(words[at : at + RUN]) for at in range(max(len(words) - RUN + 1, 1))])
    return np.unique(pd.util.hash_pandas_object(runs, index=False).to_numpy()) % PRIME


def _signature(shingles: Int[Array, " k"]) -> Int[Array, " s"]:
    """The least of each of many random orders of the runs."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(1, 1 << 31, (2, BANDS * ROWS, 1)).astype(np.uint64)
    least: Array = ((a * (shingles % np.uint64(1 << 32)) + b) % PRIME).min(axis=1)
    return least


def _shared(a: Int[Array, " k"], b: Int[Array, " m"]) -> float:
    both = len(np.intersect1d(a, b, assume_unique=True))
    return both / (len(a) + len(b) - both)


class Surprise:
    """How surprising a text is to whoever has read all the others: runs of three words, Witten-Bell smoothed."""

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        self.texts = texts
        self.runs: Counter[tuple[str, ...]] = Counter()
        for words in texts:
            self.runs.update(_runs(words))
        self.after: Counter[tuple[str, ...]] = Counter(run[:-1] for run in self.runs)
        self.before: Counter[tuple[str, ...]] = Counter()
        for run, n in self.runs.items():
            self.before[run[:-1]] += n
        self.vocabulary = max(self.after[()], 1)

    def bits(self, first: int, second: int) -> float:
        """Bits of what two texts share, to a model that has read neither."""
        own: Counter[tuple[str, ...]] = Counter()
        for words in {self.texts[first], self.texts[second]}:
            own.update(_runs(words))
        gone: Counter[tuple[str, ...]] = Counter()
        for run, n in own.items():
            gone[run[:-1]] += n
        common = set(_trigrams(self.texts[second]))
        shared = [run for run in _trigrams(self.texts[first]) if run in common]
        return -sum(log2(self._probability(run, own, gone)) for run in shared)

    def _probability(
        self, run: tuple[str, ...], own: Counter[tuple[str, ...]], gone: Counter[tuple[str, ...]]
    ) -> float:
        """P(last word | the words before), read without the counts of the two texts."""
        if not run:
            return 1.0 / (self.vocabulary + 1)
        seen = self.before[run[:-1]] - gone[run[:-1]]
        kinds = min(self.after[run[:-1]], max(seen, 0)) if seen > 0 else 0
        shorter = self._probability(run[1:], own, gone)
        if seen <= 0:
            return shorter
        return (self.runs[run] - own[run] + kinds * shorter) / (seen + kinds)


def _trigrams(words: Sequence[str]) -> list[tuple[str, ...]]:
    padded = ("", "", *words)
    return [tuple(padded[at : at + 3]) for at in range(len(words))]


def _runs(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Every run of three, two and one words that ends at a word."""
    for run in _trigrams(words):
        yield run
        yield run[1:]
        yield run[2:]
