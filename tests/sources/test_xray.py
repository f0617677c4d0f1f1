from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import XrayImage
from clinic_mm.sources.dicom import find_dicom
from clinic_mm.sources.grey import window
from clinic_mm.sources.pictures import find_pictures
from clinic_mm.sources.xray import load
from clinic_mm.types import Evidence, Rejected
from tests.sources.made import write_radiograph

BERLIN = ZoneInfo("Europe/Berlin")
TWELVE_BITS = np.random.default_rng(3).integers(0, 4096, (20, 30)).astype(np.uint16)


def codes(image: XrayImage) -> set[str]:
    return {flag.code for flag in image.flags}


def code(path: Path) -> str:
    with pytest.raises(EvidenceError) as caught:
        load([path])
    return caught.value.code


@pytest.mark.parametrize(
    ("mono2", "mono1"),
    [
        ({}, {}),
        # LINEAR is not symmetric about its centre (PS3.3 C.11.2.1.2.1): the mirror of c is max + 1 - c.
        ({"WindowCenter": 1500, "WindowWidth": 800}, {"WindowCenter": 4096 - 1500, "WindowWidth": 800}),
        (
            {"WindowCenter": 1500, "WindowWidth": 800, "VOILUTFunction": "SIGMOID"},
            {"WindowCenter": 4095 - 1500, "WindowWidth": 800, "VOILUTFunction": "SIGMOID"},
        ),
    ],
    ids=["percentiles", "linear", "sigmoid"],
)
def test_monochrome_twins_are_equal(tmp_path: Path, mono2: dict[str, object], mono1: dict[str, object]) -> None:
    bits = {"BitsStored": 12, "HighBit": 11}
    first = write_radiograph(tmp_path / "a", TWELVE_BITS, **bits, **mono2)
    twin = write_radiograph(
        tmp_path / "b", 4095 - TWELVE_BITS, PhotometricInterpretation="MONOCHROME1", **bits, **mono1
    )
    one, other = load([first]), load([twin])
    np.testing.assert_allclose(one.grey, other.grey, atol=1e-6)
    assert one.grey.dtype == np.float32
    assert one.grey.min() >= 0
    assert one.grey.max() <= 1


def test_windows_follow_the_standard() -> None:
    # PS3.3 C.11.2.1.2.1 note: c = 2048, w = 4096 takes 0 to the lowest and 4095 to the highest output.
    np.testing.assert_allclose(window(np.array([0.0, 4095.0]), 2048, 4096), [0, 1])
    np.testing.assert_allclose(window(np.array([-1.0, 0.0, 1.0]), 0, 1), [0, 1, 1])
    np.testing.assert_allclose(window(np.array([-50.0, 0.0, 25.0, 90.0]), 0, 100, "LINEAR_EXACT"), [0, 0.5, 0.75, 1])
    np.testing.assert_allclose(window(np.array([0.0, 100.0]), 0, 100, "SIGMOID"), [0.5, 1 / (1 + np.exp(-4))])
    for width, function in ((0.5, "LINEAR"), (0.0, "LINEAR_EXACT"), (10.0, "LOG")):
        with pytest.raises(ValueError, match=r"window|function"):
            window(np.zeros(1), 0, width, function)


def test_rescale_comes_before_the_window(tmp_path: Path) -> None:
    plain = write_radiograph(tmp_path / "a", TWELVE_BITS, WindowCenter=1000, WindowWidth=2000)
    moved = write_radiograph(
        tmp_path / "b", TWELVE_BITS, RescaleSlope=1, RescaleIntercept=-500, WindowCenter=500, WindowWidth=2000
    )
    np.testing.assert_allclose(load([plain]).grey, load([moved]).grey, atol=1e-6)


def test_lookup_table_goes_before_the_window_and_padding_is_black(tmp_path: Path) -> None:
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 16]
    table.add_new("LUTData", "OW", np.arange(65535, -1, -16).astype("<u2").tobytes())
    stored = np.minimum(TWELVE_BITS, 4094)
    stored[0, 0] = 4095
    path = write_radiograph(
        tmp_path / "a", stored, VOILUTSequence=[table], WindowCenter=10, WindowWidth=2, PixelPaddingValue=4095
    )
    grey = load([path]).grey
    np.testing.assert_allclose(grey[1:], (65535 - 16.0 * stored[1:]) / 65535, atol=1e-4)
    assert grey[0, 0] == 0


def test_a_picture_without_a_window_says_so(tmp_path: Path) -> None:
    assert codes(load([write_radiograph(tmp_path / "a", TWELVE_BITS)])) == {"xray.no_window"}
    assert codes(load([write_radiograph(tmp_path / "b", np.zeros((9, 9), np.uint16))])) == {
        "xray.no_window",
        "xray.blank",
    }


REFUSED = {
    "dicom.colour": {"PhotometricInterpretation": "PALETTE COLOR"},
    "dicom.multiframe": {"NumberOfFrames": 2, "Rows": 10},
    "xray.for_processing": {"PresentationIntentType": "FOR PROCESSING"},
    "dicom.modality_mismatch": {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"},
    "dicom.unsupported_modality": {"Modality": "MG"},
}


@pytest.mark.parametrize("expected", REFUSED)
def test_what_is_no_radiograph_is_refused_by_finder_and_loader(tmp_path: Path, expected: str) -> None:
    path = write_radiograph(tmp_path / "a", TWELVE_BITS, **REFUSED[expected])
    assert code(path) == expected
    (one,) = find_dicom(tmp_path, "r", [path], BERLIN)
    assert isinstance(one.finding, Rejected)
    assert (one.finding.code, one.patient_id) == (expected, "P1")


def test_view_and_spacing_are_kept(tmp_path: Path) -> None:
    path = write_radiograph(
        tmp_path / "a", TWELVE_BITS, ViewPosition="PA", ImagerPixelSpacing=[0.2, 0.1], BodyPartExamined="HAND"
    )
    (one,) = find_dicom(tmp_path, "r", [path], BERLIN)
    assert isinstance(one.finding, Evidence)
    assert one.finding.meta["view_position"] == "PA"
    assert [flag.code for flag in one.finding.flags] == ["xray.other_body_part"]
    image = load([path])
    assert (image.view_position, image.spacing_mm) == ("PA", (0.2, 0.1))


def test_pictures_of_8_and_16_bits_and_grey_in_colour(tmp_path: Path) -> None:
    grey = (TWELVE_BITS // 16).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "8.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "16.png")
    Image.fromarray(np.stack([grey] * 3, axis=2)).save(tmp_path / "rgb.png")
    eight, sixteen, colour = (load([tmp_path / name]) for name in ("8.png", "16.png", "rgb.png"))
    np.testing.assert_allclose(eight.grey, grey / 255, atol=1e-6)
    np.testing.assert_allclose(sixteen.grey, eight.grey, atol=1e-6)
    np.testing.assert_allclose(colour.grey, eight.grey, atol=1e-6)
    assert codes(colour) == {"xray.grey_in_colour"}


def test_colour_broken_and_huge_pictures_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((9, 9, 3), (200, 10, 10), np.uint8)).save(tmp_path / "red.png")
    assert code(tmp_path / "red.png") == "xray.colour"
    Image.new("L", (9000, 9000)).save(tmp_path / "huge.png")
    assert code(tmp_path / "huge.png") == "picture.too_large"
    Image.fromarray(TWELVE_BITS).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:-40])
    assert code(tmp_path / "cut.png") == "picture.truncated"
    files = [tmp_path / "red.png", tmp_path / "huge.png"]
    assert [one.finding.status for one in find_pictures(tmp_path, "r", files, BERLIN)] == ["rejected"] * 2


@pytest.mark.realdata
def test_real_monochrome1_copy_is_the_inverse_of_its_source(data: Path) -> None:
    folder = data / "xray_dicom"
    (source,) = folder.glob("1.2.276*.dcm")
    np.testing.assert_allclose(load([folder / "Fake_MONOHR1.dcm"]).grey, 1 - load([source]).grey, atol=1e-6)


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["mlut_18.dcm", "vlut_04.dcm"])
def test_real_lookup_tables(data: Path, tmp_path: Path, name: str) -> None:
    dataset = pydicom.dcmread(data / "xray_dicom" / name)
    dataset.Modality = "CR"  # the files say OT, which is refused
    dataset.save_as(tmp_path / name)
    image = load([tmp_path / name])
    assert image.grey.shape == (dataset.Rows, dataset.Columns)
    assert np.ptp(image.grey) > 0.9


@pytest.mark.realdata
def test_real_chest_pictures_are_found_and_loaded(data: Path) -> None:
    root = data / "multimodal" / "chest_hannover" / "images"
    files = sorted(root.iterdir())[:20]
    findings = [one.finding for one in find_pictures(root, "r", files, BERLIN)]
    assert all(isinstance(finding, Evidence) and finding.acquired_at is None for finding in findings)
    assert all(0.2 < load([path]).grey.mean() < 0.8 for path in files)
