"""What metadata alone, or one trivial feature, scores: the shortcuts that a model could take.

In:  cases as a task asks for them, prepared where they are, the folders of their files. Out: shortcuts with intervals,
beside what the task's own evidence scores in a plain model on the same folds.

A shortcut is no error: a sick patient is X-rayed in bed. It is reported, since a model that scores no more than the
view has shown nothing. It is flagged where its whole interval, widened over all of them (Bonferroni), lies above 0.55.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from clinic_mm.cohort.load import locate
from clinic_mm.errors import EvidenceError
from clinic_mm.evaluate.leaks.findings import Leak, Looked, Shortcut
from clinic_mm.evaluate.leaks.scored import Asked, Scored, best_alone, score
from clinic_mm.prep.batch import PreparedCases
from clinic_mm.sources.choose import in_order
from clinic_mm.task import Task
from clinic_mm.types import CaseRecord, Evidence

Kind = Literal["metadata", "presence", "time", "covariate", "trivial", "word"]
FLAGGED_FROM: Final = 0.55
OUTCOME_FROM: Final = 0.95
"""A covariate that tells so much is likely the outcome in another form."""
NO_METADATA: Final = frozenset({"study", "points", "points_why", "rows", "characters"})
"""Identifiers, our own choice between series, and sizes of a whole history, which may reach beyond the decision."""
IDENTIFIES_FROM: Final = 0.5
"""A word that differs in so many cases is a name, not a property."""
MOST_FILES: Final = 4
"""Files of one piece of evidence whose size is looked up; a series of slices has hundreds of one size."""
MEND: Final = {
    "metadata": "Report it beside the model, and score the model within each of its values",
    "presence": "Report it beside the model: who is examined already says how ill a patient is",
    "time": "Report it beside the model, and score the model within hours of the day",
    "covariate": "Report it beside the model, match or weight by it, or score the model within each of its values",
    "trivial": "Report it beside the model, and look at what it measures",
}


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns of one shortcut, one value per case, and what they are of."""

    name: str
    kind: Kind
    read: bool
    columns: Mapping[str, Sequence[object]]


def shortcut_columns(cases: Sequence[CaseRecord], task: Task, roots: Mapping[str, Path]) -> list[Columns]:
    """Everything about the cases that is not evidence."""
    found = [_presence(cases, task)]
    for name in task.modalities:
        kind = task.kind_of(name)
        chosen = [next(iter(in_order(case.usable(kind, name), task.select)), None) for case in cases]
        found += _metadata(name, chosen)
        counted: list[object] = [len(case.usable(kind, name)) for case in cases]
        found.append(Columns(f"number of {name} studies", "presence", False, {"": counted}))
        found += _times(name, cases, chosen)
        if any(one is not None and one.root in roots and not one.locator for one in chosen):
            sizes = [_bytes(one, roots) for one in chosen]
            found.append(Columns(f"{name} file size", "metadata", False, {"": sizes}))
    return [one for one in (*found, *_covariates(cases)) if _varies(one)]


def audit(
    cases: Sequence[CaseRecord], task: Task, roots: Mapping[str, Path], prepared: PreparedCases | None, asked: Asked
) -> tuple[list[Shortcut], list[Leak], Looked, Shortcut | None]:
    """Score every shortcut.

    Args:
        cases: Labelled cases.
        task: What is asked.
        roots: Folder of each root.
        prepared: The same cases, prepared; None leaves out what needs the evidence itself.
        asked: Labels, patients, folds. Intervals get narrower levels by how many shortcuts there are.
    """
    columns = shortcut_columns(cases, task, roots)
    names = [] if prepared is None else [n for n in prepared.names if prepared.plain[n].shape[1] > 0]
    together = {f"{c.name} {k}": v for c in columns if c.kind != "covariate" for k, v in c.columns.items()}
    level = 1 - (1 - asked.level) / (len(columns) + len(names) + bool(together))
    strict = Asked(asked.labels, asked.patients, asked.fold, level)
    found = [_shortcut(c, score(c.columns, strict)) for c in columns]
    if together:
        whole = Columns("all metadata, times and presence together", "metadata", False, together)
        found.append(_shortcut(whole, score(together, strict)))
    beside = None
    if prepared is not None:
        for name in names:
            trivial = Columns(f"one plain summary of {name}", "trivial", True, {})
            found.append(_shortcut(trivial, best_alone(prepared.plain[name].astype(np.float64), strict)))
        beside = _beside(prepared, asked)
    found.sort(key=lambda one: -one.auroc)
    leaks = [_leak(one, beside) for one in found if one.flagged]
    how = f"{asked.fold.max() + 1} folds by patient, {len(asked.fold)} repeats"
    return found, leaks, Looked(check="shortcuts", of=len(found), found=len(leaks), how=how), beside


def _shortcut(columns: Columns, scored: Scored) -> Shortcut:
    told = scored.auroc
    flagged = told.low > FLAGGED_FROM and columns.kind != "trivial"
    outcome = columns.kind == "covariate" and told.low > OUTCOME_FROM
    why = ""
    if flagged:
        why = "is it the outcome in another form?" if outcome else f"tells the label by itself ({columns.kind})"
    return Shortcut(
        name=columns.name,
        kind=columns.kind,
        read=columns.read,
        auroc=told.estimate,
        low=told.low,
        high=told.high,
        n_cases=told.n_rows,
        n_patients=told.n_patients,
        flagged=flagged,
        why=why,
    )


def _leak(one: Shortcut, beside: Shortcut | None) -> Leak:
    against = f"; the evidence itself {beside.auroc:.2f}" if beside else ""
    what = f"{one.name} alone scores AUROC {one.auroc:.2f} ({one.low:.2f} to {one.high:.2f}){against}"
    return Leak(code=f"shortcut.{one.kind}", severity="finding", what=what, mend=MEND[one.kind], n=one.n_cases)


def _beside(prepared: PreparedCases, asked: Asked) -> Shortcut:
    """The task's evidence in a plain model: logistic regression on all plain summaries, same folds."""
    columns = {f"{n} {i}": c for n in prepared.names for i, c in enumerate(prepared.plain[n].T)}
    scored = score(columns, asked)
    return _shortcut(Columns("the task's evidence, in a plain model", "trivial", True, {}), scored)


def _presence(cases: Sequence[CaseRecord], task: Task) -> Columns:
    flags: dict[str, Sequence[object]] = {
        name: [bool(case.usable(task.kind_of(name), name)) * 1.0 for case in cases] for name in task.modalities
    }
    return Columns("which modalities there are", "presence", True, flags)


def _metadata(name: str, chosen: Sequence[Evidence | None]) -> Iterator[Columns]:
    """Each fact that a reader wrote down; of a list, its numbers."""
    keys = dict.fromkeys(key for one in chosen if one for key in one.meta if key not in NO_METADATA)
    for key in keys:
        values = [one.meta.get(key) if one else None for one in chosen]
        size = max((len(v) for v in values if isinstance(v, list)), default=0)
        parts: dict[str, Sequence[object]] = {
            str(i): [v[i] if isinstance(v, list) and i < len(v) else None for v in values] for i in range(min(size, 3))
        }
        yield Columns(f"{name} {key}", "metadata", False, parts or {"": [_plain(v) for v in values]})


def _plain(value: object) -> object:
    return value if isinstance(value, str | int | float) else None


def _times(name: str, cases: Sequence[CaseRecord], chosen: Sequence[Evidence | None]) -> Iterator[Columns]:
    moments = [one.acquired_at if one else None for one in chosen]
    if not any(moments):
        return
    hours: list[object] = [m.hour + m.minute / 60 if m else None for m in moments]
    days: list[object] = [f"day {m.weekday()}" if m else None for m in moments]
    yield Columns(f"{name} hour of the day", "time", False, {"": hours})
    yield Columns(f"{name} day of the week", "time", False, {"": days})
    before: list[object] = [
        (c.decision_time - m).total_seconds() / 3600 if m and c.decision_time else None
        for c, m in zip(cases, moments, strict=True)
    ]
    yield Columns(f"{name} hours before the decision", "time", True, {"": before})


def _bytes(one: Evidence | None, roots: Mapping[str, Path]) -> float | None:
    """Bytes on disk; of many files, of the first few times how many there are."""
    if one is None or one.root not in roots:
        return None
    some = one.model_copy(update={"paths": one.paths[:MOST_FILES]})
    try:
        sizes = [path.stat().st_size for path in locate(some, roots)]
    except (EvidenceError, OSError):
        return None
    return float(sum(sizes)) * len(one.paths) / max(len(sizes), 1)


def _covariates(cases: Sequence[CaseRecord]) -> Iterator[Columns]:
    """Columns of the labels file beside the target, but for names."""
    for key in dict.fromkeys(key for case in cases for key in case.covariates):
        values: list[Any] = [case.covariates.get(key) for case in cases]
        words = [v for v in values if isinstance(v, str)]
        if len(set(words)) <= max(IDENTIFIES_FROM * len(values), 2):
            yield Columns(key, "covariate", False, {"": values})


def _varies(one: Columns) -> bool:
    return any(len({str(v) for v in values}) > 1 for values in one.columns.values())
