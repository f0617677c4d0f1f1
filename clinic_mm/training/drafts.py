"""Learn a drafter from a cohort: its notes are the target, the other modalities of the task are what drafts rest on.

In:  an open cohort, a task. Out: the drafter folder, its hash. Test patients are left out before anything is learnt;
no label is used. Words of fewer than k patients, numbers and names reach neither decoder nor bank (`drafting.words`).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy import ndarray as Array
from pydantic import JsonValue

from clinic_mm import __version__
from clinic_mm.cohort.manifest import Cohort
from clinic_mm.cohort.split import split_patients
from clinic_mm.drafting.bank import Bank
from clinic_mm.drafting.choose import Slots, choose
from clinic_mm.drafting.decoder import MOST_BLANKS
from clinic_mm.drafting.drafter import Drafter
from clinic_mm.drafting.findings import in_sentence
from clinic_mm.drafting.folder import save_drafter
from clinic_mm.drafting.notes import draft_cases, input_task, note_texts
from clinic_mm.drafting.words import GAP, Tokens, fit_lexicon, sentences
from clinic_mm.errors import TaskError
from clinic_mm.predict.sealed import check_free
from clinic_mm.predict.seen import patient_hash
from clinic_mm.prep.batch import PreparedCases, Recipe, fit_preps, plan_recipe, prepare_cases
from clinic_mm.task import Task
from clinic_mm.training.decoder import Lesson, fit_decoder
from clinic_mm.training.near import best_neighbours, finding_scores, fit_near
from clinic_mm.training.train import ALONE, Resources
from clinic_mm.types import CaseRecord

FEWEST_PATIENTS: Final = 50
"""Patients with a note and other evidence below which nothing is learnt: a draft would repeat single people."""
LEAST_K: Final = 3


def learn_drafter(
    cohort: Cohort, task: Task, out: Path, *, k: int = 5, test_share: float = 0.0, use: Resources = ALONE
) -> tuple[Drafter, str]:
    """Learn and save.

    Args:
        cohort: Where the cases are.
        task: Its modalities, but for notes, are what drafts rest on; its target serves to split patients.
        out: Drafter folder, new or an earlier drafter.
        k: Patients whose notes must have a word.
        test_share: Share of the patients left out, by seed and stratified by label, as in `train`.
        use: Workers, cache, progress.

    Returns:
        The drafter and its hash.

    Raises:
        TaskError: If there are too few notes, no modality beside notes, or k is below 3.
        ArtifactError: If the folder holds something else; known before anything is learnt.
    """
    check_free(out)
    if k < LEAST_K:
        raise TaskError(f"Words of {k} patients would be written", "k", f"Take at least {LEAST_K}; 5 is the default")
    asked = input_task(task)
    cases = _training_cases(draft_cases(cohort, task), task, test_share)
    notes = note_texts(cases, cohort.roots, task.select)
    heard = [(case, note) for case, note in zip(cases, notes, strict=True) if note]
    use.say(f"{len(heard)} training cases with a note")
    mine = [case for case, _ in heard]
    recipe = fit_preps(mine, cohort.roots, plan_recipe(asked))
    prepared = prepare_cases(mine, cohort.roots, recipe, workers=use.workers, cache=use.cache, progress=use.progress)
    drafter = fit_drafter(
        prepared, [note for _, note in heard], recipe, asked, k=k, simulated=cohort.info.simulated, use=use
    )
    return drafter, save_drafter(drafter, out)


def _training_cases(cases: Sequence[CaseRecord], task: Task, test_share: float) -> tuple[CaseRecord, ...]:
    if test_share <= 0:
        return tuple(cases)
    patients, labels = [case.patient_key for case in cases], [case.label for case in cases]
    test = split_patients(patients, test_share=test_share, seed=task.seed, labels=labels)
    return tuple(case for case, left_out in zip(cases, test, strict=True) if not left_out)


def fit_drafter(
    prepared: PreparedCases,
    notes: Sequence[str],
    recipe: Recipe,
    task: Task,
    *,
    k: int,
    simulated: bool = False,
    use: Resources = ALONE,
) -> Drafter:
    """Fit everything.

    Args:
        prepared: Training cases, without notes.
        notes: The note of each.
        recipe: How the cases were prepared.
        task: What drafts rest on.
        k: Patients whose notes must have a word.
        simulated: Whether the notes are.
        use: Told what is being done.

    Raises:
        TaskError: If too few patients have a note and other evidence, or a modality no case has.
    """
    rows = np.flatnonzero(prepared.present.any(axis=1))
    _check(prepared, rows)
    patients = prepared.patients[rows]
    mine = [notes[row] for row in rows.tolist()]
    lexicon = fit_lexicon(mine, patients.tolist(), k=k)
    covered = [[one for sentence in sentences(note) if (one := lexicon.covered(sentence))] for note in mine]
    keys = tuple(prepared.cases[row].case_key for row in rows)
    plain = {name: summaries[rows] for name, summaries in prepared.plain.items()}
    near = fit_near(plain, finding_scores(mine, patients, k), patients, task.seed)
    slots = _slots(covered)
    bank = _bank(keys, patients, near.u, covered)
    bank = replace(bank, frequent=tuple(choose(_counts(bank, patients), slots)))
    use.say("retrieval")
    neighbours = best_neighbours(bank)
    use.say("decoder")
    legible = [_findings_first(note) for note in covered]
    decoder, worth = fit_decoder(
        Lesson(near.u, prepared.present[rows], legible, patients, _vocabulary(legible), task.seed, task.train.epochs)
    )
    facts: dict[str, JsonValue] = {
        "clinic_mm": __version__,
        "simulated": simulated,
        "n_cases": len(rows),
        "n_patients": len(set(patients.tolist())),
        "n_sentences": sum(map(len, covered)),
        "n_sentences_without_a_withheld_word": sum(len(said) for said in bank.said),
        "foretold": {name: list[JsonValue](shares) for name, shares in near.foretold.items()},
        "nats_per_word": asdict(worth),
        "evidence_helps": worth.helps,
        "patients_sha256": [patient_hash(patient) for patient in sorted(set(patients.tolist()))],
    }
    return Drafter(task, recipe, near.foretell, lexicon, decoder, slots, neighbours, bank, facts)


def _check(prepared: PreparedCases, rows: Array) -> None:
    patients = len(set(prepared.patients[rows].tolist()))
    if patients < FEWEST_PATIENTS:
        what = f"{patients} patients have a note and other evidence; fewer than {FEWEST_PATIENTS} are not learnt from"
        raise TaskError(what, "cohort", "Add cases: a draft from few notes would repeat single people")
    for name, column in zip(prepared.names, prepared.present.T, strict=True):
        if not column.any():
            raise TaskError(f"No case with a note has {name}", "modalities", "Take it out of the task's modalities")


def _bank(keys: tuple[str, ...], patients: Array, u: dict[str, Array], covered: Sequence[Sequence[Tokens]]) -> Bank:
    """Sentences without a withheld word; a case says each once."""
    whole = [sorted({one for one in note if GAP not in one}) for note in covered]
    every = sorted({one for note in whole for one in note})
    number = {one: place for place, one in enumerate(every)}
    said = tuple(tuple(number[one] for one in note) for note in whole)
    return Bank(keys, tuple(patient_hash(p) for p in patients.tolist()), u, tuple(every), said)


def _slots(covered: Sequence[Sequence[Tokens]]) -> Slots:
    """How many sentences notes have of each kind, in the middle; those with withheld words count too."""
    findings = [sum(bool(in_sentence(one)) for one in note) for note in covered]
    others = [len(note) - named for note, named in zip(covered, findings, strict=True)]
    return Slots(max(1, _median(findings)), _median(others))


def _counts(bank: Bank, patients: Array) -> dict[Tokens, float]:
    """How many patients' notes have each sentence."""
    pairs = {(patient, s) for patient, said in zip(patients.tolist(), bank.said, strict=True) for s in said}
    return {bank.sentences[s]: float(n) for s, n in Counter(s for _, s in pairs).items()}


def _findings_first(note: Sequence[Tokens]) -> list[str]:
    """The words of a note that the decoder learns: sentences that name a finding, then the others, as drafts go."""
    legible = sorted((one for one in note if _legible(one)), key=lambda one: not in_sentence(one))
    return [word for one in legible for word in one]


def _legible(sentence: Tokens) -> bool:
    return sentence.count(GAP) <= MOST_BLANKS * len(sentence)


def _vocabulary(notes: Sequence[Sequence[str]]) -> list[str]:
    return sorted({word for note in notes for word in note} - {GAP})


def _median(counts: Sequence[int]) -> int:
    return round(float(np.median(counts)))
