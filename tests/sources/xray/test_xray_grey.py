"""From stored values to grey: by the equations of the standard, by pydicom on real files, and twins equal."""

import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_presentation_lut, apply_voi_lut
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import XrayImage
from clinic_mm.sources.dicom.header import header_of
from clinic_mm.sources.dicom.pixels import decode
from clinic_mm.sources.dicom.stream import open_dicom
from clinic_mm.sources.xray.grey import Window, read_transform
from clinic_mm.sources.xray.image import load
from tests.sources.made import write_radiograph

RNG = np.random.default_rng(3)


def stored_of(bits: int, signed: bool) -> np.ndarray:
    low = -(1 << bits - 1) if signed else 0
    kind = f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}"
    values = RNG.integers(low, low + (1 << bits), (20, 30)).astype(kind)
    values[0, :2] = low, low + (1 << bits) - 1
    return values


TWELVE_BITS = stored_of(12, signed=False)


def depth(bits: int) -> dict[str, object]:
    return {"BitsStored": bits, "HighBit": bits - 1}


def table_of(entries: np.ndarray, first: int, bits: int, *, packed: bool = False) -> Dataset:
    item = Dataset()
    kind = "SS" if first < 0 else "US"
    item.add_new(
        "LUTDescriptor",
        kind,
        [int(np.int16(np.uint16(len(entries) & 0xFFFF))) if first < 0 else len(entries) & 0xFFFF, first, bits],
    )
    item.add_new("LUTData", "OW", entries.astype("<u1" if packed else "<u2").tobytes())
    return item


def codes(image: XrayImage) -> set[str]:
    return {flag.code for flag in image.flags} - {"xray.small"}


# LINEAR is not symmetric about its centre (PS3.3 C.11.2.1.2.1): the mirror of c is low + high + 1 - c.
VIEWS = {
    "none": ({}, 0),
    "linear": ({"WindowCenter": 0.37, "WindowWidth": 0.2}, 1),
    "exact": ({"WindowCenter": 0.37, "WindowWidth": 0.2, "VOILUTFunction": "LINEAR_EXACT"}, 0),
    "sigmoid": ({"WindowCenter": 0.37, "WindowWidth": 0.2, "VOILUTFunction": "SIGMOID"}, 0),
}


@pytest.mark.parametrize("bits", [8, 10, 12, 15, 16])
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("view", VIEWS)
def test_monochrome_twins_are_equal(tmp_path: Path, view: str, signed: bool, bits: int) -> None:
    stored = stored_of(bits, signed)
    low, high = int(stored.min()), int(stored.max())
    given, shift = VIEWS[view]
    elements, mirrored = dict(given), dict(given)
    if "WindowCenter" in given:
        center, width = round(low + 0.37 * (high - low), 2), round(0.2 * (high - low), 2)
        elements |= {"WindowCenter": center, "WindowWidth": width}
        mirrored |= {"WindowCenter": round(low + high + shift - center, 2), "WindowWidth": width}
    first = write_radiograph(tmp_path / "a", stored, **depth(bits), **elements)
    other = (low + high - stored.astype(int)).astype(stored.dtype)
    twin = write_radiograph(tmp_path / "b", other, PhotometricInterpretation="MONOCHROME1", **depth(bits), **mirrored)
    one, two = load([first]), load([twin])
    np.testing.assert_array_equal(one.grey, two.grey)
    assert one.grey.dtype == np.float32
    assert (one.grey.min(), one.grey.max()) >= (0, 0)
    assert one.grey.max() <= 1


def test_windows_follow_the_standard() -> None:
    # PS3.3 C.11.2.1.2.1 note: c = 2048, w = 4096 takes 0 to the lowest and 4095 to the highest output.
    np.testing.assert_allclose(Window(2048, 4096)(np.array([0.0, 4095.0])), [0, 1])
    np.testing.assert_allclose(Window(0, 1)(np.array([-1.0, 0.0, 1.0])), [0, 1, 1])
    np.testing.assert_allclose(Window(0, 100, "LINEAR_EXACT")(np.array([-50.0, 0.0, 25.0, 90.0])), [0, 0.5, 0.75, 1])
    np.testing.assert_allclose(Window(0, 100, "SIGMOID")(np.array([0.0, 100.0])), [0.5, 1 / (1 + np.exp(-4))])
    for bad in (Window(0, 0.5), Window(0, 0, "LINEAR_EXACT"), Window(0, 10, "LOG"), Window(np.nan, 10)):
        assert not bad.usable()


def test_rescale_comes_before_the_window(tmp_path: Path) -> None:
    plain = write_radiograph(tmp_path / "a", TWELVE_BITS, WindowCenter=1000, WindowWidth=2000)
    moved = write_radiograph(
        tmp_path / "b", TWELVE_BITS, RescaleSlope=1, RescaleIntercept=-500, WindowCenter=500, WindowWidth=2000
    )
    np.testing.assert_array_equal(load([plain]).grey, load([moved]).grey)


def test_the_first_of_several_views_is_taken_and_said(tmp_path: Path) -> None:
    several = {"WindowCenter": [1000, 2000, 50], "WindowWidth": [2000, 300, 10]}
    one = load([write_radiograph(tmp_path / "a", TWELVE_BITS, WindowCenter=1000, WindowWidth=2000)])
    first = load([write_radiograph(tmp_path / "b", TWELVE_BITS, **several)])
    np.testing.assert_array_equal(first.grey, one.grey)
    assert "xray.several_views" in codes(first)
    table = table_of(np.arange(65535, -1, -16), 0, 16)
    both = load([write_radiograph(tmp_path / "c", TWELVE_BITS, VOILUTSequence=[table], **several)])
    assert both.grey[0, 0] == 1  # the table turns black into white
    (flag,) = [flag for flag in both.flags if flag.code == "xray.several_views"]
    assert flag.why == "The header offers 1 table(s) and 3 window(s); the first table is used"


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("center", "width"), [("1e300", "1e300"), ("-1e308", "1"), ("5", "1e-300"), ("5", "1e308")])
def test_a_window_far_from_anything_gives_grey(tmp_path: Path, function: str, center: str, width: str) -> None:
    view = {"WindowCenter": center, "WindowWidth": width, "VOILUTFunction": function}
    path = write_radiograph(tmp_path / "a", TWELVE_BITS, **view)
    opened = open_dicom(path)
    layout = header_of(path, opened).pixels
    grey = read_transform(opened.dataset, layout)(decode(opened.stream, layout)[0], None)
    assert np.isfinite(grey).all()
    assert (grey.min() >= 0) & (grey.max() <= 1)


def test_an_unusable_window_is_none(tmp_path: Path) -> None:
    for number, width in enumerate((0, -5, 0.5)):
        path = write_radiograph(tmp_path / str(number), TWELVE_BITS, WindowCenter=10, WindowWidth=width)
        assert codes(load([path])) == {"xray.no_window"}


def test_without_a_view_eight_bits_are_shown_whole_and_more_robustly(tmp_path: Path) -> None:
    eight = stored_of(8, signed=False)
    image = load([write_radiograph(tmp_path / "a", eight)])
    np.testing.assert_allclose(image.grey, eight / 255, atol=1e-6)
    assert codes(image) == {"xray.no_window"}
    low, high = np.percentile(TWELVE_BITS, [0.5, 99.5])
    deep = load([write_radiograph(tmp_path / "b", TWELVE_BITS, **depth(12))])
    np.testing.assert_allclose(deep.grey, np.clip((TWELVE_BITS - low) / (high - low), 0, 1), atol=1e-6)


def test_padding_is_black_and_counts_in_no_percentile(tmp_path: Path) -> None:
    stored = TWELVE_BITS.copy()
    stored[:8] = 4000  # a third of the picture
    stored[8] = 4050
    padded = write_radiograph(tmp_path / "a", stored, PixelPaddingValue=4000, PixelPaddingRangeLimit=4095, **depth(12))
    image = load([padded])
    outside = stored >= 4000
    measured = stored[~outside]
    low, high = np.percentile(measured, [0.5, 99.5])
    np.testing.assert_allclose(image.grey[~outside], np.clip((measured - low) / (high - low), 0, 1), atol=1e-6)
    assert np.count_nonzero(image.grey[outside]) == 0
    white = write_radiograph(
        tmp_path / "b", stored, PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=4000, **depth(12)
    )
    assert np.count_nonzero(load([white]).grey[:8]) == 0


TABLES = {
    "first entry beyond zero": (np.arange(0, 4096, 2), 100, 12, False),
    "one entry short of all": (np.arange(4095), 0, 12, False),
    "65,536 entries, written as 0": (np.arange(65536) // 2 * 2, 0, 16, False),
    "eight bits in words": (np.arange(4096) // 16, 0, 8, False),
    "eight bits packed": (np.arange(4096) // 16, 0, 8, True),
    "eight bits packed, odd": (np.arange(4095) // 16, 0, 8, True),
}


@pytest.mark.parametrize("sequence", ["VOILUTSequence", "ModalityLUTSequence"])
@pytest.mark.parametrize("name", TABLES)
@pytest.mark.filterwarnings("ignore:The value length:UserWarning")
def test_tables_follow_the_standard(tmp_path: Path, name: str, sequence: str) -> None:
    entries, first, bits, packed = TABLES[name]
    item = table_of(entries, first, bits, packed=packed)
    top = (1 << bits) - 1
    path = write_radiograph(
        tmp_path / "a",
        TWELVE_BITS,
        **{sequence: [item]},
        **({} if sequence == "VOILUTSequence" else {"WindowCenter": (top + 1) / 2, "WindowWidth": top + 1}),
    )
    expected = entries[np.clip(TWELVE_BITS.astype(int) - first, 0, len(entries) - 1)] / top
    np.testing.assert_allclose(load([path]).grey, expected, atol=1e-6)


@pytest.mark.parametrize("vr", ["SS", "US"])
def test_the_first_mapped_value_of_a_signed_picture_is_signed(tmp_path: Path, vr: str) -> None:
    stored = stored_of(12, signed=True)
    item = Dataset()
    item.add_new("LUTDescriptor", vr, [4096, -2048 if vr == "SS" else 65536 - 2048, 12])
    item.add_new("LUTData", "OW", np.arange(4096).astype("<u2").tobytes())
    path = write_radiograph(tmp_path / "a", stored, VOILUTSequence=[item], **depth(12))
    np.testing.assert_allclose(load([path]).grey, (stored.astype(int) + 2048) / 4095, atol=1e-6)


@pytest.mark.parametrize(
    "item",
    [
        table_of(np.arange(100), 0, 12),
        table_of(np.arange(4096), 0, 9),
        table_of(np.arange(4096), 0, 10),
        Dataset(),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path: Path, item: Dataset) -> None:
    if "LUTDescriptor" in item and item.LUTDescriptor[2] == 12:
        item.LUTDescriptor[0] = 4096
    path = write_radiograph(tmp_path / "a", TWELVE_BITS, VOILUTSequence=[item])
    with pytest.raises(EvidenceError) as caught:
        load([path])
    assert caught.value.code == "xray.bad_table"


@pytest.mark.parametrize(
    "elements",
    [
        {"RescaleSlope": 0, "RescaleIntercept": 5},
        {"RescaleSlope": 2},
        {"RescaleSlope": "1e308", "RescaleIntercept": 5},
    ],
)
def test_a_senseless_rescale_is_refused(tmp_path: Path, elements: dict[str, object]) -> None:
    with pytest.raises(EvidenceError) as caught:
        load([write_radiograph(tmp_path / "a", TWELVE_BITS, **elements)])
    assert caught.value.code == "xray.bad_rescale"


@pytest.mark.parametrize(
    ("photometric", "shape", "flagged"),
    [
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME1", "INVERSE", False),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME1", "IDENTITY", True),
    ],
)
def test_presentation_only_repeats_what_is_white(tmp_path: Path, photometric: str, shape: str, flagged: bool) -> None:
    elements = {"WindowCenter": 2048, "WindowWidth": 4096, "PhotometricInterpretation": photometric}
    image = load([write_radiograph(tmp_path / "a", TWELVE_BITS, PresentationLUTShape=shape, **elements)])
    plain = load([write_radiograph(tmp_path / "b", TWELVE_BITS, **elements)])
    np.testing.assert_array_equal(image.grey, plain.grey)
    assert codes(image) == ({"xray.presentation_disagrees"} if flagged else set())


REAL = {
    "1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819.dcm": 255,
    "Fake_MONOHR1.dcm": 255,
    "CR-ModalitySequenceLUT.dcm": None,
    "RG1_J2KI.dcm": None,
    "RG1_JLSN.dcm": None,
    "RG3_J2KR.dcm": None,
    "gdcm-CR-MONO1-10-chest.dcm": None,
    "mlut_18.dcm": None,
    "vlut_04.dcm": None,
}


@pytest.mark.realdata
@pytest.mark.parametrize("name", REAL)
def test_real_files_agree_with_pydicom(data: Path, name: str) -> None:
    path = data / "xray_dicom" / name
    opened = open_dicom(path)
    header = header_of(path, opened)
    if header.fault is not None and header.fault.code == "dicom.needs_extra":
        pytest.skip("needs clinic_mm[jpeg-lossless]")
    stored, outside = decode(opened.stream, header.pixels, header.padding)
    transform = read_transform(opened.dataset, header.pixels)
    grey = transform(stored, outside)
    np.testing.assert_allclose(grey, _by_pydicom(path, stored, transform.whole), atol=2e-6)
    assert np.ptp(grey) > 0.8


def _by_pydicom(path: Path, stored: np.ndarray, whole: tuple[float, float] | None) -> np.ndarray:
    """Grey by pydicom's three functions; where the header offers no view, by our stated default."""
    dataset = pydicom.dcmread(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        levels = apply_modality_lut(stored, dataset)
        shown = apply_presentation_lut(apply_voi_lut(levels, dataset), dataset).astype(float)
    if dataset.get("VOILUTSequence"):
        low, high = 0.0, 2.0 ** dataset.VOILUTSequence[0].LUTDescriptor[2] - 1
    elif dataset.get("WindowCenter") is not None:
        low, high = 0.0, 2.0**dataset.BitsStored - 1
    else:
        low, high = whole or np.percentile(levels, [0.5, 99.5])
    grey = np.clip((shown - low) / (high - low), 0, 1)
    return 1 - grey if dataset.PhotometricInterpretation == "MONOCHROME1" else grey


@pytest.mark.realdata
def test_real_monochrome1_copy_is_the_inverse_of_its_source(data: Path) -> None:
    folder = data / "xray_dicom"
    (source,) = folder.glob("1.2.276*.dcm")
    np.testing.assert_allclose(load([folder / "Fake_MONOHR1.dcm"]).grey, 1 - load([source]).grey, atol=1e-6)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_tables_read_the_same_in_every_plain_encoding(tmp_path: Path, syntax: str) -> None:
    entries, swap = np.arange(65535, -1, -16), syntax == ExplicitVRBigEndian
    plain = write_radiograph(tmp_path / "a", TWELVE_BITS, VOILUTSequence=[table_of(entries, 0, 16)])
    turned = table_of(entries.astype(np.uint16).byteswap() if swap else entries, 0, 16)
    stored = TWELVE_BITS.byteswap() if swap else TWELVE_BITS
    other = write_radiograph(tmp_path / "b", stored, syntax=syntax, VOILUTSequence=[turned])
    np.testing.assert_array_equal(load([other]).grey, load([plain]).grey)
