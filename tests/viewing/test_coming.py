"""Slices before the whole: the very values of the reader's volume, and none of a series that its headers rule out."""

import threading
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.ct.slicewise import slicewise
from clinic_mm.sources.ct.volume import load
from clinic_mm.sources.place import content_hash
from clinic_mm.types import Evidence
from clinic_mm.viewing import study as module
from clinic_mm.viewing.cache import ViewCache
from clinic_mm.viewing.coming import ComingVolume
from clinic_mm.viewing.study import Studies
from clinic_mm.viewing.volume import FreshVolume, planes
from tests.sources.made import body, write_series

AXES = ([1, 0, 0], [0, 1, 0])
WAYS = [
    [sign * part for axis, sign in zip(order, signs, strict=True) for part in axis]
    for order in (AXES, AXES[::-1])
    for signs in product((1, -1), repeat=2)
]
"""Directions of rows and columns of all axial scans."""


@pytest.fixture
def studies(tmp_path: Path) -> Iterator[Studies]:
    found = Studies(ViewCache(tmp_path / "views", 10**7))
    yield found
    found.close()


def evidence(root: Path, files: list[Path]) -> Evidence:
    names = tuple(str(one.relative_to(root)) for one in files)
    return Evidence(modality="ct", root="r", paths=names, content_hash=content_hash(files))


def check(files: list[Path]) -> None:
    """Every slice, and where the first voxel lies, as the whole has them."""
    whole, early = FreshVolume(load(files)), slicewise(files)
    assert early is not None
    coming = ComingVolume(early)
    said = {name: value for name, value in coming.told.items() if name in {"shape", "spacing_mm", "unit", "kind"}}
    assert said == {name: whole.told[name] for name in said}
    for at in {0, 1, early.shape[2] // 2, early.shape[2] - 1}:
        assert planes(coming, "axial", at) == planes(whole, "axial", at)
    coming.finish(lambda: whole)
    assert planes(coming, "coronal", 1) == planes(whole, "coronal", 1)
    assert coming.told["flags"] == whole.told["flags"]


@pytest.mark.parametrize("orientation", WAYS)
def test_a_slice_is_that_of_the_volume_however_the_patient_lay(tmp_path: Path, orientation: list[int]) -> None:
    lower = {"RescaleIntercept": -2000}  # below -1500 HU is outside of the field: it becomes air in both
    names = ["9", "2", "5", "1", "7", "0"]
    check(write_series(tmp_path, body(), names, ImageOrientationPatient=orientation, **lower))


@pytest.mark.realdata
@pytest.mark.parametrize("series", ["crlm_CRLM-CT-1004", pytest.param("nsclc_LUNG1-001/image", marks=pytest.mark.long)])
def test_slices_of_real_series(data: Path, series: str) -> None:
    check(sorted((data / "ct" / series).rglob("*.dcm")))


def test_the_first_voxel_lies_where_the_header_says_and_frames_are_told_apart(tmp_path: Path) -> None:
    at = {"ImagePositionPatient": lambda k: [10.0, 20.0, 30.0 + 3 * k]}
    one = slicewise(write_series(tmp_path / "a", body(), FrameOfReferenceUID="1.2.3", **at))
    other = slicewise(write_series(tmp_path / "b", body(), FrameOfReferenceUID="1.2.4", **at))
    none = slicewise(write_series(tmp_path / "c", body(), FrameOfReferenceUID="", **at))
    assert one
    assert other
    assert none
    columns, rows = one.shape[0], one.shape[1]
    right, front = -10.0 - (columns - 1) * one.spacing_mm[0], -20.0 - (rows - 1) * one.spacing_mm[1]
    assert one.first_mm == pytest.approx((right, front, 30.0))
    assert one.frame != other.frame
    assert one.frame
    assert none.frame == ""
    assert "1.2.3" not in one.frame


def test_what_is_no_axial_even_upright_series_is_left_to_the_whole(tmp_path: Path) -> None:
    sagittal = write_series(
        tmp_path / "a",
        body(),
        ImageOrientationPatient=[0, 1, 0, 0, 0, -1],
        ImagePositionPatient=lambda k: [3.0 * k, 0.0, 0.0],
    )
    assert slicewise(sagittal) is None
    assert slicewise(sagittal[:1]) is None


def test_headers_that_make_no_volume_refuse_before_any_slice(studies: Studies, tmp_path: Path) -> None:
    files = write_series(tmp_path / "s", body())
    files[2].unlink()
    left = [one for one in files if one.exists()]
    with pytest.raises(EvidenceError) as caught:
        studies.opened(evidence(tmp_path, left), "ct", {"r": tmp_path})
    assert caught.value.code == "ct.missing_slices"


def test_files_that_are_not_those_of_ingest_show_no_slice(studies: Studies, tmp_path: Path) -> None:
    files = write_series(tmp_path / "s", body())
    mine = evidence(tmp_path, files)
    files[0].write_bytes(files[0].read_bytes()[:-2] + b"\1\1")
    with pytest.raises(EvidenceError) as caught:
        studies.opened(mine, "ct", {"r": tmp_path})
    assert caught.value.code == "file.changed"


def test_a_slice_is_there_while_the_rest_is_decoded_and_the_rest_is_kept(
    studies: Studies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, decoded, gate = write_series(tmp_path / "s", body()), module.decoded, threading.Event()
    monkeypatch.setattr(module, "decoded", lambda *given: gate.wait(30) and decoded(*given))
    mine, whole = evidence(tmp_path, files), FreshVolume(load(files))
    found = studies.opened(mine, "ct", {"r": tmp_path})
    assert planes(found, "axial", 3) == planes(whole, "axial", 3)
    assert studies.opened(mine, "ct", {"r": tmp_path}) is found, "it is begun once"
    gate.set()
    assert planes(found, "sagittal", 0) == planes(whole, "sagittal", 0)
    studies.close()
    kept = studies.opened(mine, "ct", {"r": tmp_path})
    assert planes(kept, "axial", 3) == planes(whole, "axial", 3)
    assert kept.told["flags"] == whole.told["flags"]


def test_who_needs_the_whole_does_not_wait_for_a_first_slice_that_nobody_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clinic_mm.viewing.coming.FIRST_WAIT_S", 30)
    files = write_series(tmp_path / "s", body())
    whole, early = FreshVolume(load(files)), slicewise(files)
    assert early is not None
    coming = ComingVolume(early)
    maker = threading.Thread(target=coming.finish, args=(lambda: whole,))
    maker.start()
    began = time.monotonic()
    assert planes(coming, "axial", 0, 2) == planes(whole, "axial", 0, 2)
    assert time.monotonic() - began < 10
    maker.join()


@pytest.mark.parametrize("fault", ["refused", "other values"])
def test_a_series_that_the_reader_refuses_is_taken_back_and_shows_no_slice_again(
    studies: Studies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    files, gate = write_series(tmp_path / "s", body()), threading.Event()
    other = FreshVolume(load(write_series(tmp_path / "o", body() + 1)))

    def whole(*_: object) -> FreshVolume:
        gate.wait(30)
        if fault == "refused":
            raise EvidenceError("dicom.codestream_mismatch", "A slice is damaged", "")
        return other

    monkeypatch.setattr(module, "decoded", whole)
    mine = evidence(tmp_path, files)
    found = studies.opened(mine, "ct", {"r": tmp_path})
    planes(found, "axial", 0)
    gate.set()
    for asked in (("axial", 0, 2), ("coronal", 0, 1), ("axial", 0, 1)):
        with pytest.raises(EvidenceError):
            planes(found, *asked)
    studies._decoder.shutdown()
    if fault == "refused":
        with pytest.raises(EvidenceError):
            studies.opened(mine, "ct", {"r": tmp_path})
