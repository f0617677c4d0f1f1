"""Compressed frames to damage, one for each decoder, and damage that keeps the container right or lies in it.

In:  nothing. Out: a valid DICOM file with one compressed frame for each decoder that
     can be fed here; damaged streams of it.
"""

import struct
from collections.abc import Callable
from io import BytesIO
from typing import Any, Final

import numpy as np
from pydicom import dcmread, dcmwrite, uid
from pydicom.encaps import encapsulate
from pydicom.pixels import get_encoder

from tests.fuzz.mutate import mutate
from tests.fuzz.seeds import phantom, radiograph

ITEM: Final = b"\xfe\xff\x00\xe0"
Pixels = np.ndarray[Any, np.dtype[Any]]


def _pydicom(syntax: str) -> Callable[[Pixels], bytes]:
    def encode(stored: Pixels) -> bytes:
        facts = {"rows": stored.shape[0], "columns": stored.shape[1], "samples_per_pixel": 1, "bits_allocated": 16}
        more = {"bits_stored": 12, "pixel_representation": 0, "photometric_interpretation": "MONOCHROME2"}
        return bytes(get_encoder(syntax).encode(stored, **facts, **more, number_of_frames=1))

    return encode


def _baseline(stored: Pixels) -> bytes:
    from PIL import Image

    file = BytesIO()
    Image.fromarray((stored >> 4).astype(np.uint8)).save(file, "JPEG", quality=95)
    return file.getvalue()


def _htj2k(stored: Pixels) -> bytes:
    from imagecodecs import htj2k_encode

    return bytes(htj2k_encode(stored, reversible=True))


def _jpeg_lossless(stored: Pixels) -> bytes:
    from imagecodecs import jpeg8_encode

    return bytes(jpeg8_encode(stored, bitspersample=12, lossless=True, predictor=1))


ENCODERS: Final[dict[str, tuple[str, Callable[[Pixels], bytes]]]] = {
    "RLE (pylibjpeg-rle)": (uid.RLELossless, _pydicom(uid.RLELossless)),
    "JPEG baseline (Pillow)": (uid.JPEGBaseline8Bit, _baseline),
    "JPEG-LS (pyjpegls)": (uid.JPEGLSLossless, _pydicom(uid.JPEGLSLossless)),
    "JPEG 2000 (OpenJPEG)": (uid.JPEG2000Lossless, _pydicom(uid.JPEG2000Lossless)),
    "HTJ2K (OpenJPEG)": (uid.HTJ2KLossless, _htj2k),
    "JPEG lossless (imagecodecs)": (uid.JPEGLosslessSV1, _jpeg_lossless),
}
BITS: Final = {uid.JPEGBaseline8Bit: (8, 8), uid.HTJ2KLossless: (16, 16)}
"""Bits allocated and stored, where they are not 16 and 12: the encoder of HTJ2K writes whole bytes only."""
EXTRA: Final = frozenset({"HTJ2K (OpenJPEG)", "JPEG lossless (imagecodecs)"})
"""Encoded by the optional imagecodecs; not damaged where it is not installed."""


def frame_of(decoder: str) -> tuple[bytes, bytes]:
    """A DICOM file around one frame, and the frame."""
    syntax, encode = ENCODERS[decoder]
    codestream = encode(phantom(1, 48, 40)[0])
    dataset = dcmread(BytesIO(radiograph(uid.ExplicitVRLittleEndian)))
    dataset.BitsAllocated, dataset.BitsStored = BITS.get(syntax, (16, 12))
    dataset.HighBit = dataset.BitsStored - 1
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([codestream], has_bot=False)
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    file = BytesIO()
    dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue(), codestream


def damage(rng: np.random.Generator, data: bytes, codestream: bytes) -> tuple[str, bytes]:
    """Mostly damage inside of the codestream, with a container that fits it; sometimes to the container itself."""
    at = data.index(codestream)
    if rng.random() < 0.15:
        start = data.rindex(ITEM, 0, at) - 8
        name, encapsulated = mutate(rng, data[start:], (0, 16))
        return f"container {name}", data[:start] + encapsulated
    if rng.random() < 0.3:  # the start, where sizes, tables and parameters stand
        name, hurt = mutate(rng, codestream, (0, min(120, len(codestream))))
    else:
        name, hurt = mutate(rng, codestream)
    hurt += b"\0" * (len(hurt) % 2)
    rest = at + len(codestream) + len(codestream) % 2
    return name, data[: at - 4] + struct.pack("<L", len(hurt)) + hurt + data[rest:]
