"""What one series UID may hold: several volumes, copies, other things; and what the air of a volume tells."""

from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.ct.split import SHARED_NUMBERS, frames_locator, frames_named
from clinic_mm.sources.ct.volume import load
from clinic_mm.sources.dicom.find import find_dicom
from clinic_mm.sources.walk import walk
from clinic_mm.types import Evidence, Rejected
from tests.sources.made import body, write_series

ZONE = ZoneInfo("Europe/Berlin")
N = 6


def found(root: Path) -> list[Evidence | Rejected]:
    return [one.finding for one in find_dicom(root, "r", list(walk(root)), ZONE)]


def twice(root: Path, first: dict[str, object], second: dict[str, object]) -> tuple[np.ndarray, np.ndarray]:
    """Two volumes in the same place under one series UID; what is stored in each."""
    early, late = body(N), body(N)[::-1]
    write_series(root, early, [f"a{k}" for k in range(N)], **first)
    write_series(root, late, [f"b{k}" for k in range(N)], **second)
    return early, late


APART = {
    "acquisition number": ({"AcquisitionNumber": 1}, {"AcquisitionNumber": 2}),
    "image type": (
        {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "A"]},
        {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "B"]},
    ),
    "kernel": ({"ConvolutionKernel": "B30f"}, {"ConvolutionKernel": "B70f"}),
    "acquisition time": (
        {"AcquisitionDate": "20240102", "AcquisitionTime": lambda k: f"1015{k:02d}"},
        {"AcquisitionDate": "20240102", "AcquisitionTime": lambda k: f"1016{k:02d}"},
    ),
}


@pytest.mark.parametrize("by", APART)
def test_volumes_in_the_same_place_are_split_and_each_is_read(tmp_path: Path, by: str) -> None:
    stored = twice(tmp_path, *APART[by])
    both = found(tmp_path)
    assert len(both) == 2
    for one, values in zip(both, stored, strict=True):
        assert isinstance(one, Evidence)
        assert by in next(flag.why for flag in one.flags if flag.code == "ct.split")
        volume = load([tmp_path / path for path in one.paths], locator=one.locator)
        np.testing.assert_array_equal(volume.hu, values.transpose(2, 1, 0)[::-1, ::-1].astype(np.float32) - 1024)


def test_volumes_that_share_their_numbering_are_split_and_read(tmp_path: Path) -> None:
    odd, even = ({"AcquisitionNumber": n, "InstanceNumber": lambda k, n=n: 2 * k + n} for n in (1, 2))
    twice(tmp_path, odd, even)
    both = found(tmp_path)
    assert [one.locator for one in both if isinstance(one, Evidence)] == [SHARED_NUMBERS] * 2
    for one in both:
        assert load([tmp_path / path for path in one.paths], locator=one.locator).hu.shape == (10, 8, N)


def test_a_split_volume_with_a_slice_missing_is_refused_and_the_other_is_not(tmp_path: Path) -> None:
    twice(tmp_path, {"AcquisitionNumber": 1}, {"AcquisitionNumber": 2})
    (tmp_path / "b2").unlink()
    whole, torn = found(tmp_path)
    assert isinstance(whole, Evidence)
    assert isinstance(torn, Rejected)
    assert (torn.code, len(torn.paths)) == ("ct.missing_slices", N - 1)


def test_slices_that_nothing_sets_apart_are_refused(tmp_path: Path) -> None:
    twice(tmp_path, {}, {"AcquisitionTime": "101700"})
    (one,) = found(tmp_path)
    assert isinstance(one, Rejected)
    assert one.code == "ct.duplicate_slices"


def test_a_study_key_and_points_go_with_each_volume_and_name_nobody(tmp_path: Path) -> None:
    write_series(tmp_path / "thick", body(N), SeriesInstanceUID="1.1", ConvolutionKernel="B30f")
    write_series(
        tmp_path / "thin",
        body(2 * N),
        SeriesInstanceUID="1.2",
        ImagePositionPatient=lambda k: [-10.0, -20.0, 1.5 * k],
        SliceThickness=1.5,
        ConvolutionKernel="B30f",
    )
    write_series(tmp_path / "mpr", body(N), SeriesInstanceUID="1.3", ImageType=["DERIVED", "SECONDARY", "MPR"])
    by_folder = {one.paths[0].split("/")[0]: one for one in found(tmp_path) if isinstance(one, Evidence)}
    points = {name: one.meta["points"] for name, one in by_folder.items()}
    assert points["thin"] > points["thick"] > points["mpr"]
    assert "+3 a slice every 1.5 mm" in by_folder["thin"].meta["points_why"]
    assert len({one.meta["study"] for one in by_folder.values()}) == 1
    assert "1.2.3" not in by_folder["thin"].model_dump_json()


@pytest.mark.parametrize("frames", [[0], [3, 1, 2], [0, 2, 3, 9], list(range(40))])
def test_frames_are_named_and_found_again(frames: list[int]) -> None:
    assert frames_named(frames_locator(frames), 40) == sorted(frames)
    assert frames_named("", 3) == [0, 1, 2]


@pytest.mark.parametrize("locator", ["frames 40", "frames x", "frames ", "frames 3-99999999999"])
def test_frames_that_are_not_there_are_refused(locator: str) -> None:
    if locator == "frames 3-99999999999":
        assert max(frames_named("frames 3-39", 40)) == 39
    with pytest.raises(EvidenceError) as caught:
        frames_named(locator, 40)
    assert caught.value.code == "ct.bad_locator"


def chest(shift_hu: float = 0.0) -> np.ndarray:
    """Stored values of noisy air around a body with a lung: SIMULATED."""
    rng = np.random.default_rng(3)
    hu = np.full((N, 64, 64), -1000.0)
    hu[:, 12:52, 8:56] = 40.0
    hu[:, 20:44, 14:30] = -840.0
    return np.rint(hu + rng.normal(0, 25, hu.shape) + 1024 + shift_hu).clip(0).astype(np.uint16)


def codes(files: list[Path]) -> set[str]:
    return {flag.code for flag in load(files).flags}


@pytest.mark.parametrize(
    ("elements", "stored", "expected"),
    [
        ({}, chest, set()),
        ({}, lambda: chest(110.0), {"ct.air_off"}),
        ({}, lambda: chest(-110.0), set()),  # clipped at the lowest stored value, -1024: nothing shows the shift
        ({"RescaleIntercept": -1134}, chest, {"ct.air_off"}),
        ({"RescaleIntercept": 0}, chest, {"ct.odd_range", "ct.no_air"}),
        ({}, lambda: chest()[:, 12:52, 32:56], {"ct.no_air", "ct.odd_range"}),
    ],
    ids=["true", "shifted up", "shifted down", "intercept off", "intercept lost", "inside of the body"],
)
def test_the_air_tells_whether_numbers_are_hounsfield_units(
    tmp_path: Path, elements: dict[str, object], stored: Callable[[], np.ndarray], expected: set[str]
) -> None:
    assert codes(write_series(tmp_path, stored(), **elements)) == expected
