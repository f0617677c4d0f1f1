"""Damage that no reader of single elements would see: order, unknown tags, types, sisters that differ, ages."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from clinic_mm.sources.dicom.find import find_dicom
from clinic_mm.sources.walk import FileKind, sniff, walk
from clinic_mm.types import Evidence
from tests.sources.made import body, write_radiograph, write_series

UTC = ZoneInfo("UTC")
STRUCTURE = {"dicom.odd_order", "dicom.odd_element", "dicom.odd_type", "dicom.odd_ending"}


def flags_of(root: Path, files: list[Path]) -> set[str]:
    (one,) = find_dicom(root, "r", files, UTC)
    assert isinstance(one.finding, Evidence)
    return {flag.code for flag in one.finding.flags}


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"\x28\x00\x04\x00CS", b"\x28\x00\x04\x00LO", "dicom.odd_type"),
        (b"\x08\x00\x20\x00DA", b"\x08\x00\x2f\x00DA", "dicom.odd_element"),
        (b"\x08\x00\x20\x00DA", b"\x08\x00\x01\x01DA", "dicom.odd_order"),
    ],
)
def test_a_hurt_tag_or_type_is_flagged(tmp_path: Path, old: bytes, new: bytes, code: str) -> None:
    path = write_radiograph(tmp_path / "x", body(1)[0])
    assert flags_of(tmp_path, [path]) & STRUCTURE == set()
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    assert code in flags_of(tmp_path, [path])


@pytest.mark.parametrize(
    ("behind", "odd"),
    [(b"", False), (b"\xfc\xff\xfc\xffOB\0\0\4\0\0\0\0\0\0\0", False), (b"\0" * 9, True), (b"abc", True)],
)
def test_what_follows_the_pixels_is_an_element_or_flagged(tmp_path: Path, behind: bytes, odd: bool) -> None:
    path = write_radiograph(tmp_path / "x", body(1)[0])
    path.write_bytes(path.read_bytes() + behind)
    assert ("dicom.odd_ending" in flags_of(tmp_path, [path])) == odd


@pytest.mark.parametrize(
    ("element", "odd", "code"),
    [
        ("RescaleIntercept", -1000, "ct.slices_differ"),
        ("PixelPaddingValue", 7, "ct.slices_differ"),
        ("BitsStored", 15, "ct.slices_differ"),
        ("StudyDate", "20240103", "ct.times_differ"),
        ("PatientAge", "999Y", "dicom.odd_age"),
    ],
)
def test_one_slice_unlike_its_sisters_is_flagged(tmp_path: Path, element: str, odd: object, code: str) -> None:
    usual = {"RescaleIntercept": -1024, "PixelPaddingValue": 63, "BitsStored": 16, "StudyDate": "20240102"}
    same = usual.get(element, "054Y")
    bits = {"HighBit": lambda n: 14 if n == 2 else 15} if element == "BitsStored" else {}
    good = write_series(tmp_path / "good", body(5), **{element: same})
    bad = write_series(tmp_path / "bad", body(5), **{element: lambda n: odd if n == 2 else same}, **bits)
    assert code not in flags_of(tmp_path, good)
    assert code in flags_of(tmp_path, bad)


@pytest.mark.parametrize(("old", "new"), [(b"054Y", b"05\xb2Y"), (b"+0100", b"+01\xb20")])
def test_a_raised_two_is_a_digit_that_is_no_number(tmp_path: Path, old: bytes, new: bytes) -> None:
    known = {"SpecificCharacterSet": "ISO_IR 100", "PatientAge": "054Y", "TimezoneOffsetFromUTC": "+0100"}
    path = write_radiograph(tmp_path / "x", body(1)[0], **known)
    path.write_bytes(path.read_bytes().replace(old, new))
    assert "dicom.odd_age" not in flags_of(tmp_path, [path])


@pytest.mark.realdata
def test_no_real_file_is_called_odd(data: Path) -> None:
    folders = ("ct", "dicom_syntax", "xray_dicom")
    files = [path for folder in folders for path in walk(data / folder) if sniff(path) is FileKind.DICOM]
    found = [one.finding for one in find_dicom(data, "r", files, UTC)]
    odd = {flag.code for one in found if isinstance(one, Evidence) for flag in one.flags}
    assert not odd & {*STRUCTURE, "ct.slices_differ", "ct.times_differ", "dicom.odd_age"}
