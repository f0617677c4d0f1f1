"""Transfer syntaxes: every lossless one gives its uncompressed twin bit for bit, every other one is refused by name."""

import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import jpeg_ls
import numpy as np
import pytest
from openjpeg.utils import encode_array
from PIL import Image
from pydicom import uid
from pydicom.encaps import encapsulate

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.dicom import layout as layouts
from clinic_mm.sources.dicom import pixels
from clinic_mm.sources.dicom.header import header_of, read_header
from clinic_mm.sources.dicom.stream import open_dicom
from tests.sources.dicom.test_pixels import layout_of, refused, rle
from tests.sources.made import body, write_radiograph, write_series

EXTRA = "needs clinic_mm[jpeg-lossless]"
RNG = np.random.default_rng(8)

# Every file of dicom_syntax and what it is: `twin` equals the uncompressed file bit for bit.
CT_IMAGE = {
    "BigEndianExplicit": "twin",
    "DeflatedExplicitVRLittleEndian": "twin",
    "LittleEndianExplicit": "twin",
    "LittleEndianImplicit": "twin",
    "RLELossless": "twin",
    "JPEG2000LosslessOnly": "twin",
    "JPEGLSLossless": "twin",
    "JPEGProcess14SV1": "twin, extra",
    "JPEGProcess14": "twin, extra",
    "JPEG2000": "lossy 40",
    "JPEGLSLossy": "lossy 10",
    "JPEGProcess1": "lossy 60",
    "JPEGProcess2_4": "lossy 10, extra",
    "JPEGProcess6_8": "JPEG Spectral Selection, Non-Hierarchical (Process 6 and 8)",
    "JPEGProcess10_12": "JPEG Full Progression, Non-Hierarchical (Process 10 and 12)",
}
CT1 = {
    "CT1_J2KR": "twin",
    "CT1_JLSL": "twin",
    "CT1_RLE": "twin",
    "CT1_JPLL": "twin, extra",
    "CT1_J2KI": "lossy 40",
    "CT1_JLSN": "lossy 10",
}


def hounsfield(path: Path) -> np.ndarray:
    opened = open_dicom(path)
    header = header_of(path, opened)
    assert header.slope is not None
    assert header.intercept is not None
    return pixels.decode(opened.stream, header.pixels)[0] * header.slope + header.intercept


def agree(path: Path, twin: Path, expected: str) -> None:
    if "extra" in expected:
        pytest.importorskip("imagecodecs", reason=EXTRA)
    difference = hounsfield(path) - hounsfield(twin)
    if expected.startswith("twin"):
        assert np.count_nonzero(difference) == 0
    else:
        tolerance_hu = float(expected.split(",")[0].split()[1])
        assert np.abs(difference[150:350, 150:350]).mean() < tolerance_hu


@pytest.mark.realdata
@pytest.mark.parametrize("syntax", CT_IMAGE)
def test_one_slice_in_fifteen_syntaxes(data: Path, syntax: str) -> None:
    folder = data / "dicom_syntax"
    (path,) = folder.glob(f"CTImage.dcm_{syntax}TransferSyntax_*")
    if not CT_IMAGE[syntax].startswith(("twin", "lossy")):
        assert CT_IMAGE[syntax] in str(read_header(path).fault)
        return
    agree(path, folder / "CTImage.dcm", CT_IMAGE[syntax])


@pytest.mark.realdata
@pytest.mark.parametrize("name", CT1)
def test_the_encodings_of_ct1(data: Path, name: str) -> None:
    agree(data / "dicom_syntax" / f"{name}.dcm", data / "dicom_syntax" / "CT1_UNC.dcm", CT1[name])


@pytest.mark.realdata
def test_fourteen_signed_bits_and_their_reference(data: Path) -> None:
    folder = data / "dicom_syntax"
    agree(folder / "693_J2KI.dcm", folder / "693_UNCI.dcm", "twin")  # its reference was made from it


def _jpeg_2000(frame: np.ndarray, bits: int) -> bytes:
    return bytes(encode_array(frame, bits_stored=bits, photometric_interpretation=2))


def _jpeg_ls(frame: np.ndarray, bits: int) -> bytes:
    pattern = frame.view(f"u{frame.itemsize}") & np.array((1 << bits) - 1, f"u{frame.itemsize}")
    return bytes(jpeg_ls.encode_array(pattern))


def _jpeg_lossless(frame: np.ndarray, bits: int) -> bytes:
    codecs = pytest.importorskip("imagecodecs", reason=EXTRA)
    pattern = frame.view(f"u{frame.itemsize}") & np.array((1 << bits) - 1, f"u{frame.itemsize}")
    return bytes(codecs.jpeg8_encode(pattern, lossless=True, bitspersample=bits))


def _htj2k(frame: np.ndarray, bits: int) -> bytes:
    del bits
    codecs = pytest.importorskip("imagecodecs", reason=EXTRA)
    return bytes(codecs.htj2k_encode(frame, reversible=True))


LOSSLESS: dict[str, tuple[str, Callable[[np.ndarray, int], bytes]]] = {
    "RLE": (uid.RLELossless, lambda frame, _: rle(frame)),
    "JPEG 2000": (uid.JPEG2000Lossless, _jpeg_2000),
    "JPEG-LS": (uid.JPEGLSLossless, _jpeg_ls),
    "HTJ2K": (uid.HTJ2KLossless, _htj2k),
    "HTJ2K RPCL": (uid.HTJ2KLosslessRPCL, _htj2k),
    "JPEG lossless": (uid.JPEGLosslessSV1, _jpeg_lossless),
}


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_frames_of_odd_size_are_exact(name: str, signed: bool, bits: int) -> None:
    syntax, encode = LOSSLESS[name]
    low, high = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)
    kind = f"{'i' if signed else 'u'}{1 if bits == 8 else 2}"
    frames = RNG.integers(low, high, (2, 37, 45)).astype(kind)
    frames[:, 0, :2] = low, high - 1
    if name == "JPEG-LS":  # the encoder writes as many bits as the largest value needs
        frames[:, 0, 2] = -1 if signed else high - 1
    layout = layout_of(frames, syntax, bits_stored=bits)
    stream = encapsulate([encode(frame, bits) for frame in frames])
    found, _ = pixels.decode(stream, layout)
    np.testing.assert_array_equal(found, frames)
    assert found.dtype == frames.dtype


def test_lossy_htj2k_is_near() -> None:
    codecs = pytest.importorskip("imagecodecs", reason=EXTRA)
    smooth = (2000 + 900 * np.sin(np.linspace(0, 6, 64))[:, None] * np.cos(np.linspace(0, 5, 48))).astype(np.uint16)
    stream = encapsulate([bytes(codecs.htj2k_encode(smooth, level=0.001, reversible=False))])
    found, _ = pixels.decode(stream, layout_of(smooth, uid.HTJ2K))
    assert np.abs(found.astype(float) - smooth).max() < 100


def test_what_needs_the_extra_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layouts, "_has_extra", lambda: False)
    for syntax, bits in ((uid.JPEGLosslessSV1, 8), (uid.JPEGLossless, 8), (uid.JPEGExtended12Bit, 12)):
        fault = _fault_of(tmp_path, syntax, BitsStored=bits, HighBit=bits - 1)
        assert fault.code == "dicom.needs_extra"
        assert 'pip install "clinic_mm[jpeg-lossless]"' in fault.mend


@pytest.mark.parametrize(
    ("syntax", "name"),
    [
        (uid.MPEG2MPML, "MPEG2 Main Profile / Main Level"),
        (uid.HEVCMP51, "HEVC/H.265 Main Profile / Level 5.1"),
        ("1.2.840.10008.1.2.4.110", "JPEG XL Lossless"),
        ("1.2.840.10008.1.2.1.98", "Encapsulated Uncompressed Explicit VR Little Endian"),
        ("1.2.840.10008.5.1.4.1.1.2", "an unknown transfer syntax"),
        ("1.2.826.0.1.3680043.8.498.1", "an unknown transfer syntax"),
        ("1.2.DOE^JOHN", "an unknown transfer syntax"),
    ],
)
def test_an_unknown_syntax_is_refused_by_its_name(tmp_path: Path, syntax: str, name: str) -> None:
    fault = _fault_of(tmp_path, syntax)
    assert fault.code == "dicom.unsupported_syntax"
    assert name in fault.what
    assert "DOE" not in str(fault)


def _fault_of(folder: Path, syntax: str, **elements: object) -> EvidenceError:
    """A file that claims a syntax; what it holds is never looked at."""
    (path,) = write_series(folder, body(1), **elements)
    whole = path.read_bytes()
    place = whole.index(b"\x02\x00\x10\x00UI") + 6
    length = int.from_bytes(whole[place : place + 2], "little")
    text = syntax.encode() + b"\0" * (len(syntax) % 2)
    moved = len(text) - length
    group = whole.index(b"\x02\x00\x00\x00UL\x04\x00") + 8
    size = int.from_bytes(whole[group : group + 4], "little") + moved
    whole = whole[:group] + size.to_bytes(4, "little") + whole[group + 4 :]
    path.write_bytes(whole[:place] + len(text).to_bytes(2, "little") + text + whole[place + 2 + length :])
    fault = read_header(path).fault
    assert fault is not None
    return fault


def _jpeg(frame: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=95)
    return file.getvalue()


SMALL = RNG.integers(0, 256, (64, 48)).astype(np.uint8)
DEEP = RNG.integers(0, 4096, (64, 48)).astype(np.uint16)


@pytest.mark.parametrize(
    ("codestream", "layout"),
    [
        (_jpeg_2000(DEEP, 12), layout_of(DEEP[:4], uid.JPEG2000Lossless, bits_stored=12)),
        (_jpeg_2000(DEEP, 12), layout_of(SMALL, uid.JPEG2000Lossless)),
        (_jpeg_2000(DEEP, 12), layout_of(DEEP, uid.JPEG2000Lossless, bits_stored=10)),
        (_jpeg_2000(DEEP.astype(np.int16), 14), layout_of(DEEP, uid.JPEG2000Lossless, bits_stored=14)),
        (_jpeg_2000(DEEP, 12), layout_of(DEEP.astype(np.int16), uid.JPEG2000Lossless, bits_stored=14)),
        (_jpeg_ls(DEEP, 12), layout_of(DEEP[:, :6], uid.JPEGLSLossless, bits_stored=12)),
        (_jpeg(SMALL), layout_of(SMALL[:4], uid.JPEGBaseline8Bit)),
        (_jpeg(np.stack([SMALL] * 3, 2)), layout_of(SMALL, uid.JPEGBaseline8Bit)),
        (rle(DEEP), layout_of(SMALL, uid.RLELossless)),
    ],
    ids=["rows", "8 bits", "10 bits", "signed", "sign place", "columns", "jpeg rows", "jpeg colour", "rle bits"],
)
def test_a_codestream_that_is_not_the_header_s_is_refused(codestream: bytes, layout: layouts.Layout) -> None:
    assert refused(encapsulate([codestream]), layout) == "dicom.codestream_mismatch"


def test_a_bomb_is_refused_before_a_decoder_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels.DECODER, "decode", lambda *_: pytest.fail("a decoder saw it"))
    bomb = bytearray(_jpeg_2000(DEEP, 12))
    bomb[8:16] = (30_000).to_bytes(4, "big") * 2
    assert refused(encapsulate([bytes(bomb)]), layout_of(DEEP, uid.JPEG2000Lossless)) == "dicom.codestream_mismatch"
    jpeg = _jpeg(SMALL)
    at = jpeg.index(b"\xff\xc0")
    jpeg = jpeg[: at + 5] + b"\xff\xff\xff\xff" + jpeg[at + 9 :]
    assert refused(encapsulate([jpeg]), layout_of(SMALL, uid.JPEGBaseline8Bit)) == "dicom.codestream_mismatch"


@pytest.mark.parametrize(
    "elements",
    [
        {"Rows": 65535, "Columns": 65535},
        {"Rows": 5000, "Columns": 5100},
        {"Rows": 512, "Columns": 512, "NumberOfFrames": 5000},
        {"Rows": 1, "Columns": 1, "NumberOfFrames": 200_000},
    ],
)
def test_more_than_fits_is_refused_by_the_header_alone(tmp_path: Path, elements: dict[str, object]) -> None:
    path = write_radiograph(tmp_path / "a", DEEP, **elements)
    fault = read_header(path).fault
    assert fault is not None
    assert fault.code == "dicom.too_large"


def test_what_would_unpack_without_measure_is_refused() -> None:
    wide = np.empty((6, 4096, 4096), np.uint16)  # 192 MiB
    layouts.check_layout(layout_of(wide, uid.RLELossless), None, 2**20)
    with pytest.raises(EvidenceError) as caught:
        layouts.check_layout(layout_of(wide, uid.RLELossless), None, 700_000)
    assert caught.value.code == "dicom.too_large"


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL_422", "PALETTE COLOR"])
def test_colour_is_refused_not_read_as_grey(photometric: str) -> None:
    layout = layout_of(SMALL, uid.JPEGBaseline8Bit, photometric=photometric, samples=1 if "PAL" in photometric else 3)
    assert refused(encapsulate([_jpeg(SMALL)]), layout) == "dicom.colour"


@pytest.mark.parametrize("name", [*LOSSLESS, "JPEG"])
@pytest.mark.parametrize("share", [0.4, 0.98])
def test_a_picture_that_stops_is_not_filled(name: str, share: float) -> None:
    syntax, encode = LOSSLESS.get(name, (uid.JPEGBaseline8Bit, lambda frame, _: _jpeg(frame)))
    frame = np.kron(SMALL if name == "JPEG" else DEEP, np.ones((3, 3))).astype(
        np.uint8 if name == "JPEG" else np.uint16
    )
    codestream, bits = encode(frame, 12), 8 if name == "JPEG" else 12
    layout = layout_of(frame, syntax, bits_stored=bits)
    pixels.decode(encapsulate([codestream]), layout)
    stopped = codestream[: int(len(codestream) * share)] + b"\xff\xd9"
    assert refused(encapsulate([stopped]), layout) in {"dicom.truncated", "dicom.undecodable"}


def test_mutated_frames_end_in_values_or_our_error() -> None:
    rng = np.random.default_rng(11)
    outcomes = set()
    for name, (syntax, encode) in LOSSLESS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            codestream = encode(DEEP, 12)
        layout = layout_of(DEEP, syntax, bits_stored=12)
        for _ in range(25):
            mutated = bytearray(codestream)
            for place in rng.integers(0, len(codestream), 3):
                mutated[place] = rng.integers(256)
            try:
                stored, _ = pixels.decode(encapsulate([bytes(mutated)]), layout)
            except EvidenceError as fault:
                outcomes.add((name, fault.code))
                continue
            assert stored.shape == DEEP.shape
            assert stored.max() < 4096
    assert {name for name, _ in outcomes} == set(LOSSLESS)
