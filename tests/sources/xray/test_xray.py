"""Radiographs found and loaded: what the header says of them, what is refused, and by both alike."""

from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import XrayImage
from clinic_mm.sources.dicom.find import find_dicom
from clinic_mm.sources.found import Found
from clinic_mm.sources.xray.image import load
from clinic_mm.sources.xray.pictures import find_pictures
from clinic_mm.types import Evidence, Rejected
from tests.sources.made import write_radiograph

BERLIN = ZoneInfo("Europe/Berlin")
TWELVE_BITS = np.random.default_rng(3).integers(0, 4096, (20, 30)).astype(np.uint16)


def codes(image: XrayImage | Evidence) -> set[str]:
    return {flag.code for flag in image.flags}


def code(path: Path) -> str:
    with pytest.raises(EvidenceError) as caught:
        load([path])
    return caught.value.code


def found(path: Path) -> Found:
    (one,) = find_dicom(path.parent, "r", [path], BERLIN)
    return one


def coded(value: str) -> Dataset:
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = "SCT"
    return item


REFUSED = {
    "dicom.colour": {"PhotometricInterpretation": "PALETTE COLOR"},
    "dicom.multiframe": {"NumberOfFrames": 2, "Rows": 10},
    "xray.for_processing": {"PresentationIntentType": "FOR PROCESSING"},
    "dicom.modality_mismatch": {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"},
    "dicom.unsupported_modality": {"Modality": "MG"},
    "xray.not_chest": {"BodyPartExamined": "HAND"},
}


@pytest.mark.parametrize("expected", REFUSED)
def test_what_is_no_radiograph_is_refused_by_finder_and_loader(tmp_path: Path, expected: str) -> None:
    path = write_radiograph(tmp_path / "a", TWELVE_BITS, **REFUSED[expected])
    assert code(path) == expected
    one = found(path)
    assert isinstance(one.finding, Rejected)
    assert (one.finding.code, one.patient_id) == (expected, "P1")


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"BodyPartExamined": "CHEST"}, ""),
        ({"BodyPartExamined": "THORAX"}, ""),
        ({"StudyDescription": "CXR, portable"}, ""),
        ({"SeriesDescription": "Röntgen Thorax p.a."}, ""),
        ({"AnatomicRegionSequence": [coded("816094009")]}, ""),
        ({}, "xray.body_part_unknown"),
        ({"StudyDescription": "Routine"}, "xray.body_part_unknown"),
        ({"BodyPartExamined": "TRUNK"}, "xray.other_body_part"),
        ({"BodyPartExamined": "ABDOMEN", "StudyDescription": "Chest PA"}, "xray.other_body_part"),
        ({"BodyPartExamined": "EXTREMITY"}, "xray.not_chest"),
        ({"ProtocolName": "Knee 2 views"}, "xray.not_chest"),
        ({"AnatomicRegionSequence": [coded("85562004")]}, "xray.not_chest"),
        ({"StudyDescription": "CHANDLER, chestnut"}, "xray.body_part_unknown"),  # words, not parts of words
    ],
)
def test_the_header_says_whether_it_is_a_chest(tmp_path: Path, elements: dict[str, object], expected: str) -> None:
    finding = found(
        write_radiograph(tmp_path / "a", TWELVE_BITS, SpecificCharacterSet="ISO_IR 192", **elements)
    ).finding
    if expected == "xray.not_chest":
        assert isinstance(finding, Rejected)
        assert finding.code == expected
    else:
        assert isinstance(finding, Evidence)
        assert codes(finding) == ({expected} if expected else set())


def test_no_description_leaves_the_reader(tmp_path: Path) -> None:
    path = write_radiograph(tmp_path / "a", TWELVE_BITS, StudyDescription="Knee of Zebulon Quux")
    finding = found(path).finding
    assert "Zebulon" not in finding.model_dump_json()
    with pytest.raises(EvidenceError, match="body part") as caught:
        load([path])
    assert "Zebulon" not in str(caught.value)


@pytest.mark.parametrize(
    ("elements", "spacing_mm", "spacing_at"),
    [
        ({"ImagerPixelSpacing": [0.2, 0.1]}, (0.2, 0.1), "detector"),
        ({"ImagerPixelSpacing": [0.2, 0.1], "PixelSpacing": [0.2, 0.1]}, (0.2, 0.1), "detector"),
        ({"ImagerPixelSpacing": [0.2, 0.1], "PixelSpacing": [0.18, 0.09]}, (0.18, 0.09), "patient"),
        ({"PixelSpacing": [0.3, 0.3], "PixelSpacingCalibrationType": "FIDUCIAL"}, (0.3, 0.3), "patient"),
        ({"PixelSpacing": [0.3, 0.3]}, (0.3, 0.3), ""),
        ({"PixelSpacing": [0.0, 0.0], "ImagerPixelSpacing": [0.2, 0.2]}, (0.2, 0.2), "detector"),
        ({"NominalScannedPixelSpacing": [0.17, 0.17]}, (0.17, 0.17), "film"),
        ({}, None, ""),
    ],
)
def test_spacing_says_where_it_holds(
    tmp_path: Path, elements: dict[str, object], spacing_mm: tuple[float, float] | None, spacing_at: str
) -> None:
    path = write_radiograph(tmp_path / "a", TWELVE_BITS, **elements)
    finding = found(path).finding
    assert isinstance(finding, Evidence)
    assert finding.meta["spacing_at"] == spacing_at
    assert load([path]).spacing_mm == spacing_mm
    assert finding.meta["spacing_mm"] == (None if spacing_mm is None else list(spacing_mm))


@pytest.mark.parametrize(
    ("elements", "view"),
    [
        ({"ViewPosition": "PA"}, "PA"),
        ({"ViewCodeSequence": [coded("399348003")]}, "AP"),
        ({"ViewCodeSequence": [coded("R-10236")]}, "LL"),
        ({"ViewPosition": "LL", "ViewCodeSequence": [coded("399348003")]}, "LL"),
        ({"ViewPosition": "PA "}, "PA"),
        ({}, ""),
    ],
)
def test_view_and_side_are_kept(tmp_path: Path, elements: dict[str, object], view: str) -> None:
    path = write_radiograph(tmp_path / "a", TWELVE_BITS, ImageLaterality="U", **elements)
    finding = found(path).finding
    assert isinstance(finding, Evidence)
    assert (finding.meta["view_position"], finding.meta["laterality"]) == (view, "U")
    assert load([path]).view_position == view


@pytest.mark.parametrize(
    ("orientation", "flagged"),
    [(["L", "F"], False), (["A", "F"], False), (["R", "F"], True), (["L", "H"], True), (None, False)],
)
def test_a_picture_that_hangs_otherwise_says_so(tmp_path: Path, orientation: list[str] | None, flagged: bool) -> None:
    path = write_radiograph(tmp_path / "a", TWELVE_BITS, BodyPartExamined="CHEST", PatientOrientation=orientation)
    finding = found(path).finding
    assert isinstance(finding, Evidence)
    assert ("xray.hangs_otherwise" in codes(finding)) == flagged


def test_pictures_of_8_and_16_bits_and_grey_in_colour(tmp_path: Path) -> None:
    grey = (TWELVE_BITS // 16).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "8.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "16.png")
    Image.fromarray(np.stack([grey] * 3, axis=2)).save(tmp_path / "rgb.png")
    eight, sixteen, colour = (load([tmp_path / name]) for name in ("8.png", "16.png", "rgb.png"))
    np.testing.assert_allclose(eight.grey, grey / 255, atol=1e-6)
    np.testing.assert_allclose(sixteen.grey, eight.grey, atol=1e-6)
    np.testing.assert_allclose(colour.grey, eight.grey, atol=1e-6)
    assert codes(colour) == {"xray.grey_in_colour", "xray.small"}


def test_colour_broken_and_huge_pictures_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((9, 9, 3), (200, 10, 10), np.uint8)).save(tmp_path / "red.png")
    assert code(tmp_path / "red.png") == "xray.colour"
    Image.new("L", (9000, 9000)).save(tmp_path / "huge.png")
    assert code(tmp_path / "huge.png") == "picture.too_large"
    Image.fromarray(TWELVE_BITS).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:-40])
    assert code(tmp_path / "cut.png") == "picture.truncated"
    Image.fromarray(np.kron(TWELVE_BITS // 16, np.ones((6, 6))).astype(np.uint8)).save(tmp_path / "whole.jpg")
    whole = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) * 3 // 4] + b"\xff\xd9")  # a decoder would fill the rest
    assert code(tmp_path / "cut.jpg") == "picture.truncated"
    assert load([tmp_path / "whole.jpg"]).grey.shape == (120, 180)
    files = [tmp_path / "red.png", tmp_path / "huge.png"]
    assert [one.finding.status for one in find_pictures(tmp_path, "r", files, BERLIN)] == ["rejected"] * 2


@pytest.mark.realdata
def test_real_radiographs_of_other_parts_are_refused(data: Path) -> None:
    assert code(data / "xray_dicom" / "RG3_J2KR.dcm") == "xray.not_chest"
    teeth = data / "xray_dicom" / "CR-ModalitySequenceLUT.dcm"
    finding = found(teeth).finding
    assert isinstance(finding, Rejected)
    assert finding.code in {"xray.not_chest", "dicom.needs_extra"}


@pytest.mark.realdata
def test_real_chest_pictures_are_found_and_loaded(data: Path) -> None:
    root = data / "multimodal" / "chest_hannover" / "images"
    files = sorted(root.iterdir())[:20]
    findings = [one.finding for one in find_pictures(root, "r", files, BERLIN)]
    assert all(isinstance(finding, Evidence) and finding.acquired_at is None for finding in findings)
    assert all(0.2 < load([path]).grey.mean() < 0.8 for path in files)
