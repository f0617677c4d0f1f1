"""Enhanced multi-frame CT equals its classic twin, and goes through the same checks."""

from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.ct.volume import load
from clinic_mm.sources.dicom.find import find_dicom
from clinic_mm.types import Evidence, Rejected
from tests.sources.made import body, write_dicom, write_series

ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
ZONE = ZoneInfo("UTC")
Change = Callable[[int, Dataset], None]


def item(**elements: object) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def group(keyword: str, **elements: object) -> dict[str, list[Dataset]]:
    return {keyword: [item(**elements)]}


def write_enhanced(path: Path, volume: np.ndarray, change: Change | None = None, **elements: object) -> Path:
    """The same slices as `made.write_series` writes, as frames of one file."""
    shared = item(
        **group("PixelMeasuresSequence", PixelSpacing=[2.0, 1.0], SliceThickness=3.0),
        **group("PlaneOrientationSequence", ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
        **group("PixelValueTransformationSequence", RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU"),
        **group("CTImageFrameTypeSequence", FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]),
    )
    frames = [
        item(
            **group("PlanePositionSequence", ImagePositionPatient=[-10.0, -20.0, 3.0 * k]),
            **group("FrameContentSequence", StackID="1", InStackPositionNumber=k + 1),
        )
        for k in range(len(volume))
    ]
    for number, frame in enumerate(frames):
        if change:
            change(number, frame)
    tall = volume.reshape(-1, volume.shape[2])  # frames one below the other, as they lie in the file
    return write_dicom(
        path,
        tall,
        **{
            "SOPClassUID": ENHANCED_CT,
            "SOPInstanceUID": generate_uid(),
            "Modality": "CT",
            "ImageType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
            "NumberOfFrames": len(volume),
            "Rows": volume.shape[1],
            "SharedFunctionalGroupsSequence": [shared],
            "PerFrameFunctionalGroupsSequence": frames,
            **elements,
        },
    )


def found(path: Path) -> list[Evidence | Rejected]:
    return [one.finding for one in find_dicom(path.parent, "r", [path], ZONE)]


def test_an_enhanced_file_equals_its_classic_twin(tmp_path: Path) -> None:
    classic = load(write_series(tmp_path / "classic", body()))
    path = write_enhanced(tmp_path / "e.dcm", body())
    enhanced = load([path])
    np.testing.assert_array_equal(enhanced.hu, classic.hu)
    assert (enhanced.spacing_mm, enhanced.flags) == (classic.spacing_mm, classic.flags)
    (one,) = found(path)
    assert isinstance(one, Evidence)
    assert (one.locator, one.paths, one.meta["shape"]) == ("", ("e.dcm",), [10, 8, 6])


def test_frames_in_any_order_and_rescaled_one_by_one_equal_the_twin(tmp_path: Path) -> None:
    order = [3, 0, 5, 1, 4, 2]

    def own(k: int, frame: Dataset) -> None:
        frame.PlanePositionSequence[0].ImagePositionPatient = [-10.0, -20.0, 3.0 * order[k]]
        frame.FrameContentSequence[0].InStackPositionNumber = order[k] + 1
        values = group("PixelValueTransformationSequence", RescaleSlope=1, RescaleIntercept=-1024 + order[k])
        frame.PixelValueTransformationSequence = values["PixelValueTransformationSequence"]

    classic = load(write_series(tmp_path / "classic", body(), RescaleIntercept=lambda k: -1024 + k))
    enhanced = load([write_enhanced(tmp_path / "e.dcm", body()[order], own)])
    np.testing.assert_array_equal(enhanced.hu, classic.hu)


def phases(k: int, frame: Dataset) -> None:
    """Two moments in the same place, their frames in turn."""
    frame.PlanePositionSequence[0].ImagePositionPatient = [-10.0, -20.0, 3.0 * (k // 2)]
    content = frame.FrameContentSequence[0]
    content.InStackPositionNumber, content.TemporalPositionIndex = k // 2 + 1, k % 2 + 1


def test_two_moments_in_one_file_are_two_volumes(tmp_path: Path) -> None:
    stored = body(12)
    path = write_enhanced(tmp_path / "e.dcm", stored, phases)
    both = found(path)
    assert [one.locator for one in both if isinstance(one, Evidence)] == ["frames 0,2,4,6,8,10", "frames 1,3,5,7,9,11"]
    for first, one in enumerate(both):
        classic = load(write_series(tmp_path / str(first), stored[first::2]))
        np.testing.assert_array_equal(load([path], locator=one.locator).hu, classic.hu)
    with pytest.raises(EvidenceError) as caught:
        load([path])
    assert caught.value.code == "ct.duplicate_slices"


def tilted(k: int, frame: Dataset) -> None:
    frame.PlanePositionSequence[0].ImagePositionPatient = [-10.0, -20.0 + 1.0 * k, 3.0 * k]


def gap(k: int, frame: Dataset) -> None:
    frame.PlanePositionSequence[0].ImagePositionPatient = [-10.0, -20.0, 3.0 * k + (3.0 if k > 2 else 0.0)]


def nowhere(k: int, frame: Dataset) -> None:
    del frame.PlanePositionSequence


def perfusion(k: int, frame: Dataset) -> None:
    values = group("PixelValueTransformationSequence", RescaleSlope=1, RescaleIntercept=0, RescaleType="US")
    frame.PixelValueTransformationSequence = values["PixelValueTransformationSequence"]


def test_a_tilt_is_corrected_as_in_classic_slices(tmp_path: Path) -> None:
    classic = load(write_series(tmp_path / "c", body(), ImagePositionPatient=lambda k: [-10.0, -20.0 + k, 3.0 * k]))
    enhanced = load([write_enhanced(tmp_path / "e.dcm", body(), tilted)])
    np.testing.assert_array_equal(enhanced.hu, classic.hu)
    assert "ct.tilt_corrected" in {flag.code for flag in enhanced.flags}


@pytest.mark.parametrize(
    ("change", "elements", "code"),
    [
        (gap, {}, "ct.missing_slices"),
        (nowhere, {}, "ct.no_geometry"),
        (perfusion, {}, "ct.not_hu"),
        (None, {"PerFrameFunctionalGroupsSequence": []}, "ct.enhanced"),
        (None, {"ConcatenationUID": "1.2.9", "InConcatenationTotalNumber": 2}, "ct.enhanced"),
        (None, {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"]}, "ct.localizer"),
        (None, {"NumberOfFrames": 5}, "ct.enhanced"),
        (None, {"NumberOfFrames": 600}, "dicom.truncated"),
    ],
)
def test_what_makes_no_volume_is_refused_alike_by_finder_and_loader(
    tmp_path: Path, change: Change | None, elements: dict[str, object], code: str
) -> None:
    path = write_enhanced(tmp_path / "e.dcm", body(), change, **elements)
    (one,) = found(path)
    assert isinstance(one, Rejected)
    assert one.code == code
    with pytest.raises(EvidenceError) as caught:
        load([path])
    assert caught.value.code == code


@pytest.mark.realdata
@pytest.mark.filterwarnings("ignore")  # pydicom and highdicom warn of values in these real headers
def test_a_real_series_converted_by_highdicom_gives_the_same_bits(data: Path, tmp_path: Path) -> None:
    files = sorted((data / "robustness/dicom/series/ok").glob("*.dcm"))
    slices = [pydicom.dcmread(file) for file in files]
    made = highdicom.legacy.LegacyConvertedEnhancedCTImage(slices, generate_uid(), 1, generate_uid(), 1)
    made.save_as(tmp_path / "legacy.dcm")
    classic, enhanced = load(files), load([tmp_path / "legacy.dcm"])
    np.testing.assert_array_equal(enhanced.hu, classic.hu)
    assert enhanced.spacing_mm == pytest.approx(classic.spacing_mm)


@pytest.mark.realdata
def test_real_multi_frame_files_are_told_by_what_they_are(data: Path) -> None:
    told = {}
    for name in ("eCT_Supplemental.dcm", "emri_small.dcm"):
        (one,) = found(data / "dicom_syntax" / name)
        assert isinstance(one, Rejected)
        told[name] = one.code
    # blood flow in a brain, not Hounsfield units; and an MR
    assert told == {"eCT_Supplemental.dcm": "ct.not_hu", "emri_small.dcm": "dicom.unsupported_modality"}
