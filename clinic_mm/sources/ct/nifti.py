"""Read a CT from one NIfTI file, and find such files.

In:  `.nii` or `.nii.gz`. Out: Hounsfield units and the affine to mm in RAS; or a `Found` without patient and time,
     since NIfTI carries neither (the folder or a table must).

NIfTI does not say what its numbers are. A file without air (a contour, a scaled or shifted picture) is refused.
"""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final

import nibabel as nib
import numpy as np
from jaxtyping import Float32

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.ct.axes import ras_geometry
from clinic_mm.sources.ct.series import FARTHEST_MM, PIXEL_MM
from clinic_mm.sources.ct.tilt import is_sheared, upright_affine
from clinic_mm.sources.found import Found
from clinic_mm.sources.place import content_hash, rejected, relative
from clinic_mm.types import Evidence, Flag

BYTES_LIMIT: Final = 2**31
FREE_BYTES: Final = 64 * 2**20
EXPANSION_LIMIT: Final = 200
"""A CT packs 2 to 10 times; beyond 64 MiB no real one unpacks to 200 times its size."""
AIR_AT_MOST_HU: Final = -200.0
"""A CT shows lung or the air around the body; fat ends near -150 HU."""
LOWEST_POSSIBLE_HU: Final = -5000.0
nib.imageglobals.logger.setLevel("CRITICAL")  # it prints what it mends; we refuse or flag
NIBABEL_ERRORS: Final = (nib.filebasedimages.ImageFileError, nib.spatialimages.HeaderDataError)
MILLIMETRES: Final = frozenset({0, 2})
"""`xyzt_units`: 2 is mm; 0, unknown, is mm by custom."""


def is_nifti(path: Path) -> bool:
    """Whether the name says NIfTI, which is what nibabel goes by."""
    return path.name.lower().endswith((".nii", ".nii.gz"))


def load_nifti(path: Path) -> tuple[Float32[np.ndarray, "x y z"], np.ndarray, tuple[Flag, ...]]:
    """Hounsfield units and affine of one NIfTI file, as it lies there, and what was seen in its header.

    Raises:
        EvidenceError: `nifti.unreadable`, `nifti.too_large`, `ct.no_geometry` or `ct.not_hu`.
    """
    with _guarded():
        image = _open(path)
        hu = np.asarray(image.dataobj, dtype=np.float32).reshape(image.shape[:3])
    _check_units(hu)
    return hu, image.affine, _forms(image)


def find_nifti(root: Path, root_name: str, files: Sequence[Path], zone: tzinfo) -> Iterator[Found]:
    """One finding per NIfTI file, patient and time unknown.

    Args:
        root: The folder that was looked through.
        root_name: Its name in the cohort.
        files: The NIfTI files below it.
        zone: Not used: NIfTI has no time.
    """
    for path in files:
        try:
            yield Found("", _evidence(root, root_name, path))
        except EvidenceError as fault:
            yield Found("", rejected(fault, "ct", root_name, root, [path]))


def _evidence(root: Path, root_name: str, path: Path) -> Evidence:
    with _guarded():
        image = _open(path)
        middle = np.asarray(image.dataobj[:, :, image.shape[2] // 2], dtype=np.float32)
    shape, affine, flags = tuple(image.shape[:3]), image.affine, _forms(image)
    if is_sheared(affine):
        shape, affine, tilted = upright_affine(shape, affine)
        flags = (tilted, *flags)
    shape, spacing_mm = ras_geometry(shape, affine)
    _check_units(middle)
    return Evidence(
        modality="ct",
        root=root_name,
        paths=relative(root, [path]),
        content_hash=content_hash([path]),
        flags=flags,
        meta={"format": "nifti", "shape": list(shape), "spacing_mm": [round(mm, 6) for mm in spacing_mm]},
    )


def _open(path: Path) -> Any:  # noqa: ANN401  - nibabel has no types
    if path.stat().st_size == 0:
        raise EvidenceError("file.empty", "The file has no bytes", "", "Export it again")
    with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
        second = file.read(4) in {b"\x1c\x02\0\0", b"\0\0\x02\x1c"}  # 540, the length of a NIfTI-2 header
    image = (nib.Nifti2Image if second else nib.Nifti1Image).from_filename(path)
    header, shape = image.header, image.shape
    dtype = header.get_data_dtype()  # type: ignore[no-untyped-call]
    if len(shape) < 3 or any(size != 1 for size in shape[3:]) or min(shape) < 1:
        raise EvidenceError("ct.not_a_volume", "The file does not hold one volume", "dim", "Send one volume per file")
    if np.prod(shape, dtype=float) * max(dtype.itemsize, 4) > BYTES_LIMIT:
        raise EvidenceError("nifti.too_large", "The volume declares more than 2 GiB", "dim", "Leave this file out")
    _check_size(path, np.prod(shape, dtype=float) * dtype.itemsize)
    if dtype.kind not in "iuf":
        raise EvidenceError("ct.not_hu", "The voxels are not plain numbers", "datatype")
    if not header["sform_code"] and not header["qform_code"]:
        raise EvidenceError("ct.no_geometry", "The file does not say how it lies in space", "sform_code, qform_code")
    lengths = np.linalg.norm(np.clip(image.affine[:3, :3], -FARTHEST_MM, FARTHEST_MM), axis=0)
    largest = np.abs(image.affine).max()  # of NaN, NaN, which no comparison lets through
    if not (largest <= FARTHEST_MM and PIXEL_MM[0] <= lengths.min() and lengths.max() <= PIXEL_MM[1]):
        raise EvidenceError("ct.no_geometry", "The affine is none that a scanner makes", "sform, qform")
    if int(header["xyzt_units"]) & 7 not in MILLIMETRES:
        raise EvidenceError("ct.no_geometry", "The voxel size is not in millimetres", "xyzt_units")
    return image


def _check_size(path: Path, declared: float) -> None:
    """What lies on disk must be about the size that is declared, or pack to about that."""
    size = path.stat().st_size
    if path.name.lower().endswith(".gz"):
        odd = declared > max(FREE_BYTES, EXPANSION_LIMIT * size)
    else:
        odd = size > declared + FREE_BYTES
    if odd:
        what = "The size of the file does not fit the volume that it declares"
        raise EvidenceError("nifti.too_large", what, "dim", "Leave this file out")


def _forms(image: Any) -> tuple[Flag, ...]:  # noqa: ANN401  - nibabel has no types
    """Both ways to say how the volume lies must agree; where they do not, the sform is used, as by most readers.

    A mirrored volume is refused: left and right would depend on which of the two is believed.
    """
    header = image.header
    if not header["sform_code"] or not header["qform_code"]:
        return ()
    try:
        by_sform, by_qform = header.get_sform(), header.get_qform()
    except ValueError:  # the numbers of the qform are no rotation
        return (Flag(code="nifti.affines_differ", why="One of the two affines cannot be read; the sform is used"),)
    if not np.isfinite(by_qform).all() or np.abs(by_qform).max() > FARTHEST_MM:
        return (Flag(code="nifti.affines_differ", why="One of the two affines makes no sense; the sform is used"),)
    far = np.array([image.shape[axis] - 1 for axis in range(3)], float)
    corners = np.array([[*far * bits, 1.0] for bits in np.ndindex(2, 2, 2)])
    apart_mm = float(np.linalg.norm((corners @ (by_sform - by_qform).T)[:, :3], axis=1).max())
    if apart_mm <= float(np.linalg.norm(by_sform[:3, :3], axis=0).min()):
        return ()
    if np.sign(np.linalg.det(by_sform[:3, :3])) != np.sign(np.linalg.det(by_qform[:3, :3])):
        what, mend = "The two affines of the file contradict each other about left and right", "Convert it again"
        raise EvidenceError("ct.no_geometry", what, "sform, qform", mend)
    why = f"The two affines of the file differ by up to {apart_mm:.0f} mm; the sform is used"
    return (Flag(code="nifti.affines_differ", why=why),)


def _check_units(hu: Float32[np.ndarray, "..."]) -> None:
    lowest = float(hu.min())
    if not np.isfinite(hu).all() or not LOWEST_POSSIBLE_HU < lowest <= AIR_AT_MOST_HU:
        what = "The values are not in Hounsfield units: there is no air"
        raise EvidenceError("ct.not_hu", what, "", "Send the CT itself, not a contour or a scaled copy")


@contextmanager
def _guarded() -> Iterator[None]:
    try:
        yield
    except EvidenceError:
        raise
    except (
        *NIBABEL_ERRORS,
        OSError,
        EOFError,
        zlib.error,
        ValueError,
        KeyError,
        TypeError,
        MemoryError,
        OverflowError,
    ):
        raise EvidenceError("nifti.unreadable", "The file cannot be read as NIfTI", "", "Export it again") from None
