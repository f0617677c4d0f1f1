"""Planes are the decoded volume, bit for bit, for every orientation of a series and for the real ones."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clinic_mm.errors import InputError
from clinic_mm.signals import CtVolume
from clinic_mm.sources.ct.axes import ras_geometry, to_ras
from clinic_mm.sources.ct.volume import load
from clinic_mm.viewing.volume import FreshVolume, planes, to_int16

WAYS = [
    (axes, signs) for axes in itertools.permutations(range(3)) for signs in itertools.product((1.0, -1.0), repeat=3)
]
"""All 48 ways in which the axes of an array can lie in a body."""


def check(volume: CtVolume) -> None:
    fresh, whole = FreshVolume(volume), np.rint(volume.hu).astype("<i2")
    x, y, z = volume.hu.shape
    for at in {0, z // 2, z - 1}:
        assert planes(fresh, "axial", at) == whole[:, :, at].T.tobytes()
    for at in {0, y // 2, y - 1}:
        assert planes(fresh, "coronal", at) == whole[:, at, :].T.tobytes()
    for at in {0, x // 2, x - 1}:
        assert planes(fresh, "sagittal", at) == whole[at].T.tobytes()
    assert planes(fresh, "coronal", 0, 3) == b"".join(planes(fresh, "coronal", at) for at in range(3))
    assert fresh.told["shape"] == [x, y, z]


@pytest.mark.parametrize(("axes", "signs"), WAYS)
def test_a_point_of_the_body_is_where_the_planes_say_however_it_was_scanned(
    axes: tuple[int, ...], signs: tuple[float, ...]
) -> None:
    """Voxels carry their own place in the body: x + 10 y + 100 z in mm toward Right, Anterior, Superior."""
    shape, affine = (4, 5, 6), np.zeros((4, 4))
    for column, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
        affine[axis, column] = sign
    affine[3, 3] = 1
    index = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    mm = index @ affine[:3, :3].T
    mm -= mm.reshape(-1, 3).min(axis=0)
    hu = (mm @ np.array([1.0, 10.0, 100.0])).astype(np.float32)
    _, spacing = ras_geometry(shape, affine)
    fresh = FreshVolume(CtVolume(to_ras(hu, affine), spacing))
    nx, ny, nz = fresh.told["shape"]
    axial = np.frombuffer(planes(fresh, "axial", 2), "<i2").reshape(ny, nx)
    coronal = np.frombuffer(planes(fresh, "coronal", 1), "<i2").reshape(nz, nx)
    sagittal = np.frombuffer(planes(fresh, "sagittal", 3), "<i2").reshape(nz, ny)
    assert (axial[1, 3], coronal[2, 3], sagittal[2, 1]) == (213, 213, 213)
    check(CtVolume(to_ras(hu, affine), spacing))


@pytest.mark.realdata
@pytest.mark.parametrize("series", ["crlm_CRLM-CT-1004", "head_ge_hispeed", "totalseg_nifti"])
def test_planes_of_real_series(data: Path, series: str) -> None:
    files = sorted(path for path in (data / "ct" / series).rglob("*") if path.name.endswith((".dcm", "ct.nii.gz")))
    check(load(files or sorted((data / "ct" / series).glob("*.nii.gz"))[:1]))


@pytest.mark.parametrize(
    "asked", [("axial", 6, 1), ("axial", -1, 1), ("axial", 0, 0), ("axial", 5, 2), ("dorsal", 0, 1)]
)
def test_what_is_no_plane_is_refused(asked: Any) -> None:  # noqa: ANN401
    fresh = FreshVolume(CtVolume(np.zeros((4, 5, 6), np.float32), (1.0, 1.0, 1.0)))
    with pytest.raises(InputError):
        planes(fresh, *asked)


def test_values_beyond_16_bits_are_held_at_their_ends_and_nan_is_the_lowest() -> None:
    hu = np.array([-1e6, 1e6, np.nan, -0.5, 1.5, 2.4], np.float32)
    assert to_int16(hu).tolist() == [-32768, 32767, -32768, 0, 2, 2]
