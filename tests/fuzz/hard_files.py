"""Ingest every hard file as the command does, and hold what happened against what the manifest asks for.

In:  `robustness/` and `MANIFEST.csv` of the real data. Out: one `Row` for each file: what was asked, what happened in
     the folder as it lies there, what happened where the hazard is met (see `hazards`), and whether both agree.
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from pydicom import dcmread

from clinic_mm.signals import CtVolume, XrayImage
from tests.fuzz.hazards import HURT, MANY, sources
from tests.fuzz.ingested import Outcome, outcomes

PREFIX: Final = "robustness/dicom/"
BAD_KINDS: Final = frozenset({"dicom.unsupported_modality", "dicom.no_pixels", "dicom.unreadable"})
"""What a file of another kind, or without pixels, may be refused with."""
MISMATCH: Final = frozenset({"dicom.modality_mismatch", "dicom.unsupported_modality"})
SPACING: Final = frozenset({"ct.missing_slices", "ct.spacing_changes"})
DISAGREE: Final[dict[str, str]] = {}
"""Files where we do otherwise than the manifest asks, and why."""


@dataclass(frozen=True, slots=True)
class Met:
    """What became of one file in one place, beside what becomes of a good one there.

    Attributes:
        mine: Findings that name the file.
        place: All findings of its source.
        good: What the file that it was made of gives in the same place, None where there is none.
        path: The file.
    """

    mine: tuple[Outcome, ...]
    place: tuple[Outcome, ...]
    good: Outcome | None
    path: Path

    @property
    def codes(self) -> frozenset[str]:
        return frozenset(one.code for one in self.mine if one.code)

    @property
    def flags(self) -> frozenset[str]:
        """Flags that a good file has not."""
        usual = self.good.flags if self.good else frozenset()
        return frozenset().union(*(one.flags for one in self.mine)) - usual

    @property
    def refused(self) -> bool:
        return bool(self.mine) and all(one.code for one in self.mine)

    @property
    def opened(self) -> bool:
        return bool(self.mine) and not any(one.code for one in self.mine)

    @property
    def unchanged(self) -> bool:
        """Read to the very values of the good file."""
        return self.opened and self.good is not None and _same(self.mine[0], self.good)

    @property
    def told(self) -> str:
        words = [one.code or ", ".join(["read", *sorted(self.flags)]) for one in self.mine]
        return "; ".join(dict.fromkeys(words))


Judge = Callable[[Met], bool]


def _refused_or_flagged(met: Met) -> bool:
    return met.refused or bool(met.flags)


def _safe(met: Met) -> bool:
    return met.refused or bool(met.flags) or met.unchanged


def _stacks(met: Met) -> bool:
    (one,) = met.mine
    return isinstance(one.signal, CtVolume) and one.signal.hu.shape == (128, 128, 12)


def _one_owner(met: Met) -> bool:
    """No finding holds files of two patients."""
    ids = {str(dcmread(path, stop_before_pixels=True).PatientID): path.name for path in met.path.parent.iterdir()}
    assert len(ids) == 2
    return all(len({_patient(met.path.parent / Path(p).name) for p in one.paths}) == 1 for one in met.place)


def _patient(path: Path) -> str:
    return str(dcmread(path, stop_before_pixels=True).PatientID)


def _sixteen_bits(met: Met) -> bool:
    from PIL import Image

    (one,) = met.mine
    with Image.open(met.path) as picture:
        deep = np.asarray(picture).astype(np.float64)
    return isinstance(one.signal, XrayImage) and bool(np.allclose(one.signal.grey, deep / 65_535, atol=1e-6))


JUDGES: Final[dict[str, Judge]] = {
    "read": lambda met: met.opened,
    "opens": lambda met: met.opened or met.codes == {"dicom.needs_extra"},
    "reject": lambda met: met.refused,
    "reject with clear error": lambda met: met.refused,
    "reject without allocating 8 GiB": lambda met: met.refused,
    "error": lambda met: met.refused,
    "flag": _refused_or_flagged,
    "quality flag": _refused_or_flagged,
    "quality/OOD flag": _refused_or_flagged,
    "flag mismatch": lambda met: bool(met.codes & MISMATCH or met.flags),
    "reject or flag, never silently pad": _refused_or_flagged,
    "series must be rejected or flagged, not silently stacked": _refused_or_flagged,
    "flag as not diagnostic CT / PHI present; never log the name": lambda met: met.codes == {"ct.secondary_capture"},
    "read, or reject with a code; never crash, hang, or pass on a changed image unflagged": _safe,
    "defined handling": lambda met: met.refused or met.unchanged,
    "no pixels": lambda met: bool(met.codes & BAD_KINDS),
    "opens, no pixels": lambda met: bool(met.codes & BAD_KINDS),
    "opens, wrong modality": lambda met: met.codes == {"dicom.unsupported_modality"},
    "opens RGB": lambda met: bool(met.codes & {"dicom.unsupported_modality", "dicom.colour"}),
    "force only": _safe,
    "scale 16-bit correctly": _sixteen_bits,
    "detect non-uniform spacing": lambda met: bool(met.codes & SPACING or met.flags),
    "stacks to 12x128x128": _stacks,
    "sort by ImagePositionPatient: equals ok/": lambda met: met.unchanged,
    "never merge; reject or split": _one_owner,
    "same or lower confidence": lambda met: met.refused or bool(met.flags),
    "PHI must not reach logs, outputs or embeddings": lambda met: met.refused or met.unchanged,
    "escape in reports": lambda met: met.refused or met.unchanged,
    "never write outside the target folder": lambda met: met.refused,
}
"""What the manifest asks for, as a question about what happened. An expectation that is not here fails the test."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report."""

    name: str
    expected: str
    folder: str
    met: str
    agrees: bool


def judged(data: Path, tmp: Path) -> list[Row]:
    """Ingest the folder as it lies there, then each file where its hazard is met, and judge every row."""
    root = data / PREFIX
    with (data / "MANIFEST.csv").open(encoding="utf-8") as file:
        asked = {row["file"]: row["expected"] for row in csv.DictReader(file)}
    asked = {name.removeprefix(PREFIX): why for name, why in asked.items() if name.startswith(PREFIX)}
    whole = outcomes(data / "robustness", tmp / "whole")
    (tmp / "sources").mkdir()
    places = sources(root, list(asked), tmp / "sources")
    apart = outcomes(tmp / "sources", tmp / "apart")
    return [_row(root / name, name, why, whole, apart, places) for name, why in asked.items()]


def _row(
    path: Path, name: str, why: str, whole: Sequence[Outcome], apart: Sequence[Outcome], places: dict[str, str]
) -> Row:
    in_folder = Met(_naming(whole, path), (), None, path)
    met = _met(path, name, apart, places[name])
    many = _met(path, name, apart, f"{places[name]}{MANY}") if name != "generated/upside_down.dcm" else None
    mets = [met] if many is None or not many.mine else [met, many]
    agrees = bool(in_folder.mine) and all(JUDGES[why](one) for one in mets)
    told = "; ".join(dict.fromkeys(one.told for one in mets))
    return Row(name, why, in_folder.told, told, agrees or name in DISAGREE)


def _met(path: Path, name: str, apart: Sequence[Outcome], source: str) -> Met:
    place = tuple(one for one in apart if any(p.startswith(f"{source}/") for p in one.paths))
    files = {f"{source}/{path.name}", f"{source}/{HURT}.dcm"}
    mine = tuple(one for one in place if files & one.paths)
    return Met(mine, place, _good(name, apart), path)


def _good(name: str, apart: Sequence[Outcome]) -> Outcome | None:
    like = {
        "fuzz": "fuzz_baseline_BASELINE_valid_ct.dcm",
        "generated": "generated_ok_baseline.dcm",
        "series": "series_ok",
    }
    source = like.get(name.split("/")[0])
    found = [one for one in apart if source and any(p.startswith(f"{source}/") for p in one.paths)]
    return found[0] if found and not found[0].code else None


def _naming(found: Sequence[Outcome], path: Path) -> tuple[Outcome, ...]:
    """Findings of the file or of a copy of it: of two copies of a slice, one is read."""
    root = next(up for up in path.parents if up.name == "robustness")
    raw, copies = path.read_bytes(), {path}
    copies |= {p for p in root.rglob("*") if p.suffix == path.suffix and _as_large(p, raw) and p.read_bytes() == raw}
    names = {f"files/{copy.relative_to(root).as_posix()}" for copy in copies}
    return tuple(one for one in found if names & one.paths)


def _as_large(path: Path, raw: bytes) -> bool:
    return path.is_file() and path.stat().st_size == len(raw)


def _same(one: Outcome, other: Outcome) -> bool:
    a, b = one.signal, other.signal
    return isinstance(a, CtVolume) and isinstance(b, CtVolume) and np.array_equal(a.hu, b.hu)
