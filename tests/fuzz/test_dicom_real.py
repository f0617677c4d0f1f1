"""Real files, damaged: in every transfer syntax and from many makers, whose headers are longer and odder than ours.

Single slices make no volume, so what is compared of them is what the decoder gives; of radiographs, what is shown.
"""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import pytest

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.dicom import pixels
from clinic_mm.sources.dicom.find import find_dicom
from clinic_mm.sources.dicom.header import header_of
from clinic_mm.sources.dicom.stream import open_dicom
from clinic_mm.sources.xray import image as xray
from clinic_mm.types import Evidence, Rejected
from tests.conftest import DATA
from tests.fuzz.dicom_lies import lie, take
from tests.fuzz.gate import Gate, Verdict, apart, check
from tests.fuzz.mutate import mutate
from tests.fuzz.test_dicom import LONE_FILE, PIXEL_BYTES, UTC

UNNOTICEABLE: Final = frozenset({PIXEL_BYTES, LONE_FILE})
FOLDERS: Final = ("dicom_syntax", "xray_dicom")
Read = tuple[np.ndarray, frozenset[str]]


def run(n: int, seed: int) -> dict[str, Any]:
    """Damage each real file in turn, `n` times in all."""
    rng, gate = np.random.default_rng(seed), Gate()
    whole = {path: before for path in _files() if (before := _whole(path)) is not None}
    with TemporaryDirectory() as folder:
        target = Path(folder) / "hurt.dcm"
        for number in range(n):
            path = list(whole)[number % len(whole)]
            name, where, data = _damage(rng, path.read_bytes())
            gate.attempt(
                f"{name}: {where} of {path.name} (number {number})", partial(_judge, target, data, whole[path], where)
            )
    return gate.result()


def _files() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (DATA / folder).glob("*.dcm"))


def _whole(path: Path) -> Read | None:
    """What the undamaged file gives; None where it is refused as it is, for its kind or for want of an extra."""
    try:
        return _read(path)
    except EvidenceError:
        return None


def _damage(rng: np.random.Generator, data: bytes) -> tuple[str, str, bytes]:
    try:
        return lie(rng, take(data))
    except (AttributeError, StopIteration, ValueError):  # sequences without a length: damaged blindly
        at = data.rindex(b"\xe0\x7f\x10\0") if rng.random() < 0.7 else len(data)
        name, hurt = mutate(rng, data, (132, at) if at < len(data) else None)
        return name, "header" if at < len(data) else "pixels", hurt


def _read(path: Path) -> Read:
    (found,) = find_dicom(path.parent, "r", [path], UTC)
    one = found.finding
    if isinstance(one, Rejected) and one.code != "ct.too_few_slices":
        raise EvidenceError(one.code, one.why)
    flags = frozenset(flag.code for flag in one.flags) if isinstance(one, Evidence) else frozenset()
    if isinstance(one, Evidence) and one.modality == "xray":
        image = xray.load([path])
        return image.grey, flags | {flag.code for flag in image.flags}
    opened = open_dicom(path)
    header = header_of(path, opened)
    return pixels.decode(opened.stream, header.pixels, header.padding)[0], flags | {f.code for f in header.flags}


def _judge(target: Path, data: bytes, before: Read, where: str) -> Verdict:
    target.write_bytes(data)
    values, flags = _read(target)
    if more := flags - before[1]:
        return "flagged", min(more)
    if values.shape == before[0].shape and np.array_equal(values, before[0]):
        return "equal", ""
    return "quiet", PIXEL_BYTES if where == "pixels" and values.shape == before[0].shape else LONE_FILE


@pytest.mark.realdata
def test_100_damaged_real_files() -> None:
    check(apart("tests.fuzz.test_dicom_real", 100, 3), 100, UNNOTICEABLE)


@pytest.mark.long
@pytest.mark.realdata
@pytest.mark.timeout(1800)
def test_3000_damaged_real_files() -> None:
    check(apart("tests.fuzz.test_dicom_real", 3000, 4, seconds=1700), 3000, UNNOTICEABLE)
