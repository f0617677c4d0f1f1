"""A draft, and training cases whose notes follow from their evidence."""

from functools import cache

import numpy as np

from clinic_mm.drafting.draft import Draft, DraftSentence, SupportingCase
from clinic_mm.drafting.drafter import Drafter
from clinic_mm.prep.batch import Outcome, PreparedCases, Recipe
from clinic_mm.task import parse_task
from clinic_mm.training.drafts import fit_drafter
from clinic_mm.types import Absent, CaseRecord

SUMMARIES = {"xray": 6, "labs": 4}
TASK = parse_task(
    {
        "target": "ill",
        "modalities": list(SUMMARIES),
        "modality": {"labs": {"kind": "record"}},
        "train": {"epochs": 30},
    }
)
FINDINGS = ("fever", "cough", "headache")
CASES = 110


def made_draft() -> Draft:
    return Draft(
        case_key="c1",
        method="retrieval",
        text="No fever.",
        sentences=(DraftSentence(text="No fever.", support=("t1",)),),
        rests_on=("xray",),
        support=(SupportingCase(case_key="t1", similarity=0.8),),
        k=5,
        notices=("n",),
        model_hash="0" * 64,
        input_hash="1" * 64,
    )


class _NoPrep:
    """Stands for a prep where summaries are made here."""


def made_cases(n: int = CASES, seed: int = 0) -> tuple[PreparedCases, list[str], np.ndarray]:
    """Cases of one patient each, their notes, and which findings are there; summary k foretells finding k.

    About a third lacks one modality; each tells all findings.
    """
    rng = np.random.default_rng(seed)
    there = rng.random((n, len(FINDINGS))) < 0.5
    present = np.ones((n, 2), bool)
    present[np.arange(n), rng.integers(2, size=n)] = rng.random(n) > 0.3
    plain = {}
    for column, (name, size) in enumerate(SUMMARIES.items()):
        values = rng.standard_normal((n, size)) * 0.4
        values[:, : len(FINDINGS)] += 2.0 * there
        values[~present[:, column]] = np.nan
        plain[name] = values.astype(np.float32)
    cases = tuple(CaseRecord(case_key=f"c{seed}-{i}", patient_key=f"p{seed}-{i}", decision_time=None) for i in range(n))
    outcomes = tuple(
        {
            name: Outcome(None, np.nan, None if row[column] else Absent(modality=name))
            for column, name in enumerate(SUMMARIES)
        }
        for row in present
    )
    nothing = {name: np.zeros((0, 1), np.float32) for name in SUMMARIES}
    row = {name: np.full(n, -1) for name in SUMMARIES}
    prepared = PreparedCases(cases, tuple(SUMMARIES), nothing, row, plain, present, np.full((n, 2), np.nan), outcomes)
    return prepared, [_note(some, rng) for some in there], there


def _note(there: np.ndarray, rng: np.random.Generator) -> str:
    said = [
        f"There is {('marked', 'severe')[int(rng.integers(2))]} {name}." if some else f"Patient denies {name}."
        for name, some in zip(FINDINGS, there, strict=True)
    ]
    return " ".join(said[i] for i in rng.permutation(len(said))) + " Seen in the ward."


@cache
def made_drafter() -> Drafter:
    """A drafter of these cases; fitted once."""
    prepared, notes, _ = made_cases()
    recipe = Recipe({name: _NoPrep() for name in SUMMARIES})  # type: ignore[dict-item]
    return fit_drafter(prepared, notes, recipe, TASK, k=5)
