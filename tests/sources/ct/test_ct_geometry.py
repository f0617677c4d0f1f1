"""Laws of the series layer: what is repaired equals what an upright, even scan had shown; the rest is refused."""

import math
from collections.abc import Callable
from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import CtVolume
from clinic_mm.sources.ct.axes import to_ras
from clinic_mm.sources.ct.series import stack
from clinic_mm.sources.ct.volume import load
from clinic_mm.sources.dicom.header import Header, read_header
from tests.sources.made import write_series

SLICES, ROWS, COLUMNS = 8, 80, 90
PIXEL_MM, STEP_MM = (1.5, 1.25), 4.0
"""Along columns (from row to row) and along rows."""
LARGEST_ERROR_HU = 15.0
"""Linear interpolation errs by at most h² f'' / 8 per axis: 1.5 mm in balls of 8 mm that add up to 2500 HU, 11 HU."""


def turned(seed: int) -> np.ndarray:
    """Any orientation: rows, columns and normal as the columns of a rotation."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q * np.array([1, 1, np.linalg.det(q)])


AXIAL, SAGITTAL = np.eye(3), np.array([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]])
CENTRE = np.array([10.0, -20.0, 30.0])


def phantom(points: np.ndarray) -> np.ndarray:
    """HU of soft balls in air, at points in mm; air again well inside of the slices' edges."""
    balls = (((0, 0, 0), 900.0), ((6, -5, 4), 600.0), ((-7, 4, -6), 1000.0))
    hu = np.full(points.shape[:-1], -1000.0)
    for shift, height in balls:
        hu += height * np.exp(-(((points - CENTRE - shift) / 8.0) ** 2).sum(-1) / 2)
    return hu


def slices_at(axes: np.ndarray, origins: np.ndarray, rows: int = ROWS, columns: int = COLUMNS) -> np.ndarray:
    r, c = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    plane = r[..., None] * axes[:, 1] * PIXEL_MM[0] + c[..., None] * axes[:, 0] * PIXEL_MM[1]
    return phantom(origins[:, None, None, :] + plane)


def series(folder: Path, axes: np.ndarray, origins: np.ndarray, hu: np.ndarray, **more: object) -> list[Path]:
    return write_series(
        folder,
        np.rint(hu + 1024).astype(np.int16),
        PixelSpacing=list(PIXEL_MM),
        SliceThickness=more.pop("SliceThickness", STEP_MM),
        ImageOrientationPatient=[*axes[:, 0], *axes[:, 1]],
        ImagePositionPatient=lambda k: [float(x) for x in np.round(origins[k], 6)],
        **more,
    )


def first_corner(axes: np.ndarray) -> np.ndarray:
    middle = [COLUMNS / 2 * PIXEL_MM[1], ROWS / 2 * PIXEL_MM[0], (SLICES - 1) / 2 * STEP_MM]
    return CENTRE - axes @ np.array(middle)


def codes(volume: CtVolume) -> set[str]:
    return {flag.code for flag in volume.flags}


@pytest.mark.parametrize(
    ("axes", "tilt_deg", "toward_deg"),
    [(AXIAL, 18.5, 90), (AXIAL, -12.0, 90), (SAGITTAL, 15.0, 0), (turned(1), -25.0, 40), (turned(2), 20.0, 90)],
    ids=["axial", "axial, other way", "sagittal, along rows", "any, both", "any"],
)
def test_a_tilted_scan_equals_an_upright_one(
    tmp_path: Path, axes: np.ndarray, tilt_deg: float, toward_deg: float
) -> None:
    toward = math.radians(toward_deg)
    per_slice_mm = STEP_MM * math.tan(math.radians(tilt_deg)) * np.array([math.cos(toward), math.sin(toward)])
    k = np.arange(SLICES)[:, None]
    straight = first_corner(axes) + k * STEP_MM * axes[:, 2]
    leaning = straight + k * per_slice_mm @ axes[:, :2].T
    corrected = load(series(tmp_path / "tilted", axes, leaning, slices_at(axes, leaning)))
    last = np.round((SLICES - 1) * per_slice_mm / PIXEL_MM[::-1], 4)  # columns, rows
    low, high = np.floor(np.minimum(last, 0)), np.ceil(np.maximum(last, 0))
    grown = (high - low).astype(int)
    origins = straight + axes[:, 0] * low[0] * PIXEL_MM[1] + axes[:, 1] * low[1] * PIXEL_MM[0]
    wide = slices_at(axes, origins, ROWS + int(grown[1]), COLUMNS + int(grown[0]))
    upright = load(series(tmp_path / "upright", axes, origins, wide))
    assert corrected.hu.shape == upright.hu.shape
    assert corrected.spacing_mm == pytest.approx(upright.spacing_mm, rel=1e-5)
    worst = float(np.abs(corrected.hu - upright.hu).max())
    assert worst < LARGEST_ERROR_HU
    assert upright.hu.max() > 0  # otherwise all of this would be about air
    (why,) = (flag.why for flag in corrected.flags if flag.code == "ct.tilt_corrected")
    assert f"by {abs(tilt_deg):.1f} degrees" in why
    assert "ct.tilt_corrected" not in codes(upright)


def test_a_tilt_beyond_any_gantry_and_an_uneven_shift_are_refused(tmp_path: Path) -> None:
    k = np.arange(SLICES)[:, None]
    straight = first_corner(AXIAL) + k * STEP_MM * AXIAL[:, 2]
    for name, sideways in {"far": k * 4.0, "uneven": 3.0 * (k % 3)}.items():
        origins = straight + sideways * AXIAL[:, 1]
        with pytest.raises(EvidenceError) as caught:
            load(series(tmp_path / name, AXIAL, origins, slices_at(AXIAL, origins)))
        assert caught.value.code == "ct.tilt"


def test_a_tilt_that_only_the_header_names_is_told(tmp_path: Path) -> None:
    origins = first_corner(AXIAL) + np.arange(SLICES)[:, None] * STEP_MM * AXIAL[:, 2]
    hu = slices_at(AXIAL, origins)
    assert "ct.tilt_disagrees" in codes(load(series(tmp_path / "a", AXIAL, origins, hu, GantryDetectorTilt=-12.0)))
    assert "ct.tilt_disagrees" not in codes(load(series(tmp_path / "b", AXIAL, origins, hu, GantryDetectorTilt=0.3)))


def test_a_sheared_nifti_equals_an_upright_one(tmp_path: Path) -> None:
    per_slice = 1.1  # voxels along y, more than half of the step: 16.8 degrees at 4 mm
    affine = np.diag([1.25, 1.1, STEP_MM, 1.0])
    affine[:3, 3] = CENTRE - [56, 55, 14]
    sheared = affine.copy()
    sheared[1, 2] = per_slice * 1.1
    tilted = load([nifti(tmp_path / "a.nii", sheared, (90, 100, 8))])
    upright = load([nifti(tmp_path / "b.nii", affine, (90, 100 + math.ceil(7 * per_slice), 8))])
    assert tilted.hu.shape == upright.hu.shape
    assert tilted.spacing_mm == pytest.approx(upright.spacing_mm)
    worst = float(np.abs(tilted.hu - upright.hu).max())
    assert worst < LARGEST_ERROR_HU
    assert "ct.tilt_corrected" in codes(tilted)
    assert upright.flags == ()


def nifti(path: Path, affine: np.ndarray, shape: tuple[int, int, int]) -> Path:
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    hu = phantom(grid @ affine[:3, :3].T + affine[:3, 3])
    nib.save(nib.Nifti1Image(hu.astype(np.float32), affine), path)
    return path


def test_a_nifti_with_skewed_rows_is_refused(tmp_path: Path) -> None:
    affine = np.eye(4)
    affine[0, 1] = 0.3
    with pytest.raises(EvidenceError) as caught:
        load([nifti(tmp_path / "a.nii", affine, (12, 12, 12))])
    assert caught.value.code == "ct.tilt"


def test_two_affines_of_a_nifti_that_disagree_are_told_and_mirrored_ones_refused(tmp_path: Path) -> None:
    affine = np.diag([1.25, 1.1, 4.0, 1.0])
    affine[:3, 3] = CENTRE - [25, 24, 14]
    path = nifti(tmp_path / "a.nii", affine, (40, 44, 8))
    image = nib.load(path)
    moved = affine.copy()
    moved[0, 3] += 9.0
    image.header.set_qform(moved, 1)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), None, image.header), tmp_path / "b.nii")
    assert codes(load([tmp_path / "b.nii"])) == {"nifti.affines_differ"}
    image.header.set_qform(np.diag([-1.0, 1, 1, 1]) @ affine, 1)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), None, image.header), tmp_path / "c.nii")
    with pytest.raises(EvidenceError) as caught:
        load([tmp_path / "c.nii"])
    assert caught.value.code == "ct.no_geometry"


FOSSA = np.cumsum([0, 4, 4, 4, 1.1, 7, 7, 7])
"""As old head protocols scan: thin through the base of the skull, thick above."""
THICK = [4.0] * 4 + [7.0] * 4


def uneven(folder: Path, along: np.ndarray, thickness: Callable[[int], float | None], **more: object) -> list[Path]:
    origins = first_corner(AXIAL) + along[:, None] * AXIAL[:, 2]
    hu = slices_at(AXIAL, np.repeat(origins[:1], len(along), axis=0)) + 10.0 * along[:, None, None]
    return series(folder, AXIAL, origins, hu, SliceThickness=thickness, **more)


def test_a_spacing_that_changes_by_design_becomes_even(tmp_path: Path) -> None:
    volume = load(uneven(tmp_path, FOSSA, lambda k: THICK[k]))
    assert volume.spacing_mm[2] == pytest.approx(4.0)
    # What is linear along the normal is exact under linear interpolation: 10 HU per mm, whatever the gaps were.
    np.testing.assert_allclose(np.diff(volume.hu, axis=2), 40.0, atol=1.0)
    assert "ct.spacing_resampled" in codes(volume)


@pytest.mark.parametrize(
    ("along", "thickness", "more", "code"),
    [
        (FOSSA, lambda _: 3.0, {}, "ct.spacing_changes"),
        (FOSSA, lambda k: THICK[k], {"InstanceNumber": None}, "ct.spacing_changes"),
        (FOSSA, lambda k: THICK[k], {"InstanceNumber": lambda k: k + (k > 4)}, "ct.missing_slices"),
        (np.cumsum([0, 3, 3, 3, 6, 3, 3]), lambda _: None, {}, "ct.missing_slices"),
        (np.cumsum([0, 3, 3, 3, 6, 3, 3]), lambda _: 3.0, {}, "ct.missing_slices"),
        (np.cumsum([0, 4, 4, 4, 15, 15, 15]), lambda _: 15.0, {}, "ct.spacing_changes"),
    ],
    ids=["wider than thick", "no numbers", "hole in numbers", "double gap", "double gap, thin", "too wide"],
)
def test_a_spacing_that_is_not_proven_to_change_is_refused(
    tmp_path: Path, along: np.ndarray, thickness: Callable[[int], float | None], more: dict[str, object], code: str
) -> None:
    with pytest.raises(EvidenceError) as caught:
        load(uneven(tmp_path, along, thickness, **more))
    assert caught.value.code == code


def refusal(headers: list[Header]) -> str:
    try:
        stack(headers)
    except EvidenceError as fault:
        return fault.code
    return ""


@pytest.mark.realdata
@pytest.mark.parametrize("folder", ["ct/crlm_CRLM-CT-1004", "ct/nsclc_LUNG1-001/image", "ct/head_ge_hispeed"])
def test_every_slice_that_is_taken_out_of_a_real_series_is_missed(data: Path, folder: str) -> None:
    whole = stack(found := [read_header(path) for path in sorted((data / folder).glob("*.dcm"))])
    headers = [found[i] for i in whole.order]
    n = len(headers)
    singles = {refusal(headers[:k] + headers[k + 1 :]) for k in range(1, n - 1)}
    pairs = {refusal(headers[:k] + headers[k + 2 :]) for k in range(1, n - 2)}
    skipped = {refusal(headers[start::step]) for step in (2, 3) for start in range(step)}
    assert singles | pairs | skipped == {"ct.missing_slices"}
    # At either end nothing shows that the scan went on: no header says how many slices there were.
    assert refusal(headers[1:]) == refusal(headers[:-1]) == ""


@pytest.mark.realdata
def test_a_real_head_with_tilt_and_changing_spacing_becomes_even(data: Path) -> None:
    volume = load(sorted((data / "ct/head_ge_hispeed").glob("*.dcm")))
    assert volume.hu.shape == (512, 611, 37)
    assert volume.spacing_mm == pytest.approx((0.4882812, 0.4882812, 4.0), abs=2e-3)
    assert codes(volume) == {"ct.tilt_corrected", "ct.spacing_resampled", "ct.oblique"}
    assert any("18.5 degrees" in flag.why for flag in volume.flags)


@pytest.mark.parametrize("signs", list(product((1, -1), repeat=3)), ids=str)
def test_any_whole_turn_of_an_array_in_any_layout_ends_in_ras(signs: tuple[int, int, int]) -> None:
    values = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    for axes, layout in product(permutations(range(3)), repeat=2):
        affine = np.eye(4)
        affine[:3, :3] = np.eye(3)[:, axes] * np.array(signs)
        laid = values.transpose(layout).copy().transpose(np.argsort(layout))
        turned = to_ras(laid, affine)
        expected = np.flip(values, [axis for axis in range(3) if signs[axis] < 0]).transpose(np.argsort(axes))
        np.testing.assert_array_equal(turned, expected)
        assert min(turned.strides) > 0
