"""Images: the same pixels and geometry, nobody's name; what cannot be judged is refused."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from clinic_mm.deid.dicom import deidentify_dicom
from clinic_mm.deid.dicom_frames import blanked
from clinic_mm.deid.keyring import Keyring
from clinic_mm.deid.known import Known
from clinic_mm.deid.policy import Policy, read_policy
from clinic_mm.errors import EvidenceError
from tests.sources.made import CT_IMAGE, body, write_radiograph, write_series

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def _made(path: Path, ring: Keyring, options: tuple[str, ...] = ()) -> Dataset:
    made = deidentify_dicom(path, read_policy(options), ring, Known(()))
    return pydicom.dcmread(BytesIO(made.content))


def test_pixels_geometry_and_values_stay_and_the_name_goes(tmp_path: Path, ring: Keyring) -> None:
    path = write_series(tmp_path, body(1), PatientName="Doe^Jane", StationName="CT1", ImageComments="Jane")[0]
    old, new = pydicom.dcmread(path), _made(path, ring)
    assert new.PixelData == old.PixelData
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleIntercept", "Rows"):
        assert new[name].value == old[name].value
    assert new.PatientName == new.PatientID == ring.patient("P1")
    assert "StationName" not in new
    assert "ImageComments" not in new
    assert (new.PatientIdentityRemoved, new.LongitudinalTemporalInformationModified) == ("YES", "MODIFIED")
    codes = [item.CodeValue for item in new.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113107"]


def test_uids_are_replaced_the_same_way_in_every_file_and_place(tmp_path: Path, ring: Keyring) -> None:
    first, second = write_series(tmp_path, body(2))
    reference = Dataset()
    reference.ReferencedSOPClassUID = CT_IMAGE
    reference.ReferencedSOPInstanceUID = pydicom.dcmread(first).SOPInstanceUID
    changed = pydicom.dcmread(second)
    changed.ReferencedImageSequence = Sequence([reference])
    changed.save_as(second)
    a, b = _made(first, ring), _made(second, ring)
    assert (
        a.SOPInstanceUID
        == a.file_meta.MediaStorageSOPInstanceUID
        == b.ReferencedImageSequence[0].ReferencedSOPInstanceUID
    )
    assert a.SeriesInstanceUID == b.SeriesInstanceUID != a.StudyInstanceUID
    assert b.ReferencedImageSequence[0].ReferencedSOPClassUID == CT_IMAGE == a.SOPClassUID


def test_intervals_are_kept_and_times_of_day_stay(tmp_path: Path, ring: Keyring) -> None:
    path = write_series(tmp_path, body(1), StudyDate="20240229", SeriesDate="20240301", StudyTime="101500.25")[0]
    new = _made(path, ring)
    days = [int(np.datetime64(f"{d[:4]}-{d[4:6]}-{d[6:]}").astype(int)) for d in (new.StudyDate, new.SeriesDate)]
    assert days[1] - days[0] == 1
    assert (new.StudyTime, new.StudyDate != "20240229") == ("101500.25", True)


def test_twice_is_once_and_a_change_is_seen(tmp_path: Path, ring: Keyring, policy: Policy, known: Known) -> None:
    once = deidentify_dicom(write_series(tmp_path, body(1))[0], policy, ring, known)
    again = tmp_path / "again.dcm"
    again.write_bytes(once.content)
    twice = deidentify_dicom(again, policy, ring, known)
    assert twice.content == once.content
    assert (twice.sealed, twice.patients) == (True, once.patients)
    with pytest.raises(EvidenceError) as caught:
        deidentify_dicom(again, read_policy(["device"]), ring, known)
    assert caught.value.code == "deid.other_policy"
    again.write_bytes(b"Jane Doe".ljust(128, b"\0") + once.content[128:])
    changed = deidentify_dicom(again, policy, ring, known)
    assert not changed.sealed
    assert b"Jane" not in changed.content


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        ({"BurnedInAnnotation": "YES"}, "deid.burned_in"),
        ({"SOPClassUID": SECONDARY_CAPTURE}, "deid.burned_in"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "deid.burned_in"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11"}, "deid.unsupported_object"),
        ({"OverlayBitPosition": 12}, "deid.overlay_in_pixels"),
        ({"PatientID": "", "StudyInstanceUID": "", "SeriesInstanceUID": ""}, "deid.nobody"),
    ],
)
def test_what_cannot_be_judged_is_refused(
    tmp_path: Path, ring: Keyring, policy: Policy, known: Known, elements: dict[str, object], code: str
) -> None:
    overlay = elements.pop("OverlayBitPosition", None)
    path = write_radiograph(tmp_path / "x.dcm", body(1)[0], **elements)
    if overlay:
        changed = pydicom.dcmread(path)
        changed.add_new(0x60000102, "US", overlay)
        changed.save_as(path)
    with pytest.raises(EvidenceError) as caught:
        deidentify_dicom(path, policy, ring, known)
    assert caught.value.code == code


def test_a_secondary_capture_that_says_no_is_taken(tmp_path: Path, ring: Keyring) -> None:
    path = write_radiograph(tmp_path / "x.dcm", body(1)[0], SOPClassUID=SECONDARY_CAPTURE, BurnedInAnnotation="NO")
    assert _made(path, ring).SOPClassUID == SECONDARY_CAPTURE


def test_options_keep_what_they_name(tmp_path: Path, ring: Keyring) -> None:
    given = {
        "PatientAge": "093Y",
        "PatientSex": "F",
        "StationName": "CT1",
        "InstitutionName": "Bürgerspital",
        "SeriesDescription": "CT Thorax Dr Doe 5mm",
    }
    path = write_series(tmp_path, body(1), SpecificCharacterSet="ISO_IR 100", **given)[0]
    assert "PatientAge" not in _made(path, ring)
    new = _made(path, ring, ("characteristics", "device", "institution", "descriptors"))
    assert (new.PatientAge, new.PatientSex, new.StationName) == ("090Y", "F", "CT1")
    assert new.InstitutionName == "Bürgerspital"
    assert new.SeriesDescription == "CT Thorax 5mm"
    assert {"113105", "113108", "113109", "113112"} <= {
        item.CodeValue for item in new.DeidentificationMethodCodeSequence
    }


def test_private_numbers_stay_only_by_option_and_only_as_numbers(tmp_path: Path, ring: Keyring) -> None:
    path = write_series(tmp_path, body(1))[0]
    changed = pydicom.dcmread(path)
    block = changed.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", "1000")
    block.add_new(0x0E, "LO", "Doe")
    changed.save_as(path)
    assert not [e for e in _made(path, ring) if e.tag.is_private]
    kept = [str(e.value) for e in _made(path, ring, ("safe-private",)) if e.tag.is_private]
    assert kept == ["SIEMENS MR HEADER", "1000"]


def test_comments_in_frames_are_blank_and_nothing_else_changes() -> None:
    comment = b"\xff\xfe\x00\x0aJane Doe"
    scan = b"\xff\xda\x00\x04\x01\x02\x11\xff\x00\x22\xff\xd9"
    frame = b"\xff\xd8" + comment + scan + b"Doe\0"
    assert blanked(frame) == b"\xff\xd8\xff\xfe\x00\x0a" + bytes(8) + scan + bytes(4)


@pytest.mark.realdata
def test_real_images_keep_their_pixels_in_every_transfer_syntax(
    data: Path, policy: Policy, ring: Keyring, known: Known
) -> None:
    seen = set()
    for path in sorted((data / "dicom_syntax").glob("*.dcm")):
        try:
            made = deidentify_dicom(path, policy, ring, known)
        except EvidenceError:
            continue
        old, new = pydicom.dcmread(path, force=True), pydicom.dcmread(BytesIO(made.content))
        assert len(new.PixelData) in {len(old.PixelData), len(old.PixelData) - len(old.PixelData) % 2}
        if old.PixelData != new.PixelData:  # a comment of the encoder was blanked
            assert np.array_equal(old.pixel_array, new.pixel_array), path.name
        seen.add(new.file_meta.TransferSyntaxUID)
        assert new.PatientID != str(old.get("PatientID", ""))
    assert len(seen) >= 12


@pytest.mark.realdata
def test_the_fictional_patients_are_refused_or_gone(data: Path, policy: Policy, ring: Keyring, known: Known) -> None:
    with pytest.raises(EvidenceError) as caught:
        deidentify_dicom(data / "robustness/dicom/deid/ctbrain1.dcm", policy, ring, known)
    assert caught.value.code == "deid.burned_in"
    path = data / "robustness/dicom/generated/phi_fictional.dcm"
    old = pydicom.dcmread(path, stop_before_pixels=True)
    content = deidentify_dicom(path, policy, ring, known).content
    for name in ("PatientName", "PatientID", "InstitutionName", "ReferringPhysicianName", "OperatorsName"):
        for part in str(old.get(name, "")).split("^"):
            assert not part or part.encode() not in content
