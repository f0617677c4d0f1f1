"""One case given as paths: what `clinic-mm predict` is asked about, without a cohort.

In:  files and folders per modality, as a person typed them.
Out: a `CaseRecord` and the folder of each root. The same readers as ingest, and every refusal kept with its reason.

No pseudonym key is needed: the case is named by the content of its evidence. Undated evidence is accepted and
flagged, since the person who typed the path says that it belongs to this case. Evidence after the decision time is
refused all the same, and so is one modality of several patients: nobody said which of them is meant.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

import pandas as pd

from clinic_mm.cohort.cases import ACCEPTED, NO_DECISION, WHY
from clinic_mm.cohort.gather import by_kind, files_of, gather
from clinic_mm.cohort.join import AFTER
from clinic_mm.cohort.link import KEY_DIGITS
from clinic_mm.cohort.spec import SourceSpec
from clinic_mm.errors import EvidenceError, InputError
from clinic_mm.modalities import finder_of, modality
from clinic_mm.sources.place import content_hash, relative
from clinic_mm.sources.walk import FileKind, sniff
from clinic_mm.times import to_utc
from clinic_mm.types import Absent, CaseRecord, Evidence, Failed, Finding, Flag, Rejected

MIXED: Final = Flag(code="patient.mixed", why="The files name different patients: composite, not one patient")
ROWS: Final = frozenset({"record", "note"})
"""Kinds whose evidence may lie in rows of a FHIR file, beside files of their own."""

NOTHING: Final = "case.nothing_found"
OTHER_KIND: Final = "case.other_kind"
SEVERAL: Final = "case.several_patients"
OPTIONS: Final = ("ct", "xray", "eeg", "record", "note")
"""Modalities that `clinic-mm predict` has an option of their own for."""
INGEST_FILE: Final = "[[source]]"
"""What mends an ingest says nothing to somebody who typed a path."""
REASONS: Final = 3
Verdict: TypeAlias = Evidence | Rejected | Failed


@dataclass(slots=True)
class _Seen:
    """What the paths of one case held: roots, all patients, and those of the modality that is asked."""

    roots: dict[str, Path] = field(default_factory=dict)
    patients: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)


def case_from_paths(
    paths: Mapping[str, Sequence[Path]],
    *,
    zone: ZoneInfo,
    decision_time: datetime | None = None,
    kinds: Mapping[str, str] | None = None,
) -> tuple[CaseRecord, dict[str, Path]]:
    """Form one case from paths.

    Args:
        paths: For each modality, files or folders: a DICOM folder, a recording, a FHIR bundle, a text.
        zone: Of the site, for times without one.
        decision_time: When the answer is due; None refuses nothing by time, and flags that.
        kinds: Row of the modality table for each modality that is not named after its row.

    Returns:
        The case, oldest evidence first in each kind, named after the modality that it was given for, and the roots
        that its paths are relative to.

    Raises:
        InputError: If a path is not there.
        TaskError: For an unknown kind of modality.
    """
    due = to_utc(decision_time, zone) if decision_time else None
    seen = _Seen()
    judged: dict[str, list[Verdict]] = {}
    kind_of = {name: modality((kinds or {}).get(name, name)).name for name in paths}
    for name, given in paths.items():
        kind = kind_of[name]
        seen.asked = set()
        found = [
            one for index, path in enumerate(given) for one in _look(path, f"{name}-{index}", kind, zone, due, seen)
        ]
        mine = [_judged(one, kind, name, due) for one in sorted(found, key=lambda one: (_says(one, kind), _age(one)))]
        judged[name] = _counted(mine) if len(seen.asked) < 2 else _of_several(mine, kind, name)
    mixed = (MIXED,) if len(seen.patients) > 1 else ()
    evidence: dict[str, tuple[Finding, ...]] = {}
    for name, some in judged.items():
        told = tuple(_flagged(one, mixed) for one in some) or (Absent(modality=kind_of[name]),)
        evidence[kind_of[name]] = (*evidence.get(kind_of[name], ()), *told)
    key = _named(judged, due)
    return CaseRecord(case_key=key, patient_key=key, decision_time=due, evidence=evidence), seen.roots


def _look(path: Path, root_name: str, kind: str, zone: ZoneInfo, due: datetime | None, seen: _Seen) -> list[Verdict]:
    """What one path holds of the asked kind; other evidence is refused by name, so that nothing is just gone."""
    if not (path.is_file() or path.is_dir()):
        raise InputError("There is no such file or folder", str(path), "Correct the path")
    # A link that a person types is what they mean; links inside of a folder are not followed out of it.
    told = kind if finder_of(kind) else "auto"
    source = SourceSpec(name=root_name, path=str(path.resolve()), kind=told, timeless=True)
    seen.roots[root_name], gathered = gather(source, Path.cwd(), zone, frozenset())
    owners = [(owned.patient_id, owned.finding.modality) for owned in gathered.found if owned.patient_id]
    seen.patients.update(patient for patient, _ in owners)
    seen.asked.update(patient for patient, modality_found in owners if modality_found == kind)
    beside = ROWS - {kind} | ({"file"} if path.is_dir() else set())  # a licence text in a CT folder is no refused CT
    found = [owned.finding for owned in gathered.found if owned.finding.modality not in beside]
    verdicts = [_of_kind(one, kind) for one in found]
    if kind in ROWS and (frames := [f for f in getattr(gathered, kind) if len(f)]):
        verdicts.append(_rows(pd.concat(frames), source, kind, due, seen))
    return verdicts or [_nothing(kind, files_of(source, Path.cwd(), frozenset())[1])]


def _nothing(kind: str, files: Sequence[Path]) -> Rejected:
    if any(sniff(path) is FileKind.SIDE for path in files):
        why = "This belongs to another file, and cannot be read without it"
        mend = (
            "Give the folder, or the file that leads: .vhdr, .set or .EEG (EEG), .hea (ECG), the slices of a DICOMDIR"
        )
        return Rejected(modality=kind, code="case.side_file", why=why, mend=mend)
    return Rejected(modality=kind, code=NOTHING, why=f"Nothing there is {kind} evidence", mend=_see_help(kind))


def option(name: str) -> str:
    """How evidence of a modality is given to `clinic-mm predict`."""
    return f"--{name}" if name in OPTIONS else f"--evidence {name}=PATH"


def _see_help(kind: str) -> str:
    if finder_of(kind):
        return f"It takes files that end in {', '.join(modality(kind).suffixes)}; see docs/formats.md"
    return f"See clinic-mm predict --help for the files that {option(kind)} takes"


def _of_kind(one: Verdict, kind: str) -> Verdict:
    """Other evidence is refused by its name, and nobody is sent to an ingest file that there is none of."""
    if isinstance(one, Evidence) and one.modality != kind:
        return _other_kind(one, kind)
    if isinstance(one, Rejected) and INGEST_FILE in one.mend:
        tables = "" if finder_of(kind) else "; tables go through clinic-mm ingest"
        return one.model_copy(update={"mend": f"{_see_help(kind)}{tables}"})
    return one


def _says(one: Verdict, kind: str) -> int:
    """How much a refusal says of what was asked; the last is told where nothing can be used."""
    if one.modality != kind:
        return 0
    return 1 if getattr(one, "code", "") == OTHER_KIND else 2


def _of_several(found: list[Verdict], kind: str, name: str) -> list[Verdict]:
    """Usable evidence is refused where its modality is of several patients; that reason stands last, to be told."""
    why, mend = "The files are of several patients", "Give the files of one, or ingest them as a cohort"
    refused = Rejected(modality=kind, named=name, code=SEVERAL, why=why, mend=mend)
    return [*(one for one in found if not isinstance(one, Evidence)), refused]


def _counted(found: list[Verdict]) -> list[Verdict]:
    """Where several pieces were given, each says so: the task takes one, and a person should know."""
    usable = sum(isinstance(one, Evidence) for one in found)
    if len(found) < 2 or not usable:
        return found
    refused = list(dict.fromkeys(one.why for one in found if not isinstance(one, Evidence)))
    told = f", {len(found) - usable} refused ({'; '.join(refused[:REASONS])})" if refused else ""
    why = f"{len(found)} pieces of evidence were given{told}; the task takes one{' of the rest' if refused else ''}"
    return [_flagged(one, (Flag(code="case.one_of_several", why=why),)) for one in found]


def _other_kind(one: Evidence, kind: str) -> Rejected:
    why = f"This is {one.modality} evidence, not {kind}"
    mend = f"Give it with {option(one.modality)}"
    return Rejected(modality=kind, code=OTHER_KIND, why=why, mend=mend, root=one.root, paths=one.paths)


def _rows(rows: pd.DataFrame, source: SourceSpec, kind: str, due: datetime | None, seen: _Seen) -> Evidence | Rejected:
    """FHIR files are evidence as they lie there, if they hold one patient and something was known by then."""
    root, files = files_of(source, Path.cwd(), frozenset())
    fhir = by_kind(source, files).get(FileKind.FHIR, [])
    patients = set(rows["patient_id"])
    seen.patients.update(patients)
    seen.asked.update(patients)
    try:
        if not fhir:
            what, mend = "Tables are read as a cohort, not as one case", "Run clinic-mm ingest on them, then screen"
            raise EvidenceError("case.table", what, "", mend)
        last = _last_known(rows, kind, due)
        if len(patients) > 1:
            what, mend = "The files hold several patients", "Give the files of one, or ingest them as a cohort"
            raise EvidenceError(SEVERAL, what, "", mend)
        paths, content = relative(root, fhir), content_hash(fhir)
    except EvidenceError as error:
        return Rejected(modality=kind, code=error.code, why=error.what, mend=error.mend, root=source.name)
    return Evidence(modality=kind, root=source.name, paths=paths, acquired_at=last, until=due, content_hash=content)


def _last_known(rows: pd.DataFrame, kind: str, due: datetime | None) -> datetime | None:
    counted = rows[rows["category"] != "demographic"] if kind == "record" else rows
    known = counted if due is None else counted[counted["time"].isna() | (counted["time"] <= pd.Timestamp(due))]
    if counted.empty:
        raise EvidenceError("record.no_facts", "The files say who the patient is, and nothing clinical")
    if known.empty:
        raise EvidenceError(AFTER, WHY[AFTER][0], "", WHY[AFTER][1])
    last = known["time"].max()
    return None if pd.isna(last) else last.to_pydatetime()


def _judged(one: Verdict, kind: str, name: str, due: datetime | None) -> Verdict:
    """A finding of the asked kind and under the asked name, as it stands at the decision time."""
    if isinstance(one, Failed):
        return one.model_copy(update={"modality": kind})
    named = one.model_copy(update={"modality": kind, "named": name})
    if not isinstance(named, Evidence):
        return named
    if due is not None and named.acquired_at is not None and named.acquired_at > due:
        why, mend = WHY[AFTER]
        at = named.acquired_at
        return Rejected(
            modality=kind,
            named=name,
            code=AFTER,
            why=why,
            mend=mend,
            root=named.root,
            paths=named.paths,
            acquired_at=at,
        )
    return _flagged(named, (*(() if named.acquired_at else (ACCEPTED,)), *(() if due else (NO_DECISION,))))


def _flagged(one: Verdict, flags: tuple[Flag, ...]) -> Verdict:
    return one.model_copy(update={"flags": (*one.flags, *flags)}) if flags and isinstance(one, Evidence) else one


def _age(one: Verdict) -> datetime:
    """Oldest first; undated evidence before all, as in cohorts undated rows are."""
    at = None if isinstance(one, Failed) else one.acquired_at
    return at or datetime.min.replace(tzinfo=UTC)


def _named(judged: Mapping[str, Sequence[Verdict]], due: datetime | None) -> str:
    """The case's name: from the content of its usable evidence and the decision time, so that it repeats."""
    hashes = [
        f"{name} {one.content_hash}" for name, some in judged.items() for one in some if isinstance(one, Evidence)
    ]
    text = "\n".join([due.isoformat() if due else "", *sorted(hashes)])
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]
