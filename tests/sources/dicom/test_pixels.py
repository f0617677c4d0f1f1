"""Pixels as they are stored: plain and compressed, one frame and several, whole and cut."""

import time
from pathlib import Path

import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, RLELossless
from rle.rle import encode_frame

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.dicom import pixels
from clinic_mm.sources.dicom.header import header_of
from clinic_mm.sources.dicom.layout import UNDEFINED_LENGTH, Layout
from clinic_mm.sources.dicom.stream import open_dicom

RNG = np.random.default_rng(5)


def layout_of(stored: np.ndarray, syntax: str = ExplicitVRLittleEndian, **changes: object) -> Layout:
    *frames, rows, columns = stored.shape
    numbers: dict[str, object] = {
        "transfer_syntax": str(syntax),
        "rows": rows,
        "columns": columns,
        "frames": frames[0] if frames else 1,
        "samples": 1,
        "bits_allocated": stored.dtype.itemsize * 8,
        "bits_stored": stored.dtype.itemsize * 8,
        "signed": stored.dtype.kind == "i",
        "photometric": "MONOCHROME2",
        "offset": 0,
        "length": UNDEFINED_LENGTH,
        **changes,
    }
    return Layout(**numbers)  # type: ignore[arg-type]


def refused(stream: bytes, layout: Layout) -> str:
    with pytest.raises(EvidenceError) as caught:
        pixels.decode(stream, layout)
    return caught.value.code


def rle(frame: np.ndarray) -> bytes:
    return bytes(encode_frame(frame.tobytes(), *frame.shape, 1, frame.dtype.itemsize * 8, "<"))


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4"])
@pytest.mark.parametrize("shape", [(3, 5), (4, 3, 5)])
def test_plain_values_of_either_end_come_back(kind: str, shape: tuple[int, ...]) -> None:
    info = np.iinfo(kind)
    stored = RNG.integers(info.min, info.max, shape, np.int64, endpoint=True).astype(kind)
    little = pixels.decode(b"head" + stored.tobytes(), layout_of(stored, offset=4))[0]
    big = pixels.decode(
        b"\0" * 12 + stored.astype(f">{kind}").tobytes(), layout_of(stored, ExplicitVRBigEndian, offset=12)
    )[0]
    for found in (little, big):
        np.testing.assert_array_equal(found, stored)
        assert found.dtype == stored.dtype


def test_bytes_in_big_endian_words_are_turned() -> None:
    stored = np.arange(15, dtype=np.uint8).reshape(3, 5)
    words = np.frombuffer(stored.tobytes() + b"\0", "<u2").astype(">u2").tobytes()
    head = b"\x7f\xe0\x00\x10OW\0\0\0\0\0\x10"
    layout = layout_of(stored, ExplicitVRBigEndian, offset=12)
    np.testing.assert_array_equal(pixels.decode(head + words, layout)[0], stored)
    assert refused(head + words[:-1], layout) == "dicom.truncated"


@pytest.mark.parametrize(("bits", "signed"), [(12, False), (12, True), (10, False), (7, True)])
def test_overlays_above_the_stored_bits_go_and_signs_stay(bits: int, signed: bool) -> None:
    low, high = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)
    stored = RNG.integers(low, high, (6, 7)).astype(np.int16 if signed else np.uint16)
    dirty = (stored.view(np.uint16) & ((1 << bits) - 1)) | (RNG.integers(0, 1 << 16 - bits, (6, 7)) << bits)
    found = pixels.decode(dirty.astype("<u2").tobytes(), layout_of(stored, bits_stored=bits))[0]
    np.testing.assert_array_equal(found, stored)


def test_padding_is_seen_before_bits_are_cleared() -> None:
    stored = np.array([[1, 0x8001], [2, 3]], np.uint16)
    found, outside = pixels.decode(stored.tobytes(), layout_of(stored, bits_stored=12), (0x8001, 0x8001))
    assert outside is not None
    np.testing.assert_array_equal(outside, [[False, True], [False, False]])
    np.testing.assert_array_equal(found[0], [1, 1])


@pytest.mark.parametrize("padding", [-2000, 65536 - 2000])
@pytest.mark.parametrize("kind", ["u2", "i2"])
def test_padding_is_found_however_its_sign_was_written(kind: str, padding: int) -> None:
    stored = np.array([[1, 65536 - 2000]], np.uint16).astype(kind)
    _, outside = pixels.decode(stored.tobytes(), layout_of(stored), (padding, padding))
    np.testing.assert_array_equal(outside, [[False, True]])


FRAMES = RNG.integers(0, 4096, (3, 9, 11)).astype(np.uint16)


def test_frames_come_back_in_order_from_any_packing() -> None:
    streams = [rle(frame) for frame in FRAMES]
    layout = layout_of(FRAMES, RLELossless, bits_stored=12)
    for packed in (
        encapsulate(streams, has_bot=True),
        encapsulate(streams, has_bot=False),
        encapsulate(streams, fragments_per_frame=2, has_bot=True),
    ):
        np.testing.assert_array_equal(pixels.decode(packed, layout)[0], FRAMES)


def test_frames_that_are_missing_or_pointed_past_are_refused() -> None:
    streams = [rle(frame) for frame in FRAMES]
    layout = layout_of(FRAMES, RLELossless, bits_stored=12)
    assert refused(encapsulate(streams[:2]), layout) == "dicom.truncated"
    assert refused(encapsulate(streams)[:-200], layout) == "dicom.truncated"
    assert refused(encapsulate([*streams, streams[0]]), layout) == "dicom.bad_value"
    astray = bytearray(encapsulate(streams, fragments_per_frame=2, has_bot=True))
    astray[12] += 2  # the second entry of the offset table
    assert refused(bytes(astray), layout) == "dicom.bad_value"
    assert refused(b"\xfe\xff\x00\xe0" + bytes(4) + bytes(30), layout) == "dicom.bad_value"


def test_a_flood_of_empty_items_is_refused_at_once() -> None:
    started = time.monotonic()
    assert refused(b"\xfe\xff\x00\xe0\0\0\0\0" * 5_000_000, layout_of(FRAMES, RLELossless)) == "dicom.bad_value"
    assert time.monotonic() - started < 1


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["CT1_J2KR.dcm", "CT1_JLSL.dcm", "CT1_RLE.dcm"])
def test_a_cut_picture_is_refused_not_filled(data: Path, name: str) -> None:
    opened = open_dicom(data / "dicom_syntax" / name)
    layout = header_of(Path(name), opened).pixels
    for share in (0.3, 0.67, 0.99):
        assert refused(opened.stream[: int(len(opened.stream) * share)], layout) == "dicom.truncated"


@pytest.mark.realdata
def test_real_frames_in_fragments_without_a_table(data: Path) -> None:
    pytest.importorskip("imagecodecs", reason="needs clinic_mm[jpeg-lossless]")
    path = data / "dicom_syntax" / "CT0012.fragmented_no_bot_jpeg_baseline.51.dcm"
    opened = open_dicom(path)
    stored, _ = pixels.decode(opened.stream, header_of(path, opened).pixels)
    assert stored.shape == (2, 512, 512)
    assert all(np.ptp(frame) > 1000 for frame in stored)
    assert np.abs(stored[0].astype(int) - stored[1]).mean() > 1  # two slices, not one twice
