"""Ingest a folder as the command does, and load what it accepts: what a hospital would see of it."""

from dataclasses import dataclass
from pathlib import Path

from clinic_mm.cohort.cases import FINDING
from clinic_mm.cohort.ingest import ingest
from clinic_mm.cohort.load import load_evidence
from clinic_mm.cohort.manifest import Cohort
from clinic_mm.errors import EvidenceError, InputError
from clinic_mm.signals import Signal
from clinic_mm.types import Evidence, Failed, Rejected


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one finding: its files, whose it is, the code it was refused with, or signal and flags."""

    paths: frozenset[str]
    owner: str
    code: str = ""
    flags: frozenset[str] = frozenset()
    signal: Signal | None = None
    finding: Evidence | Rejected | None = None


def outcomes(given: Path, out: Path) -> list[Outcome]:
    """Ingest and load.

    Args:
        given: A folder, or an ingest file.
        out: A new folder for the cohort and its key.

    Raises:
        AssertionError: If a reader of ours failed, which none may.
    """
    try:
        cohort = ingest(given, out / "cohort", key=out / "pseudonym.key")
    except EvidenceError:
        raise
    except InputError as error:  # nothing in the folder is a file
        return [Outcome(frozenset(), "", f"({error.what})")]
    found = zip(cohort.evidence["patient_key"], map(FINDING.validate_json, cohort.evidence["finding"]), strict=True)
    return [_outcome(owner, finding, cohort) for owner, finding in found]


def _outcome(owner: str, finding: object, cohort: Cohort) -> Outcome:
    assert not isinstance(finding, Failed), finding
    if isinstance(finding, Rejected):
        return Outcome(_named(finding), owner, finding.code, finding=finding)
    assert isinstance(finding, Evidence)
    try:
        signal = load_evidence(finding, cohort.roots)
    except EvidenceError as fault:
        return Outcome(_named(finding), owner, fault.code, finding=finding)
    flags = frozenset(flag.code for flag in (*finding.flags, *signal.flags))
    return Outcome(_named(finding), owner, "", flags, signal, finding)


def _named(finding: Evidence | Rejected) -> frozenset[str]:
    return frozenset(f"{finding.root}/{path}" for path in finding.paths)
