"""10,000 damaged DICOM files: each is refused with a code, read as before, or read with a flag that says what is odd.

What no reader can notice is counted, by its reason, and nothing else may change quietly:

- bytes of pixels changed where they stay as many: DICOM has no checksum;
- a legal value in place of another in a file that has no sister to compare with: nothing in it contradicts it;
- the time of one slice of a series, by less than the hour that a series may take.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.ct import volume as ct
from clinic_mm.sources.ct.alike import LONGEST_SERIES
from clinic_mm.sources.dicom.find import find_dicom
from clinic_mm.sources.xray import image as xray
from clinic_mm.types import Evidence, Rejected
from tests.fuzz import seeds
from tests.fuzz.dicom_lies import Taken, lie, take
from tests.fuzz.gate import Gate, Verdict, apart, check

UTC: Final = ZoneInfo("UTC")
PIXEL_BYTES: Final = "pixels: other bytes, as many as before (DICOM has no checksum)"
LONE_FILE: Final = "lone file: a legal value in place of another"
WITHIN_HOUR: Final = "series: the time of a slice, by less than an hour"
UNNOTICEABLE: Final = frozenset({PIXEL_BYTES, LONE_FILE, WITHIN_HOUR})
LOADERS: Final = {"ct": ct.load, "xray": xray.load}
SHARE_OF_SERIES: Final = 0.7


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of some files: whose, when, how large, which values."""

    patient_id: str
    acquired_at: datetime | None
    spacing_mm: tuple[float, ...] | None
    values: np.ndarray
    flags: frozenset[str]

    def same(self, other: "Reading") -> bool:
        """Equal but for roundings of the geometry within the tolerance of a series (1 %)."""
        return (
            (self.patient_id, self.acquired_at) == (other.patient_id, other.acquired_at)
            and (self.spacing_mm is None) == (other.spacing_mm is None)
            and np.allclose(self.spacing_mm or 0, other.spacing_mm or 0, rtol=0.02)
            and np.array_equal(self.values, other.values)
        )


def read(root: Path, files: Sequence[Path], hurt: Path) -> Reading:
    """Find and load what the files hold.

    Raises:
        EvidenceError: With the code that the hurt file was refused with.
    """
    found = list(find_dicom(root, "r", files, UTC))
    for one in found:
        if isinstance(one.finding, Rejected) and str(hurt.name) in one.finding.paths:
            raise EvidenceError(one.finding.code, one.finding.why)
    (usable,) = [one for one in found if isinstance(one.finding, Evidence)]
    evidence = usable.finding
    assert isinstance(evidence, Evidence)
    signal = LOADERS[evidence.modality]([root / path for path in evidence.paths])
    values = signal.hu if evidence.modality == "ct" else signal.grey
    flags = frozenset(flag.code for flag in (*evidence.flags, *signal.flags))
    return Reading(usable.patient_id, evidence.acquired_at, signal.spacing_mm, values, flags)


def judge(before: Reading, after: Reading, where: str, lone: bool) -> Verdict:
    if more := after.flags - before.flags:
        return "flagged", sorted(more)[0]
    if after.same(before):
        return "equal", ""
    same_shape = after.values.shape == before.values.shape
    if where == "pixels" and same_shape:
        return "quiet", PIXEL_BYTES
    if lone:
        return "quiet", LONE_FILE
    odd = [
        name for name in ("patient_id", "acquired_at", "spacing_mm") if getattr(before, name) != getattr(after, name)
    ]
    if odd == ["acquired_at"] and np.array_equal(before.values, after.values) and _within_hour(before, after):
        return "quiet", WITHIN_HOUR
    return "quiet", f"{where}: {', '.join(odd or ['values'])}"


def _within_hour(before: Reading, after: Reading) -> bool:
    assert before.acquired_at is not None
    return after.acquired_at is not None and abs(after.acquired_at - before.acquired_at) <= LONGEST_SERIES


def run(n: int, seed: int) -> dict[str, object]:
    """Damage one slice of a series, or a lone radiograph, `n` times, in all syntaxes in turn."""
    rng, gate = np.random.default_rng(seed), Gate()
    with TemporaryDirectory() as folder:
        places = [_Place(Path(folder) / f"{number}", syntax) for number, syntax in enumerate(seeds.SYNTAXES)]
        for number in range(n):
            place = places[number % len(places)]
            series = rng.random() < SHARE_OF_SERIES
            which = int(rng.integers(seeds.SLICES)) if series else seeds.SLICES
            name, where, data = lie(rng, place.taken[which])
            gate.attempt(
                f"{name}: {where} of {place.syntax} (number {number})", partial(place.hurt, which, data, where)
            )
    return gate.result()


class _Place:
    """The files of one syntax on disk: five slices of a series, and a radiograph as the sixth."""

    def __init__(self, folder: Path, syntax: str) -> None:
        self.folder, self.syntax = folder, syntax
        self.whole = [*seeds.series(syntax), seeds.radiograph(syntax)]
        self.taken: list[Taken] = [take(data) for data in self.whole]
        folder.mkdir()
        self.paths = [folder / f"{number}.dcm" for number in range(len(self.whole))]
        for path, data in zip(self.paths, self.whole, strict=True):
            path.write_bytes(data)
        self.before = [read(folder, self._files(which), self.paths[which]) for which in range(len(self.whole))]

    def hurt(self, which: int, data: bytes, where: str) -> Verdict:
        path = self.paths[which]
        path.write_bytes(data)
        try:
            after = read(self.folder, self._files(which), path)
        finally:
            path.write_bytes(self.whole[which])
        return judge(self.before[which], after, where, lone=which == seeds.SLICES)

    def _files(self, which: int) -> list[Path]:
        return self.paths[-1:] if which == seeds.SLICES else self.paths[:-1]


def test_500_damaged_files() -> None:
    check(apart("tests.fuzz.test_dicom", 500, 1), 500, UNNOTICEABLE)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_10000_damaged_files() -> None:
    check(apart("tests.fuzz.test_dicom", 10_000, 2, seconds=1700), 10_000, UNNOTICEABLE)
