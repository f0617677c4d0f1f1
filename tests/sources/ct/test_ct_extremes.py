"""Numbers that no scanner writes end in our error or in a volume of finite geometry, never in a warning of numpy."""

import struct
from collections import Counter
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import nibabel as nib
import numpy as np

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.ct.nifti import find_nifti
from clinic_mm.sources.ct.volume import load
from clinic_mm.sources.ct.volumes import Volume, volumes
from clinic_mm.sources.dicom.header import Header, read_header
from tests.sources.made import body, write_series

EXTREMES = [0.0, 1.0, -1.0, 3.0, 0.5, 1e-9, 1e-30, 1e30, -1e30, 99999.0]
NUMBERS = ("thickness_mm", "declared_gap_mm", "slope", "intercept", "tilt_deg")


def damaged(header: Header, rng: np.random.Generator) -> Header:
    """One element of a header replaced by a number from the edge of what can be written."""
    number = float(rng.choice(EXTREMES))
    match rng.integers(4):
        case 0:
            position = [*(header.position or ())]
            position[rng.integers(3)] = number
            return replace(header, position=tuple(position))
        case 1:
            orientation = [*(header.orientation or ())]
            orientation[rng.integers(6)] = number
            return replace(header, orientation=tuple(orientation))
        case 2:
            return replace(header, pixel_spacing_mm=(number, float(rng.choice(EXTREMES))))
        case _:
            return replace(header, **{str(rng.choice(NUMBERS)): number}, instance_number=int(rng.integers(-1, 2**40)))


def test_extreme_headers_end_in_a_volume_or_a_code(tmp_path: Path) -> None:
    whole = [read_header(path) for path in write_series(tmp_path, body(8))]
    rng, ends = np.random.default_rng(0), Counter[str]()
    for _ in range(300):
        headers = list(whole)
        which = range(8) if rng.random() < 0.4 else [int(rng.integers(8))]
        seed = int(rng.integers(2**32))
        for k in which:  # the same damage to all, or to one
            headers[k] = damaged(headers[k], np.random.default_rng(seed))
        for one in volumes(headers):
            if isinstance(one, Volume):
                assert np.isfinite(np.array(one.meta["spacing_mm"], float)).all()
            ends["volume" if isinstance(one, Volume) else one[0].code] += 1
    assert len(ends) > 5
    assert 0 < ends["volume"] < 250


def test_extreme_affines_of_nifti_end_in_a_volume_or_a_code(tmp_path: Path) -> None:
    rng, ends, path = np.random.default_rng(0), Counter[str](), tmp_path / "a.nii"
    image = nib.Nifti1Image(body(7, 6, 5).astype(np.int16) - 1024, np.diag([1.0, 2.0, 3.0, 1.0]))
    whole = image.to_bytes()
    for _ in range(150):
        raw = bytearray(whole)
        raw[252:256] = struct.pack("<hh", *rng.integers(0, 3, 2))
        for place in rng.integers(0, 18, 3):  # quaternion, offset and the three rows of the sform
            raw[256 + 4 * place : 260 + 4 * place] = struct.pack("<f", rng.choice([*EXTREMES, np.nan, np.inf]))
        path.write_bytes(bytes(raw))
        (one,) = find_nifti(tmp_path, "r", [path], ZoneInfo("UTC"))
        try:
            volume = load([path])
        except EvidenceError as fault:
            ends[fault.code] += 1
            assert one.finding.status == "rejected"
        else:
            ends["volume"] += 1
            assert list(volume.hu.shape) == one.finding.meta["shape"]
            assert np.isfinite(volume.spacing_mm).all()
    assert {"volume", "ct.no_geometry"} <= set(ends)
