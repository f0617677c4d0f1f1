"""Our geometry, held against highdicom's on real series: two independent readings of the same standard."""

from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.ct.series import stack
from clinic_mm.sources.ct.volume import load
from clinic_mm.sources.dicom.header import read_header

PADDING_BELOW_HU = -1100


@pytest.mark.realdata
@pytest.mark.filterwarnings("ignore")  # pydicom and highdicom warn of values in these real headers
@pytest.mark.parametrize(
    "series", ["ct/crlm_CRLM-CT-1004", "ct/nsclc_LUNG1-001/image", "ct/totalseg_biograph", "robustness/dicom/series/ok"]
)
def test_voxels_spacing_affine_and_axes_equal_highdicom(data: Path, series: str) -> None:
    files = sorted((data / series).glob("*.dcm"))
    ours, placed = load(files), stack([read_header(file) for file in files])
    theirs = highdicom.get_volume_from_series([_with_uids(pydicom.dcmread(file)) for file in files])
    theirs = theirs.to_patient_orientation("RAH")  # index grows to Right, Anterior, Head
    np.testing.assert_allclose(theirs.spacing, ours.spacing_mm, rtol=1e-4)
    padded = theirs.array < PADDING_BELOW_HU  # highdicom keeps padding as it is stored; ours becomes air
    np.testing.assert_allclose(np.where(padded, -1000.0, theirs.array), ours.hu, atol=0.5)
    # highdicom's affine leads to Left, Posterior, Head; its first corner lies at the other end of our first two axes.
    corner = [placed.shape[0] - 1, placed.shape[1] - 1, 0, 1]
    np.testing.assert_allclose(placed.affine @ corner * [-1, -1, 1, 1], theirs.affine[:, 3], atol=1e-3)


@pytest.mark.realdata
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("series", "ours"),
    [("ct/head_ge_hispeed", "ct.tilt_corrected"), ("robustness/dicom/series/missing_slices", "ct.missing_slices")],
)
def test_what_highdicom_refuses_is_refused_or_repaired_and_flagged(data: Path, series: str, ours: str) -> None:
    files = sorted((data / series).glob("*.dcm"))
    with pytest.raises(ValueError, match="not a regularly"):
        highdicom.get_volume_from_series([pydicom.dcmread(file) for file in files])
    try:
        said = {flag.code for flag in load(files).flags}
    except EvidenceError as fault:
        said = {fault.code}
    assert ours in said


def _with_uids(dataset: pydicom.Dataset) -> pydicom.Dataset:
    """One real series was stripped of UIDs that highdicom wants."""
    for keyword in ("SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID"):
        if not dataset.get(keyword):
            setattr(dataset, keyword, "1.2.3")
    if not dataset.get("SOPClassUID"):
        dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    return dataset
