"""Our geometry, held against highdicom's on real series: two independent readings of the same standard."""

from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest

from clinic_mm.sources.ct import load

PADDING_BELOW_HU = -1100


@pytest.mark.realdata
@pytest.mark.filterwarnings("ignore")  # pydicom and highdicom warn of values in these real headers
@pytest.mark.parametrize("series", ["ct/crlm_CRLM-CT-1004", "ct/nsclc_LUNG1-001/image"])
def test_voxels_spacing_and_axes_equal_highdicom(data: Path, series: str) -> None:
    files = sorted((data / series).glob("*.dcm"))
    ours = load(files)
    theirs = highdicom.get_volume_from_series([pydicom.dcmread(file) for file in files])
    theirs = theirs.to_patient_orientation("RAH")  # index grows to Right, Anterior, Head
    np.testing.assert_allclose(theirs.spacing, ours.spacing_mm, rtol=1e-4)
    padded = theirs.array < PADDING_BELOW_HU  # highdicom keeps padding as it is stored; ours becomes air
    np.testing.assert_allclose(np.where(padded, -1000.0, theirs.array), ours.hu, atol=0.5)
