"""3,000 damaged EDF and BDF files: each is refused with a code, read as before, or read with a flag.

The path is the product's: found, loaded, prepared. Claimed is every damage to the header, to the size, to the order and
the times of records, and every transfer as text. What no reader can notice is counted, by its reason, and nothing else
may change quietly:

- samples changed where they stay as many: EDF has no checksum;
- an annotation's text or time, or the patient and start fields, replaced by a legal one: no signal, and nothing to
  compare with;
- the last records cut off and the header told: that is a shorter recording;
- in a file without annotation signal, records in another order, or another duration of all records: no record says
  when it begins.
"""

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
from clinic_mm.prep.base import make_prep
from clinic_mm.sources.eeg import recording as eeg
from clinic_mm.types import Evidence, Rejected
from tests.fuzz.edf_damage import damage
from tests.fuzz.gate import Gate, Verdict, apart, check
from tests.sources.eeg.edf_files import TEN_TWENTY, Parts, move_records, parts_of, without_annotations, write_edf

UTC: Final = ZoneInfo("UTC")
SECONDS: Final = 8
PREP: Final = make_prep("eeg", {"windows": 2, "window_s": 2.0, "sfreq_hz": 128.0})
SAMPLES: Final = "samples: other values, as many as before (EDF has no checksum)"
ANNOTATIONS: Final = "annotations: another legal text or time"
IDENTITY: Final = "patient or start: another legal one"
NO_TIMES: Final = "no annotation signal: records do not say when they begin"
SHORTER: Final = "the last records cut off, and the header told"
UNNOTICEABLE: Final = frozenset({SAMPLES, ANNOTATIONS, IDENTITY, NO_TIMES, SHORTER})


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a file: whose, when, and all that a model or a person would see."""

    who: str
    at: datetime | None
    channels: tuple[str, ...]
    sfreq_hz: float
    volts: np.ndarray
    gaps: tuple[tuple[float, float], ...]
    annotations: tuple[tuple[float, float, str], ...]
    flags: frozenset[tuple[str, str]]

    def same_signal(self, other: "Reading") -> bool:
        """Equal but for a scale within 0.1 %, which is how exactly headers agree with each other."""
        return (
            (self.channels, self.sfreq_hz, self.gaps) == (other.channels, other.sfreq_hz, other.gaps)
            and self.volts.shape == other.volts.shape
            and np.allclose(self.volts, other.volts, rtol=1.5e-3, atol=1e-6, equal_nan=True)
        )


def read(path: Path) -> Reading:
    """Find, load and prepare a file.

    Raises:
        EvidenceError: With the code that it was refused with.
    """
    (found,) = eeg.find_eeg(path.parent, "r", [path], UTC)
    if isinstance(found.finding, Rejected):
        raise EvidenceError(found.finding.code, found.finding.why)
    assert isinstance(found.finding, Evidence)
    signal = eeg.load([path])
    told = (*found.finding.flags, *PREP(signal).flags)
    return Reading(
        who=found.patient_id,
        at=found.finding.acquired_at,
        channels=signal.channels,
        sfreq_hz=signal.sfreq_hz,
        volts=np.asarray(signal.volts),
        gaps=signal.gaps,
        annotations=signal.annotations,
        flags=frozenset((flag.code, flag.why) for flag in told),
    )


def judge(path: Path, whole: bytes, hurt: bytes, before: Reading) -> Verdict:
    path.write_bytes(hurt)
    after = read(path)
    if more := after.flags - before.flags:
        return "flagged", sorted(more)[0][0]
    if after.same_signal(before):
        if after.annotations != before.annotations:
            return "quiet", ANNOTATIONS if _only_records(whole, hurt) else "header: annotations"
        return ("equal", "") if (after.who, after.at) == (before.who, before.at) else ("quiet", IDENTITY)
    if len(hurt) == len(whole) and _header_alone(path, whole, hurt).same_signal(before):
        return "quiet", SAMPLES
    if hurt[244:] == whole[244 : len(hurt)] and len(hurt) < len(whole):
        return "quiet", SHORTER
    if parts_of(whole).annotations is None and _no_times(whole, hurt):
        return "quiet", NO_TIMES
    return "quiet", f"header: {_difference(before, after)}"


def _only_records(whole: bytes, hurt: bytes) -> bool:
    """Whether the header, and so the size, is as it was."""
    return hurt[: parts_of(whole).header] == whole[: parts_of(whole).header]


def _header_alone(path: Path, whole: bytes, hurt: bytes) -> Reading:
    """What the hurt header makes of the records as they were."""
    header = parts_of(whole).header
    path.write_bytes(hurt[:header] + whole[header:])
    return read(path)


def _no_times(whole: bytes, hurt: bytes) -> bool:
    """Whether beside the records only their number, or their duration, is another one."""
    header = parts_of(whole).header
    return hurt[:236] == whole[:236] and hurt[252:header] == whole[252:header]


def _difference(before: Reading, after: Reading) -> str:
    names = ("channels", "sfreq_hz", "gaps")
    odd = [name for name in names if getattr(before, name) != getattr(after, name)]
    return ", ".join(odd or ["volts"])


def seeds(folder: Path) -> list[bytes]:
    """EDF+, BDF+, EDF+D with a gap, and plain EDF; 19 electrodes, ECG and a signal that is no voltage."""
    labels = [f"EEG {name}-Ref" for name in TEN_TWENTY] + ["ECG", "SpO2"]
    notes = ((1.5, 0.5, "spike"), (4.0, 0.0, "eyes closed"))
    path = folder / "seed.edf"
    whole = write_edf(path, labels, seconds=SECONDS, annotations=notes).read_bytes()
    wide = write_edf(path, labels, seconds=SECONDS, annotations=notes, wide=True).read_bytes()
    path.write_bytes(whole)
    broken = move_records(path, [0, 1, 2, 3, 14, 15, 16, 17]).read_bytes()
    path.unlink()
    return [whole, wide, broken, without_annotations(whole)]


def run(n: int, seed: int) -> dict[str, object]:
    """Damage `n` files of the four kinds in turn."""
    rng, gate = np.random.default_rng(seed), Gate()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.edf"
        given = []
        for whole in seeds(Path(folder)):
            path.write_bytes(whole)
            given.append((whole, read(path)))
        for number in range(n):
            whole, before = given[number % len(given)]
            name, hurt = damage(rng, whole)
            gate.attempt(f"{name} (number {number})", partial(judge, path, whole, hurt, before))
    return gate.result()


def test_200_damaged_files() -> None:
    check(apart("tests.fuzz.test_edf", 200, 1), 200, UNNOTICEABLE)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_3000_damaged_files() -> None:
    check(apart("tests.fuzz.test_edf", 3000, 2, seconds=1100), 3000, UNNOTICEABLE)


def test_the_seeds_are_read_without_a_reservation(tmp_path: Path) -> None:
    """Otherwise a flag that damage brings could hide among theirs."""
    told = []
    for whole in seeds(tmp_path):
        (tmp_path / "a.edf").write_bytes(whole)
        reading = read(tmp_path / "a.edf")
        told.append({code for code, _ in reading.flags})
        assert reading.volts.shape[0] == 19
    assert told == [set(), set(), {"eeg.gaps"}, set()]


def test_parts_are_where_the_standard_says(tmp_path: Path) -> None:
    parts = parts_of(write_edf(tmp_path / "a.edf", ["Cz"], seconds=2).read_bytes())
    assert isinstance(parts, Parts)
    assert (parts.signals, parts.header, parts.records) == (2, 768, 2)
