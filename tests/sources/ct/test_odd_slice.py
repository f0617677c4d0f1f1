"""One slice that does not belong is seen; real series, whatever their noise and thickness, have none."""

from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from clinic_mm.sources.ct.odd_slice import odd_slice_flags
from clinic_mm.sources.ct.volume import load
from clinic_mm.sources.dicom.find import find_dicom
from clinic_mm.sources.walk import FileKind, sniff, walk
from clinic_mm.types import Evidence

UTC = ZoneInfo("UTC")


@pytest.mark.realdata
def test_a_slice_that_does_not_belong_is_seen_in_every_real_series(data: Path) -> None:
    files = [path for path in walk(data / "ct") if sniff(path) is FileKind.DICOM]
    series = [one.finding for one in find_dicom(data, "r", files, UTC) if isinstance(one.finding, Evidence)]
    assert len(series) >= 2
    for one in series:
        volume = load([data / path for path in one.paths])
        assert "ct.odd_slice" not in {flag.code for flag in volume.flags}
        slices = volume.hu.transpose(2, 1, 0)
        middle = len(slices) // 2
        for hurt in HURTS:
            assert _flags_with(slices, middle, hurt) == {"ct.odd_slice"}, hurt


HURTS: list[Callable[[np.ndarray], np.ndarray]] = [
    lambda one: np.full_like(one, 0.0),
    lambda one: np.full_like(one, 3000.0),
    lambda one: one[::-1, :],
    lambda one: np.random.default_rng(1).permutation(one.ravel()).reshape(one.shape),
]


def _flags_with(slices: np.ndarray, index: int, hurt: Callable[[np.ndarray], np.ndarray]) -> set[str]:
    hurt_slices = slices.copy()
    hurt_slices[index] = hurt(slices[index])
    return {flag.code for flag in odd_slice_flags(hurt_slices)}


def test_noise_alone_is_not_odd() -> None:
    rng = np.random.default_rng(2)
    assert odd_slice_flags(rng.normal(0, 150, (40, 64, 64)).astype(np.float32)) == ()
