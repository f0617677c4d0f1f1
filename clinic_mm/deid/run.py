"""De-identify a folder: every file becomes a new one under a pseudonym, or is refused with its reason.

In:  a folder or a file, a new or earlier output folder, the key.
Out: `<pseudonym>/<name>` per file (`several/` where a file is of many patients), and `deidentified.json`, the record of
     the run. No name, path or identifier of the source goes into the output folder, a log or an error.

A file is written whole or not at all, under a name made from its own content; a run that was stopped is run again.
"""

import csv
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from clinic_mm.cohort.guard import guarded
from clinic_mm.cohort.link import read_key
from clinic_mm.cohort.owned import owner
from clinic_mm.deid.keyring import Keyring
from clinic_mm.deid.known import Known
from clinic_mm.deid.made import Made
from clinic_mm.deid.policy import Policy, read_policy
from clinic_mm.deid.record import RECORD, DeidRecord
from clinic_mm.errors import EvidenceError, InputError, UsageError
from clinic_mm.report.atomic import written_whole
from clinic_mm.sources.walk import FileKind, sniff, suffix_of, walk

Progress = Callable[[int, int], None]
PATIENT_FROM: Final = ("header", "folder", "stem")
ORDER: Final = (FileKind.DICOM, FileKind.EEG, FileKind.FHIR, FileKind.TEXT)
"""Headers first: what they say of names, notes are searched for."""
MENDS: Final = {
    FileKind.NIFTI: ("deid.nifti", "NIfTI files are not de-identified", "Give the DICOM series that it was made from"),
    FileKind.PICTURE: ("deid.picture", "Pictures are not de-identified", "Give the DICOM image"),
    FileKind.TABLE: ("deid.table", "Tables are not de-identified", "Give the FHIR resources"),
    FileKind.MODALITY: ("deid.modality", "Files of this kind of evidence are not de-identified", "Leave it out"),
    FileKind.SIDE: ("deid.side_file", "Side files are not passed on", "Convert the recording to EDF"),
    FileKind.UNKNOWN: ("deid.unknown_kind", "Nobody can say what this file is", "Leave it out"),
}


@dataclass(slots=True)
class Told:
    """What came of a run. `refused` holds source paths: identifying, and never in the output folder."""

    record: DeidRecord
    refused: list[tuple[str, str, str, str]] = field(repr=False)

    @property
    def exit_code(self) -> int:
        """0 where every file was taken, 3 where one was refused."""
        return InputError.exit_code if self.refused else 0


def deidentify(
    source: Path,
    out: Path,
    *,
    key: Path | None = None,
    options: Iterable[str] = (),
    patient_from: str = "header",
    progress: Progress | None = None,
) -> Told:
    """De-identify a folder or a file.

    Args:
        source: What is read; nothing in it is changed.
        out: A new or empty folder, or an earlier output under the same key and options, which is added to.
        key: The pseudonym key file, see `link.key_path`.
        options: What is kept beside the basic profile, see `policy`.
        patient_from: What says whose a text file is: nothing (`header`), the first folder, or the stem of its name.
        progress: Told of files done and in all.

    Raises:
        UsageError: If there is no such option.
        InputError: If `source` is nothing that can be read, `out` holds something else, lies in the source, or holds
            what another key or policy has made; if the key cannot be used; if two patients would share a pseudonym.
    """
    policy = read_policy(tuple(options))
    if patient_from not in PATIENT_FROM:
        raise UsageError(f"There is no {patient_from!r}", "--patient", f"Choose one of {', '.join(PATIENT_FROM)}")
    root, paths = _files(source)
    _check_apart(source, out)
    ring = Keyring(read_key(key, outside=out))
    run = _Run(policy, ring, root, out, patient_from)
    run.begin()
    by_kind = _by_kind(paths)
    run.known.add_files(by_kind.get(FileKind.FHIR, ()))
    todo = [(kind, path) for kind in (*ORDER, *MENDS) for path in by_kind.get(kind, ())]
    for done, (kind, path) in enumerate(todo):
        run.take(kind, path)
        if progress:
            progress(done + 1, len(todo))
    return run.end()


class _Run:
    """One run: what it knows, and what has come of it so far."""

    def __init__(self, policy: Policy, ring: Keyring, root: Path, out: Path, patient_from: str) -> None:
        self._policy, self._ring, self._root, self._out, self._patient_from = policy, ring, root, out, patient_from
        self.known = Known(policy.lists["note"]["ordinary"])
        self._written: Counter[str] = Counter()
        self._flagged: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._patients: set[str] = set()
        self._refused: list[tuple[str, str, str, str]] = []
        self._passed_on = 0

    def begin(self) -> None:
        """Take the output folder, or refuse it; until the end its record says that the run is not complete."""
        if self._out.exists() and not self._out.is_dir():
            raise InputError("This is a file, not a folder", str(self._out), "Name a new or empty folder")
        if self._out.is_dir() and any(self._out.iterdir()):
            self._check_earlier()
        self._write_record(complete=False)

    def take(self, kind: FileKind, path: Path) -> None:
        """One file: its new one is written, or the reason why not is kept."""
        made, bad = guarded(lambda some: self._made(kind, some[0]), [path], kind.value)
        for _, finding in bad:
            code = getattr(finding, "code", "failed")
            self._refused.append((str(path), code, finding.why, getattr(finding, "mend", "")))
        if made is None:
            return
        self._written[kind.value] += 1
        name = hashlib.sha256(made.content).hexdigest()[:24] + made.suffix
        written_whole(self._out / made.folder / name, made.content)
        self._passed_on += made.sealed
        self._flagged.update(made.flags)
        self._counts.update(made.counts)
        self._patients |= made.patients

    def end(self) -> Told:
        """Write the record, and tell."""
        return Told(self._write_record(complete=True), self._refused)

    def _made(self, kind: FileKind, path: Path) -> Made:
        if kind is FileKind.DICOM:
            from clinic_mm.deid.dicom import deidentify_dicom

            return deidentify_dicom(path, self._policy, self._ring, self.known)
        if kind is FileKind.EEG and suffix_of(path) in {".edf", ".bdf"}:
            from clinic_mm.deid.edf import deidentify_edf

            return deidentify_edf(path, self._policy, self._ring)
        if kind is FileKind.FHIR:
            from clinic_mm.deid.fhir import deidentify_fhir

            return deidentify_fhir(path, self._policy, self._ring, self.known)
        if kind is FileKind.TEXT:
            from clinic_mm.deid.text import deidentify_text

            patient_id = owner(self._patient_from, "", (path.relative_to(self._root).as_posix(),))
            return deidentify_text(path, patient_id, self._policy, self._ring, self.known)
        if kind is FileKind.EEG:
            mend = "Convert it to EDF or BDF"
            raise EvidenceError("deid.eeg_format", "Of EEG formats, only EDF and BDF are de-identified", "", mend)
        code, what, mend = MENDS[kind]
        raise EvidenceError(code, what, "", mend)

    def _check_earlier(self) -> None:
        try:
            earlier = DeidRecord.model_validate_json((self._out / RECORD).read_bytes())
        except (OSError, ValidationError):
            raise InputError("The folder holds something else", str(self._out), "Name a new or empty folder") from None
        if (earlier.policy, earlier.key_check) != (self._policy.fingerprint, self._key_check()):
            what, mend = "The folder was made with another key, other options or another version", "Name a new folder"
            raise InputError(what, str(self._out), mend)

    def _key_check(self) -> str:
        return self._ring.digest("which key").hex()[:16]

    def _write_record(self, *, complete: bool) -> DeidRecord:
        record = DeidRecord(
            policy=self._policy.fingerprint,
            options=self._policy.options,
            key_check=self._key_check(),
            complete=complete,
            patients=len(self._patients),
            written=dict(sorted(self._written.items())),
            passed_on=self._passed_on,
            refused=dict(sorted(Counter(code for _, code, *_ in self._refused).items())),
            flagged=dict(sorted(self._flagged.items())),
            counts=dict(sorted(self._counts.items())),
        )
        written_whole(self._out / RECORD, record.model_dump_json(indent=1).encode() + b"\n")
        return record


def _files(source: Path) -> tuple[Path, Iterable[Path]]:
    if source.is_file():
        return source.parent, [source]
    return source, walk(source)


def _check_apart(source: Path, out: Path) -> None:
    """What is read and what is written may not lie in each other."""
    a, b = source.resolve(), out.resolve()
    if b.is_relative_to(a) or a.is_relative_to(b):
        raise InputError("Source and output lie in each other", str(out), "Name an output folder beside the source")


def _by_kind(paths: Iterable[Path]) -> dict[FileKind, list[Path]]:
    groups: dict[FileKind, list[Path]] = {}
    for path in paths:
        if path.name != RECORD:  # the record of an earlier run is no evidence
            groups.setdefault(sniff(path), []).append(path)
    return groups


def told_text(told: Told) -> str:
    """What came of a run, for a person."""
    record = told.record
    kinds = f" ({_listed(record.written)})" if record.written else ""
    lines = [f"{sum(record.written.values())} files written for {record.patients} patients{kinds}"]
    if record.passed_on:
        lines.append(f"{record.passed_on} of them were de-identified already, and were passed on as they are")
    if record.flagged:
        lines.append(f"Flagged: {_listed(record.flagged)}")
    if record.refused:
        lines.append(f"Refused: {_listed(record.refused)}; --refused FILE lists them with the reasons")
    return "\n".join(lines)


def write_refused(told: Told, path: Path, out: Path) -> None:
    """List the refused files with the reasons. The list is identifying: it holds source paths.

    Raises:
        UsageError: If it would lie in the output folder.
    """
    if path.resolve().is_relative_to(out.resolve()):
        mend = "Keep it where the sources are kept"
        raise UsageError("The list of refused files is identifying; it cannot lie in the output", "--refused", mend)
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        file.write("# Identifying: this list holds source paths. Keep it where the sources may be kept.\n")
        csv.writer(file).writerows([("path", "code", "why", "mend"), *told.refused])


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())
