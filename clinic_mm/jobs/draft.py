"""Draft findings with a drafter folder: of one case given as paths or by its key, and scored on unseen patients.

In:  a drafter folder; paths, or a cohort folder. Out: Drafts, files that carry the mark, a table of text metrics.

Nothing here feeds a draft back: it is written where the operator says, and no reader takes it as a note.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pandas as pd

from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.drafting.draft import METHODS, Draft, Method
from clinic_mm.drafting.drafter import Drafter, write_drafts
from clinic_mm.drafting.folder import load_drafter
from clinic_mm.drafting.notes import draft_cases, note_texts
from clinic_mm.errors import InputError, UsageError
from clinic_mm.evaluate.text import text_table
from clinic_mm.jobs.one import prepare_paths, unusable
from clinic_mm.predict.seen import unseen
from clinic_mm.prep.batch import PreparedCases, Progress, prepare_cases
from clinic_mm.prep.cache import PrepCache
from clinic_mm.report.atomic import written_whole
from clinic_mm.report.draft import draft_as_fhir, draft_as_text
from clinic_mm.types import SCHEMA_VERSION


def methods_of(asked: Sequence[str] | None) -> tuple[Method, ...]:
    """The methods that were asked for, all where none was.

    Raises:
        UsageError: If one is not known.
    """
    if unknown := sorted(set(asked or ()) - set(METHODS)):
        raise UsageError(f"Unknown method {', '.join(unknown)}", "--method", f"Known: {', '.join(METHODS)}")
    return tuple(method for method in METHODS if not asked or method in asked)


def draft_paths(
    folder: Path,
    paths: Mapping[str, Sequence[Path]],
    *,
    methods: Sequence[Method] = METHODS,
    decision_time: str | None = None,
    site_timezone: str = "UTC",
) -> list[Draft]:
    """Drafts of one case given as files, one by each method. Arguments and errors as `predict_paths`."""
    drafter, drafter_hash = load_drafter(folder)
    prepared = prepare_paths(drafter, paths, decision_time=decision_time, site_timezone=site_timezone)
    return list(write_drafts(drafter, drafter_hash, prepared, methods)[0].values())


def draft_case(folder: Path, cohort_folder: Path, key: str, *, methods: Sequence[Method] = METHODS) -> list[Draft]:
    """Drafts of one case of a cohort, one by each method.

    Raises:
        InputError: If there is no such case, or nothing of it can be used.
    """
    drafter, drafter_hash = load_drafter(folder)
    cohort = open_cohort(cohort_folder)
    cases = [case for case in draft_cases(cohort, drafter.task) if case.case_key == key]
    if not cases:
        raise InputError("The cohort has no such case", "--case", "Take a key from the run's work list or the features")
    prepared = prepare_cases(cases, cohort.roots, drafter.recipe)
    if not prepared.present.any():
        raise unusable(prepared.outcomes[0])
    return list(write_drafts(drafter, drafter_hash, prepared, methods)[0].values())


def write_files(drafts: Sequence[Draft], out: Path) -> None:
    """Each draft as `METHOD.txt` and `METHOD.fhir.json`, both marked."""
    created = datetime.now(UTC).replace(microsecond=0)
    for draft in drafts:
        written_whole(out / f"{draft.method}.txt", draft_as_text(draft).encode())
        resource = orjson.dumps(draft_as_fhir(draft, created=created), option=orjson.OPT_INDENT_2)
        written_whole(out / f"{draft.method}.fhir.json", resource)


def evaluate_drafter(
    folder: Path,
    cohort_folder: Path,
    out: Path,
    *,
    workers: int = 1,
    cache: PrepCache | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Score drafts of unseen patients against their notes, beside the most frequent sentences; no text is kept.

    Returns:
        One row per metric and method, as `evaluate.text.text_table`; also written to `text_metrics.csv`.

    Raises:
        LeakError: If the drafter learnt from everybody.
        InputError: If no unseen case has a note and other evidence.
    """
    drafter, drafter_hash = load_drafter(folder)
    cohort = open_cohort(cohort_folder)
    cases = unseen(draft_cases(cohort, drafter.task), drafter.facts)
    notes = note_texts(cases, cohort.roots, drafter.task.select)
    heard = [(case, note) for case, note in zip(cases, notes, strict=True) if note]
    prepared = prepare_cases(
        [case for case, _ in heard], cohort.roots, drafter.recipe, workers=workers, cache=cache, progress=progress
    )
    table = _scored(drafter, drafter_hash, prepared, [note for _, note in heard])
    told = {
        "schema_version": SCHEMA_VERSION,
        "drafter": drafter_hash,
        "n_cases": int(prepared.present.any(axis=1).sum()),
        "n_patients": len(
            {case.patient_key for case, there in zip(prepared.cases, prepared.present, strict=True) if there.any()}
        ),
        "k": drafter.lexicon.k,
        "neighbours": drafter.neighbours,
        "nats_per_word": drafter.facts["nats_per_word"],
        "foretold": drafter.facts["foretold"],
        "simulated": cohort.info.simulated,
    }
    written_whole(out / "text_metrics.csv", table.to_csv(index=False).encode())
    written_whole(out / "evaluation.json", orjson.dumps(told, option=orjson.OPT_INDENT_2))
    return table


def _scored(drafter: Drafter, drafter_hash: str, prepared: PreparedCases, notes: Sequence[str]) -> pd.DataFrame:
    drafts = write_drafts(drafter, drafter_hash, prepared, METHODS)
    rows = [row for row, some in enumerate(drafts) if some]
    if not rows:
        others = "Evaluate on patients that it did not learn from (draft learn --test-share 0.3 keeps some aside)"
        mend = f"{others}, with notes and one of {', '.join(drafter.names)}"
        raise InputError("No unseen case has a note and other evidence", "cohort", mend)
    texts: dict[str, list[str]] = {method: [drafts[row][method].text for row in rows] for method in METHODS}
    patients = [prepared.cases[row].patient_key for row in rows]
    return text_table(texts, [notes[row] for row in rows], patients, baseline="most_frequent")
