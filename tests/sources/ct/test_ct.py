import os
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import nibabel as nib
import numpy as np
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.ct.nifti import find_nifti
from clinic_mm.sources.ct.volume import load
from clinic_mm.sources.dicom.find import find_dicom
from clinic_mm.sources.found import Found
from clinic_mm.sources.walk import walk
from clinic_mm.types import Evidence, Rejected
from tests.sources.made import body, write_series

BERLIN = ZoneInfo("Europe/Berlin")


def found(root: Path) -> list[Found]:
    return list(find_dicom(root, "r", list(walk(root)), BERLIN))


def code(files: list[Path]) -> str:
    with pytest.raises(EvidenceError) as caught:
        load(files)
    return caught.value.code


def test_axes_are_right_anterior_superior_in_hounsfield_units(tmp_path: Path) -> None:
    stored = body()
    volume = load(write_series(tmp_path, stored))
    assert volume.spacing_mm == (1.0, 2.0, 3.0)
    # Columns run to the patient's left and rows to the back: both are turned round.
    np.testing.assert_array_equal(volume.hu, stored.transpose(2, 1, 0)[::-1, ::-1].astype(np.float32) - 1024)
    assert volume.hu.dtype == np.float32
    assert min(volume.hu.strides) > 0


def test_file_names_and_order_do_not_matter(tmp_path: Path) -> None:
    stored = body()
    straight = load(write_series(tmp_path / "a", stored))
    mixed = write_series(tmp_path / "b", stored, ["9", "2", "5", "1", "7", "0"])
    np.testing.assert_array_equal(load(sorted(mixed)).hu, straight.hu)


@pytest.mark.parametrize(
    ("orientation", "axis"), [([-1, 0, 0, 0, 1, 0], 0), ([1, 0, 0, 0, -1, 0], 1)], ids=["columns", "rows"]
)
def test_turning_the_orientation_tag_turns_the_volume(tmp_path: Path, orientation: list[int], axis: int) -> None:
    straight = load(write_series(tmp_path / "a", body()))
    # Turning one direction turns the slice normal too: the stack is then sorted the other way, and read back.
    turned = load(write_series(tmp_path / "b", body(), ImageOrientationPatient=orientation))
    np.testing.assert_array_equal(turned.hu, np.flip(straight.hu, axis))


def test_sagittal_slices_come_out_in_the_same_axes(tmp_path: Path) -> None:
    stored = body()
    files = write_series(
        tmp_path,
        stored,
        ImageOrientationPatient=[0, 1, 0, 0, 0, -1],
        ImagePositionPatient=lambda k: [3.0 * k, 0.0, 0.0],
    )
    volume = load(files)
    assert volume.spacing_mm == (3.0, 1.0, 2.0)
    # slice -> left, column -> posterior, row -> inferior: all three turned round
    np.testing.assert_array_equal(volume.hu, stored.transpose(0, 2, 1)[::-1, ::-1, ::-1].astype(np.float32) - 1024)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_the_transfer_syntax_does_not_matter(tmp_path: Path, syntax: str) -> None:
    straight = load(write_series(tmp_path / "a", body()))
    np.testing.assert_array_equal(load(write_series(tmp_path / "b", body(), syntax=syntax)).hu, straight.hu)


def test_padding_becomes_air_and_unused_bits_are_cleared(tmp_path: Path) -> None:
    stored = body()
    dirty = stored | 0x8000
    dirty[0, 0, 0] = 0xF830
    files = write_series(tmp_path, dirty, BitsStored=12, HighBit=11, PixelPaddingValue=0xF830)
    hu = load(files).hu
    assert hu[-1, -1, 0] == -1000.0
    np.testing.assert_array_equal(hu[:, :, 1:], (stored[1:].transpose(2, 1, 0)[::-1, ::-1]).astype(np.float32) - 1024)


def test_values_outside_of_the_scanner_field_become_air(tmp_path: Path) -> None:
    stored = body().astype(np.int16)
    stored[:, 0, 0] = -2000
    volume = load(write_series(tmp_path, stored))
    assert volume.hu.min() >= -1024
    assert "ct.filled_with_air" in {flag.code for flag in volume.flags}


def test_a_missing_slice_is_refused(tmp_path: Path) -> None:
    files = write_series(tmp_path, body())
    assert code(files[:2] + files[3:]) == "ct.missing_slices"


def test_every_second_slice_missing_is_refused_though_spacing_is_even(tmp_path: Path) -> None:
    by_number = write_series(tmp_path / "a", body(8))
    assert code(by_number[::2]) == "ct.missing_slices"
    declared = write_series(tmp_path / "b", body(8), SpacingBetweenSlices=3.0, InstanceNumber=1, SliceThickness=None)
    assert code(declared[::2]) == "ct.missing_slices"
    by_thickness = write_series(tmp_path / "c", body(8), InstanceNumber=None)
    assert code(by_thickness[::2]) == "ct.missing_slices"


def test_gaps_that_the_protocol_declares_are_kept_and_flagged(tmp_path: Path) -> None:
    sparse = load(write_series(tmp_path, body(), SliceThickness=1.0))
    assert "ct.gaps" in {flag.code for flag in sparse.flags}
    assert load(write_series(tmp_path / "b", body(), SliceThickness=1.0, SpacingBetweenSlices=3.0)).flags == ()


REFUSED = {
    "ct.tilt": {"ImagePositionPatient": lambda k: [-10.0, 3.0 * (k % 2), 3.0 * k]},
    "ct.duplicate_slices": {"ImagePositionPatient": lambda k: [0.0, 0.0, 3.0 * (k // 2)]},
    "ct.spacing_changes": {
        "ImagePositionPatient": lambda k: [0.0, 0.0, 3.0 * k + (1.3 if k > 3 else 0.0)],
        "InstanceNumber": None,
    },
    "ct.no_geometry": {"ImagePositionPatient": None},
    "ct.no_rescale": {"RescaleSlope": None},
    "ct.not_hu": {"RescaleType": "US"},
    "ct.mixed_slices": {"SeriesInstanceUID": lambda k: f"1.2.{k}"},
    "ct.localizer": {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
    "dicom.unsupported_modality": {"Modality": "MR"},
    "dicom.bad_value": {"BitsStored": 17},
    "dicom.truncated": {"Rows": 9},
    "dicom.too_large": {"Rows": 65535, "Columns": 65535},
}


@pytest.mark.parametrize("expected", REFUSED)
def test_what_makes_no_volume_is_refused_by_name(tmp_path: Path, expected: str) -> None:
    assert code(write_series(tmp_path, body(), **REFUSED[expected])) == expected


def test_two_patients_in_one_folder_are_two_findings(tmp_path: Path) -> None:
    write_series(tmp_path, body())
    write_series(tmp_path, body(), [f"other{k}" for k in range(6)], PatientID="P2")
    both = found(tmp_path)
    assert [one.patient_id for one in both] == ["P1", "P2"]
    assert all(isinstance(one.finding, Evidence) and len(one.finding.paths) == 6 for one in both)


def test_evidence_has_order_time_shape_and_no_identity(tmp_path: Path) -> None:
    write_series(tmp_path, body(), ["5", "4", "3", "2", "1", "0"], PatientName="DOE^JANE", PatientAge="050Y")
    (one,) = found(tmp_path)
    assert isinstance(one.finding, Evidence)
    assert one.finding.paths == ("5", "4", "3", "2", "1", "0")
    assert one.finding.acquired_at == datetime(2024, 1, 2, 9, 15, tzinfo=UTC)
    assert one.finding.meta["shape"] == [10, 8, 6]
    assert one.finding.meta["spacing_mm"] == [1.0, 2.0, 3.0]
    assert "DOE" not in one.finding.model_dump_json()
    assert "050" not in str(one.finding.meta)


def test_the_latest_acquisition_and_the_own_zone_count(tmp_path: Path) -> None:
    write_series(
        tmp_path,
        body(),
        AcquisitionDate="20240103",
        AcquisitionTime=lambda k: f"1200{k:02d}",
        TimezoneOffsetFromUTC="-0500",
    )
    (one,) = found(tmp_path)
    assert one.finding.acquired_at == datetime(2024, 1, 3, 17, 0, 5, tzinfo=UTC)


def test_copies_of_a_slice_are_used_once_and_flagged(tmp_path: Path) -> None:
    files = write_series(tmp_path / "a", body())
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "copy.dcm").write_bytes(files[2].read_bytes())
    (one,) = found(tmp_path)
    assert isinstance(one.finding, Evidence)
    assert len(one.finding.paths) == 6
    assert [flag.code for flag in one.finding.flags] == ["ct.copies"]


def test_one_broken_slice_rejects_its_series_and_no_other(tmp_path: Path) -> None:
    files = write_series(tmp_path / "a", body())
    files[2].write_bytes(files[2].read_bytes()[:-20])
    write_series(tmp_path / "b", body(), SeriesInstanceUID="1.9")
    first, second = (one.finding for one in found(tmp_path))
    assert isinstance(first, Rejected)
    assert (first.code, first.modality, len(first.paths)) == ("dicom.truncated", "ct", 6)
    assert isinstance(second, Evidence)


def test_a_slice_with_a_senseless_element_rejects_its_series(tmp_path: Path) -> None:
    files = write_series(tmp_path, body())
    files[-1].write_bytes(files[-1].read_bytes().replace(b"-10.0\\-20.0\\15.0", b"-10.0\\-20.0\\1x.0"))
    (one,) = found(tmp_path)
    assert isinstance(one.finding, Rejected)
    assert (one.patient_id, one.finding.code, len(one.finding.paths)) == ("P1", "dicom.bad_value", 6)
    assert "ImagePositionPatient" in one.finding.why


def test_a_name_that_is_no_text_is_rejected_not_written(tmp_path: Path) -> None:
    write_series(tmp_path, body(4))
    (tmp_path / "001.dcm").rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.dcm"))
    (one,) = found(tmp_path)
    assert isinstance(one.finding, Rejected)
    assert one.finding.code == "file.name"
    one.finding.model_dump_json()


def write_nifti(path: Path, values: np.ndarray, affine: np.ndarray) -> Path:
    nib.save(nib.Nifti1Image(values, affine), path)
    return path


def test_nifti_is_turned_into_the_same_axes(tmp_path: Path) -> None:
    hu = body().astype(np.int16) - 1024
    straight = load([write_nifti(tmp_path / "a.nii.gz", hu, np.diag([1.0, 2.0, 3.0, 1.0]))])
    np.testing.assert_array_equal(straight.hu, hu.astype(np.float32))
    flipped = load([write_nifti(tmp_path / "b.nii", hu[::-1], np.diag([-1.0, 2.0, 3.0, 1.0]))])
    np.testing.assert_array_equal(flipped.hu, straight.hu)
    assert straight.spacing_mm == flipped.spacing_mm == (1.0, 2.0, 3.0)


@pytest.mark.parametrize("values", [np.zeros((5, 5, 5)), np.full((5, 5, 5), 300.0), np.full((5, 5, 5), np.nan)])
def test_nifti_without_air_is_not_hounsfield_units(tmp_path: Path, values: np.ndarray) -> None:
    path = write_nifti(tmp_path / "a.nii.gz", values.astype(np.float32), np.eye(4))
    assert code([path]) == "ct.not_hu"
    (one,) = find_nifti(tmp_path, "r", [path], BERLIN)
    assert isinstance(one.finding, Rejected)


def test_damaged_nifti_is_refused(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii.gz", body().astype(np.int16) - 1024, np.eye(4))
    path.write_bytes(path.read_bytes()[:-200])
    assert code([path]) == "nifti.unreadable"
    assert code([write_nifti(tmp_path / "b.nii", np.zeros((2, 2, 2, 3), np.int16), np.eye(4))]) == "ct.not_a_volume"


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("folder", "shape", "spacing_mm"),
    [
        ("ct/crlm_CRLM-CT-1004", (512, 512, 41), (0.796875, 0.796875, 5.0)),
        ("ct/nsclc_LUNG1-001/image", (512, 512, 41), (0.9765625, 0.9765625, 3.0)),
        ("ct/totalseg_biograph", (512, 512, 20), (0.9765625, 0.9765625, 2.0)),
        ("ct/totalseg_nifti/example_ct.nii.gz", (122, 101, 112), (3.0, 3.0, 3.0)),
    ],
)
def test_real_volumes(data: Path, folder: str, shape: tuple[int, ...], spacing_mm: tuple[float, ...]) -> None:
    path = data / folder
    volume = load(sorted(path.glob("*.dcm")) if path.is_dir() else [path])
    assert volume.hu.shape == shape
    assert volume.spacing_mm == pytest.approx(spacing_mm)
    air = np.median(volume.hu[volume.hu < -800])
    assert -1030 < air < -900
    assert np.count_nonzero(volume.hu > 100) > 1000
    assert volume.flags == ()  # the checks of air and of odd slices find nothing wrong with them


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("robustness/dicom/series/missing_slices", "ct.missing_slices"),
        ("robustness/dicom/series/two_patients", "ct.mixed_slices"),
    ],
)
def test_real_series_that_make_no_volume(data: Path, folder: str, expected: str) -> None:
    assert code(sorted((data / folder).glob("*.dcm"))) == expected


@pytest.mark.realdata
def test_real_shuffled_names_give_the_same_volume(data: Path) -> None:
    folder = data / "robustness/dicom/series"
    straight, mixed = (load(sorted((folder / name).glob("*.dcm"))) for name in ("ok", "shuffled_names"))
    np.testing.assert_array_equal(straight.hu, mixed.hu)


@pytest.mark.realdata
def test_real_segmentations_are_no_ct(data: Path) -> None:
    folder = data / "ct/totalseg_nifti"
    findings = [one.finding for one in find_nifti(folder, "r", sorted(folder.glob("*.nii.gz")), BERLIN)]
    assert [isinstance(finding, Evidence) for finding in findings] == [True, False, False]
