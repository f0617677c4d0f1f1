import time
from pathlib import Path

import numpy as np
import pytest

from clinic_mm.errors import EvidenceError
from clinic_mm.sources import pixels
from clinic_mm.sources.dicom_stream import open_dicom
from clinic_mm.sources.header import header_of
from clinic_mm.sources.layout import Layout

pytestmark = pytest.mark.realdata
J2K = "CT1_J2KR.dcm"


def opened(path: Path) -> tuple[bytes, Layout]:
    stream = open_dicom(path)
    return stream.stream, header_of(path, stream).pixels


def hounsfield(path: Path) -> np.ndarray:
    stream = open_dicom(path)
    header = header_of(path, stream)
    assert header.slope is not None
    assert header.intercept is not None
    return pixels.decode(stream.stream, header.pixels)[0] * header.slope + header.intercept


@pytest.mark.parametrize("name", ["CT1_JLSL.dcm", "CT1_J2KR.dcm", "CT1_RLE.dcm"])
def test_lossless_twins_of_ct1_are_equal(data: Path, name: str) -> None:
    folder = data / "dicom_syntax"
    np.testing.assert_array_equal(hounsfield(folder / name), hounsfield(folder / "CT1_UNC.dcm"))


@pytest.mark.parametrize(
    "syntax", ["BigEndian", "Deflated", "JPEG2000LosslessOnly", "JPEGLSLossless", "LittleEndianExplicit", "RLELossless"]
)
def test_lossless_twins_of_one_slice_are_equal(data: Path, syntax: str) -> None:
    folder = data / "dicom_syntax"
    (twin,) = folder.glob(f"CTImage.dcm_{syntax}*")
    np.testing.assert_array_equal(hounsfield(twin), hounsfield(folder / "CTImage.dcm"))


@pytest.mark.parametrize(
    ("name", "tolerance_hu"), [("JPEG2000Transfer", 40), ("JPEGLSLossy", 10), ("JPEGProcess1", 60)]
)
def test_lossy_twins_are_near(data: Path, name: str, tolerance_hu: float) -> None:
    folder = data / "dicom_syntax"
    (twin,) = folder.glob(f"CTImage.dcm_{name}Transfer*" if "Transfer" not in name else f"CTImage.dcm_{name}*")
    inside = np.s_[150:350, 150:350]
    difference = hounsfield(twin)[inside] - hounsfield(folder / "CTImage.dcm")[inside]
    assert np.abs(difference).mean() < tolerance_hu


def test_what_needs_the_extra_says_how_to_get_it(data: Path) -> None:
    with pytest.raises(EvidenceError, match=r"clinic_mm\[jpeg-lossless\]") as caught:
        opened(data / "dicom_syntax" / "CT1_JPLL.dcm")
    assert caught.value.code == "dicom.needs_extra"


@pytest.mark.parametrize("name", ["CT1_J2KR.dcm", "CT1_JLSL.dcm", "CT1_RLE.dcm"])
def test_a_cut_picture_is_refused_not_filled(data: Path, name: str) -> None:
    stream, layout = opened(data / "dicom_syntax" / name)
    with pytest.raises(EvidenceError):
        pixels.decode(stream[: len(stream) * 2 // 3], layout)


def test_a_hanging_decoder_costs_one_picture(data: Path) -> None:
    stream, layout = opened(data / "dicom_syntax" / J2K)
    hurried = pixels._Worker(0.002)
    with pytest.raises(EvidenceError) as caught:
        hurried.decode(stream[layout.offset :], layout)
    assert caught.value.code == "dicom.decoder_died"
    hurried.seconds = 20.0
    assert hurried.decode(stream[layout.offset :], layout).size == 512 * 512
    hurried.close()


def test_a_killed_worker_is_started_again(data: Path) -> None:
    stream, layout = opened(data / "dicom_syntax" / J2K)
    worker = pixels._Worker(20.0)
    first = worker.decode(stream[layout.offset :], layout)
    assert worker.process is not None
    worker.process.kill()
    worker.process.wait()
    np.testing.assert_array_equal(worker.decode(stream[layout.offset :], layout), first)
    worker.close()


def test_an_interrupted_request_cannot_answer_the_next(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (opened(data / "dicom_syntax" / name) for name in (J2K, "CT1_J2KI.dcm"))
    worker = pixels._Worker(20.0)
    with monkeypatch.context() as patch:
        patch.setattr(pixels, "_exactly", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            worker.decode(first[0][first[1].offset :], first[1])
    stored = worker.decode(second[0][second[1].offset :], second[1])
    np.testing.assert_array_equal(stored.reshape(512, 512), pixels.decode(*second)[0])
    worker.close()


def _interrupt(*_: object) -> bytes:
    raise KeyboardInterrupt


def test_mutated_frames_end_in_values_or_our_error(data: Path) -> None:
    rng = np.random.default_rng(11)
    started = time.monotonic()
    for name in ("CT1_J2KI.dcm", "CT1_JLSL.dcm", "CT1_RLE.dcm"):
        stream, layout = opened(data / "dicom_syntax" / name)
        for _ in range(12):
            mutated = bytearray(stream)
            for place in rng.integers(layout.offset, len(stream), 6):
                mutated[place] = rng.integers(256)
            try:
                stored, _ = pixels.decode(bytes(mutated), layout)
            except EvidenceError:
                continue
            assert stored.shape == (layout.rows, layout.columns)
    assert time.monotonic() - started < 60
